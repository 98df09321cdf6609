//! The pause before another attempt at a deployment that has just failed.

use std::time::Duration;

use gatewright_core::{Decision, Error};
use tokio::time::{Instant, sleep_until};

use super::Visit;
use crate::table::Member;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(8);
/// The longest wait that is granted to an upstream that asks for one.
const LONGEST_ASKED: Duration = Duration::from_secs(60);
/// The spread of all waits, so that calls that failed together do not come back together.
const JITTER: Duration = Duration::from_millis(750);
/// Calls with no more retries than by default are told of an outage within the time of [`SOON`], if it fails them at once.
const FEW: u32 = 2;
/// The longest that such a call waits in all where nobody asks for more, at whatever groups.
const SOON: Duration = Duration::from_secs(2);
/// The spread of their waits: two doubled ones and their spread are as long as they may be.
const JITTER_OF_FEW: Duration = Duration::from_millis(250);

/// How long to wait.
struct Pause {
    length: Duration,
    /// Whether the call may give up rather than wait so long.
    may_be_saved: bool,
}

impl Visit<'_> {
    /// Waits, within the call's time. A call that has somewhere else to go does not wait for a deployment that is
    /// down, and stops waiting when it goes down; any other call waits, because the outage may be a short one.
    pub(super) async fn wait(&mut self, err: &Error, failed: &Member) -> bool {
        let begun = Instant::now();
        let pause = self.pause(err, failed);
        let until = begun + pause.length;
        let in_vain = !self.members().any(|member| member.seen.health.may_be_tried(until));
        if until >= self.trip.patience.content_by || (self.leads_on && in_vain) {
            return false;
        }
        if pause.may_be_saved {
            if self.trip.waited + pause.length > SOON {
                return false;
            }
            self.trip.waited += pause.length;
        }
        self.stay.waits += 1;
        if !self.leads_on || self.route.group.members.len() > 1 {
            sleep_until(until).await;
            self.tell_of_wait(begun);
            return true;
        }
        let waited = tokio::select! {
            () = sleep_until(until) => true,
            () = failed.seen.health.went_down() => false,
        };
        self.tell_of_wait(begun);
        waited
    }

    fn tell_of_wait(&self, begun: Instant) {
        let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.trip.note(|| Decision::Waited { millis, what: "before another attempt" });
    }

    fn pause(&self, err: &Error, failed: &Member) -> Pause {
        let few = self.allowed(failed, err.kind()) <= FEW;
        let jitter = if few { JITTER_OF_FEW } else { JITTER }.mul_f64(self.aides.dice.roll().clamp(0.0, 1.0));
        let asked = err.retry_after().filter(|wait| !wait.is_zero() && *wait <= LONGEST_ASKED);
        let doubled = || FIRST.saturating_mul(2u32.saturating_pow(self.stay.waits)).min(LONGEST);
        let least = self.trip.table.settings.retry_after;
        Pause {
            length: asked.unwrap_or_else(|| doubled().max(least)) + jitter,
            may_be_saved: few && asked.is_none() && least.is_zero(),
        }
    }
}
