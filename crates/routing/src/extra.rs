//! The retry budget: how many attempts after the first may fail, so that an outage is not multiplied.

use std::sync::Arc;

use tokio::time::Instant;

use crate::table::{Group, Member};

/// Within this many milliseconds calls and attempts are counted together.
const PERIOD: u64 = 10_000;
/// So many may fail in that time, however few calls there are.
const ANYWAY: u64 = 10;

/// An attempt after the first, or at another group. It counts until it succeeds.
pub(crate) struct Extra {
    home: Arc<Group>,
    period: u64,
}

/// Counts a call that comes to its first group.
pub(crate) fn count_call(home: &Group, now: Instant) {
    if let Some(period) = period(home, now) {
        home.extra.add(period, (1, 0));
    }
}

/// Whether a further attempt, at this deployment, may be made for a call that came to `home` first. What is known to
/// be well may always be tried.
pub(crate) fn affordable(home: &Group, member: &Member, share: f64, now: Instant) -> bool {
    if member.seen.health.is_well() {
        return true;
    }
    let Some(period) = period(home, now) else { return true };
    let (calls, extra) = home.extra.read(period);
    extra < ANYWAY.max(part(calls, share))
}

// === impl Extra ===

impl Extra {
    pub(crate) fn begin(home: &Arc<Group>, now: Instant) -> Option<Self> {
        let period = period(home, now)?;
        home.extra.add(period, (0, 1));
        Some(Self { home: home.clone(), period })
    }

    /// It succeeded, or nothing was sent.
    pub(crate) fn taken_back(self) {
        self.home.extra.take_back(self.period);
    }
}

fn period(home: &Group, now: Instant) -> Option<u64> {
    Some(home.seen.first()?.health.millis(now) / PERIOD)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a number of calls"
)]
fn part(calls: u64, share: f64) -> u64 {
    (calls as f64 * share) as u64
}
