//! What the end of an answer says about its deployment, once its first content has been passed on.

use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{End, Error, ErrorKind, Observer, Outcome, Usage};
use tokio::time::Instant;

use crate::health::Judgement;
use crate::seen::{Busy, Trial};
use crate::table::{Group, Member};
use crate::{PerKind, Witness};

/// Tells what was seen of a deployment of how its answer ended. A client that leaves says nothing about its health.
pub(super) struct Ending {
    pub(super) judge: Judge,
    /// It is busy until then.
    pub(super) busy: Busy,
    pub(super) begun: Instant,
    pub(super) first_content: Instant,
    pub(super) stream: bool,
}

/// Who decides what follows from a failure.
pub(super) struct Judge {
    pub(super) group: Arc<Group>,
    pub(super) member: Arc<Member>,
    /// How long a deployment without a time of its own rests.
    pub(super) rest: Duration,
    /// How many failures it may have.
    pub(super) allowed: PerKind,
    /// When the call had to be over.
    pub(super) end: Instant,
    /// Who hears of it.
    pub(super) witness: Option<Arc<dyn Witness>>,
}

// === impl Ending ===

impl Ending {
    /// The answer ended, well or not.
    pub(super) fn ended(self, usage: Option<Usage>, failure: Option<&Error>, now: Instant) {
        let Self { judge: Judge { group, member, witness, .. }, busy, begun, first_content, stream } = self;
        drop(busy);
        if let Some(usage) = usage {
            member.seen.count_tokens(usage.input.saturating_add(usage.output), now);
        }
        let trial = Trial {
            first_content: first_content - begun,
            whole: now - begun,
            stream,
            output: usage.map(|usage| usage.output),
            failed: failure.is_some(),
            timed_out: false,
        };
        group.pick.learn(&member.seen, &trial, now);
        if let Some(witness) = witness {
            witness.ended(&member.deployment, &trial, failure);
        }
    }
}

impl Observer for Ending {
    fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
        let now = Instant::now();
        let failure = match outcome.end {
            End::Failed(err) => Some(err),
            End::Complete | End::Abandoned => None,
        };
        if let Some(err) = failure {
            self.judge.broke_off(err, now);
        }
        self.ended(outcome.usage, failure, now);
    }
}

// === impl Judge ===

impl Judge {
    pub(super) fn judgement(&self, err: &Error, now: Instant) -> Judgement {
        self.group.judge(&self.member, (self.rest, self.allowed.get(err.kind())), now)
    }

    fn broke_off(&self, err: &Error, now: Instant) {
        // A stream that flowed until its time was up did nothing wrong, and a policy that ends one is not the provider.
        let in_time = err.kind() != ErrorKind::Timeout || now < self.end;
        if in_time && err.provider().is_some() {
            let rest = self.member.seen.health.broke_off(err, now, self.judgement(err, now));
            self.tell_of(rest, err);
        }
    }

    /// Tells of a rest, where one begins.
    pub(super) fn tell_of(&self, rest: Option<Duration>, err: &Error) {
        if let (Some(witness), Some(rest)) = (&self.witness, rest) {
            witness.rests(&self.member.deployment, rest, err);
        }
    }
}
