//! The pause before another attempt at a deployment that has just failed.

use std::time::Duration;

use gatewright_core::Error;
use tokio::time::{Instant, sleep_until};

use super::Visit;
use crate::table::Member;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(8);
/// The longest wait that is granted to an upstream that asks for one.
const LONGEST_ASKED: Duration = Duration::from_secs(60);
/// The spread of all waits, so that calls that failed together do not come back together.
const JITTER: Duration = Duration::from_millis(750);

impl Visit<'_, '_> {
    /// Waits, within the call's time. A call that has somewhere else to go does not wait for a deployment that is
    /// down, and stops waiting when it goes down; any other call waits, because the outage may be a short one.
    pub(super) async fn wait(&mut self, err: &Error, failed: &Member) -> bool {
        let until = Instant::now() + self.pause(err);
        let in_vain = !self.members().any(|member| member.health.may_be_tried(until));
        if until >= self.trip.patience.content_by || (self.leads_on && in_vain) {
            return false;
        }
        self.waits += 1;
        if !self.leads_on || self.route.group.members.len() > 1 {
            sleep_until(until).await;
            return true;
        }
        tokio::select! {
            () = sleep_until(until) => true,
            () = failed.health.went_down() => false,
        }
    }

    fn pause(&self, err: &Error) -> Duration {
        let jitter = JITTER.mul_f64(self.trip.dice.roll().clamp(0.0, 1.0));
        let asked = err.retry_after().filter(|wait| !wait.is_zero() && *wait <= LONGEST_ASKED);
        let doubled = || FIRST.saturating_mul(2u32.saturating_pow(self.waits)).min(LONGEST);
        asked.unwrap_or_else(|| doubled().max(self.trip.table.settings.retry_after)) + jitter
    }
}
