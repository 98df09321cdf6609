//! What the end of a stream says about its deployment, once its first content has been passed on.

use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{End, ErrorKind, Observer, Outcome};
use tokio::time::Instant;

use crate::table::{Group, Member};

/// Tells the deployment's health of a stream that broke off. A client that leaves says nothing about it.
pub(super) struct Ending {
    pub(super) group: Arc<Group>,
    pub(super) member: Arc<Member>,
    /// How long a deployment without a time of its own rests.
    pub(super) rest: Duration,
    /// When the call had to be over.
    pub(super) end: Instant,
}

impl Observer for Ending {
    fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
        let End::Failed(err) = outcome.end else { return };
        let now = Instant::now();
        // A stream that flowed until its time was up did nothing wrong, and a policy that ends one is not the provider.
        let in_time = err.kind() != ErrorKind::Timeout || now < self.end;
        if in_time && err.provider().is_some() {
            let judgement = self.group.judge(&self.member, self.rest, now);
            self.member.health.broke_off(err, now, judgement);
        }
    }
}
