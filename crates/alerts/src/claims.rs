//! Who of several replicas tells something that all of them have seen.

use std::future::{Future, ready};
use std::pin::Pin;
use std::time::Duration;

/// Remembers, for all replicas, what was told.
pub trait Claims: Send + Sync + 'static {
    /// Whether nobody has claimed `name` within the last `ttl`; it is claimed then. Whoever cannot say answers yes: twice
    /// told is better than not at all.
    fn claim<'a>(&'a self, name: &'a str, ttl: Duration) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>>;
}

/// There are no other replicas.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Claims for Nobody {
    fn claim<'a>(&'a self, _: &'a str, _: Duration) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(ready(true))
    }
}
