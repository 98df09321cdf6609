//! Who wants to know how attempts went.

use std::time::Duration;

use gatewright_core::Error;

use crate::{Deployment, Trial};

/// Hears how attempts went at their deployments, and which of those rest. Runs while a call waits: no I/O.
pub trait Witness: Send + Sync + 'static {
    /// An attempt that says something about its deployment has ended, with this failure where it failed.
    fn ended(&self, deployment: &Deployment, trial: &Trial, failure: Option<&Error>);

    /// A deployment begins to rest for so long after this failure.
    fn rests(&self, deployment: &Deployment, rest: Duration, failure: &Error);
}
