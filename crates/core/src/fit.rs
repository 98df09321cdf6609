//! What is held for a call, as each of its attempts sees it.

use std::future::Future;
use std::pin::Pin;

use crate::{Call, Result};

/// Fits what is held for a call to each of its attempts.
pub trait Fit: Send + Sync {
    /// Sees to it that what the call's attempts have cost so far and the most that this one can cost are held
    /// together. Where there is not enough for all of it, the attempt's cap is lowered; where there is not enough for
    /// the least, it is refused.
    fn fit<'a>(&'a self, attempt: &'a mut Call) -> Fitting<'a>;
}

/// Answers the tokens of output that are held for, of all answers together; `None` where no money is held.
pub type Fitting<'a> = Pin<Box<dyn Future<Output = Result<Option<u64>>> + Send + 'a>>;
