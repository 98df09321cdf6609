//! The retry budget: how many attempts after the first may fail, so that an outage is not multiplied.

use tokio::time::Instant;

use crate::Seen;
use crate::table::Group;

/// Within this many milliseconds calls and attempts are counted together.
const PERIOD: u64 = 10_000;
/// So many may fail in that time, however few calls there are.
const ANYWAY: u64 = 10;

/// Counts a call that comes to its first group.
pub(crate) fn count_call(home: &Group, now: Instant) {
    count(home, (1, 0), now);
}

/// Counts an attempt after the first, or at another group, that failed. One that succeeds multiplies nothing.
pub(crate) fn count_failure(home: &Group, now: Instant) {
    count(home, (0, 1), now);
}

/// Whether a further attempt, at this deployment, may be made for a call that came to `home` first. What is known to
/// be well may always be tried.
pub(crate) fn affordable(home: &Group, seen: &Seen, share: f64, now: Instant) -> bool {
    let Some(books) = home.seen.first().filter(|_| !seen.health.is_well()) else { return true };
    let (calls, failed) = books.further.read(books.health.millis(now) / PERIOD);
    failed < ANYWAY.max(part(calls, share))
}

fn count(home: &Group, counts: (u64, u64), now: Instant) {
    if let Some(books) = home.seen.first() {
        books.further.add(books.health.millis(now) / PERIOD, counts);
    }
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
