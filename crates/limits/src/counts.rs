//! Counts of this process, or those that several replicas share: which one is a matter of configuration.

use std::time::Duration;

use gatewright_core::{Error, ErrorKind, Money};

use crate::counters::{Counters, Grant, Refused, Reset, Used};
use crate::local::{Local, LocalHold};
use crate::need::Need;
use crate::redis::{Shared, SharedHold, Sharing};
use crate::rule::Rule;

/// Where counts are kept.
pub enum Counts {
    /// In this process.
    Local(Local),
    /// In Redis, shared with other replicas.
    Shared(Shared),
}

/// What a call has taken of either.
#[expect(clippy::large_enum_variant, reason = "counting in this process takes no box")]
pub enum CountsHold {
    /// In this process.
    Local(LocalHold),
    /// In Redis.
    Shared(SharedHold),
}

// === impl Counts ===

impl Counts {
    /// How sharing goes, where counts are shared.
    pub fn sharing(&self) -> Option<Sharing> {
        match self {
            Self::Local(_) => None,
            Self::Shared(shared) => Some(shared.sharing()),
        }
    }

    /// What is shared with other replicas, where something is.
    pub fn shared(&self) -> Option<&Shared> {
        match self {
            Self::Local(_) => None,
            Self::Shared(shared) => Some(shared),
        }
    }

    /// Tells others what is left to tell.
    pub async fn stop(&self) {
        match self {
            Self::Local(_) => {}
            Self::Shared(shared) => shared.stop().await,
        }
    }
}

impl Counters for Counts {
    type Hold = CountsHold;

    fn hold_at_once(&self, rules: &[Rule], need: &Need) -> Option<Result<(CountsHold, Grant), Refused>> {
        let Self::Local(local) = self else { return None };
        Some(local.hold_at_once(rules, need)?.map(|(hold, grant)| (CountsHold::Local(hold), grant)))
    }

    async fn hold(
        &self,
        rules: &[Rule],
        need: &Need,
        wait: Duration,
    ) -> Result<(CountsHold, Grant), Refused> {
        match self {
            Self::Local(local) => {
                local.hold(rules, need, wait).await.map(|(hold, grant)| (CountsHold::Local(hold), grant))
            }
            Self::Shared(shared) => {
                // In a box, so that a call of this process does not carry the room for it.
                let held = Box::pin(shared.hold(rules, need, wait)).await;
                held.map(|(hold, grant)| (CountsHold::Shared(hold), grant))
            }
        }
    }

    async fn fit(
        &self,
        hold: &CountsHold,
        rules: &[Rule],
        need: &Need,
        spent: Money,
    ) -> Result<u64, Refused> {
        match (self, hold) {
            (Self::Local(local), CountsHold::Local(hold)) => local.fit(hold, rules, need, spent).await,
            (Self::Shared(shared), CountsHold::Shared(hold)) => {
                Box::pin(shared.fit(hold, rules, need, spent)).await
            }
            (Self::Local(_), CountsHold::Shared(_)) | (Self::Shared(_), CountsHold::Local(_)) => {
                Err(Refused::Away(Error::new(ErrorKind::Internal, "this call is counted elsewhere")))
            }
        }
    }

    fn settle(&self, hold: &CountsHold, used: Used) {
        match (self, hold) {
            (Self::Local(local), CountsHold::Local(hold)) => local.settle(hold, used),
            (Self::Shared(shared), CountsHold::Shared(hold)) => shared.settle(hold, used),
            // What was not taken here is not settled here; a shared hold gives itself back.
            (Self::Local(_), CountsHold::Shared(_)) | (Self::Shared(_), CountsHold::Local(_)) => {}
        }
    }

    fn reset(&self, reset: Reset) {
        match self {
            Self::Local(local) => local.reset(reset),
            Self::Shared(shared) => shared.reset(reset),
        }
    }
}
