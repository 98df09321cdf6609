//! What is known about the health of one deployment: whether it rests, and whether it fails for everyone.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use gatewright_core::{Cooldown, Error, ErrorKind, Retry};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Failures in a row after which a deployment counts as down.
const STREAK: u32 = 5;
/// How long after its last failure a deployment that is down gets no further attempts, but first ones.
const DOWN: Duration = Duration::from_secs(2);
/// Requests in a minute below which the share of failures says nothing.
const FEW: u64 = 5;
/// The longest rest that an upstream can ask for.
const LONGEST_REST: Duration = Duration::from_secs(3600);

/// The health of one deployment, shared by all calls and kept over a reload. All times are milliseconds since it
/// was first known.
///
/// It rests (*cooling*) so that other deployments of its group are chosen in its place. It is *down* when it failed
/// for everyone several times in a row: then only first attempts and, now and then, a probe go out to it, so that an
/// outage upstream is not multiplied by retries and fallbacks.
pub struct Health {
    known_since: Instant,
    cooling_until: AtomicU64,
    down_until: AtomicU64,
    streak: AtomicU32,
    minute: Minute,
    went_down: Notify,
}

/// How a failure changes what is chosen next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judgement {
    /// Whether its group has another deployment that does not rest.
    pub(crate) replaceable: bool,
    /// How long it rests where the upstream does not say.
    pub(crate) rest: Duration,
}

// === impl Health ===

impl Health {
    pub(crate) fn new() -> Self {
        Self {
            known_since: Instant::now(),
            cooling_until: AtomicU64::new(0),
            down_until: AtomicU64::new(0),
            streak: AtomicU32::new(0),
            minute: Minute(AtomicU64::new(0)),
            went_down: Notify::new(),
        }
    }

    /// Whether it rests.
    pub fn is_cooling(&self, now: Instant) -> bool {
        self.cooling_until.load(Relaxed) > self.millis(now)
    }

    /// Whether it fails for everyone.
    pub fn is_down(&self) -> bool {
        self.streak.load(Relaxed) >= STREAK
    }

    /// When it stops resting; compares with that of others only through [`Health::rest_left`].
    pub(crate) fn rest_left(&self, now: Instant) -> u64 {
        self.cooling_until.load(Relaxed).saturating_sub(self.millis(now))
    }

    /// Whether an attempt that is not a call's first may go out at `at`.
    pub(crate) fn may_be_tried(&self, at: Instant) -> bool {
        !self.is_down() || self.down_until.load(Relaxed) <= self.millis(at)
    }

    /// Takes the right to such an attempt; of several who ask while it is down, one gets it.
    pub(crate) fn claim(&self, now: Instant) -> bool {
        if !self.is_down() {
            return true;
        }
        let (at, until) = (self.millis(now), self.down_until.load(Relaxed));
        until <= at && self.down_until.compare_exchange(until, at + millis(DOWN), Relaxed, Relaxed).is_ok()
    }

    /// Ends when it goes down.
    pub(crate) async fn went_down(&self) {
        self.went_down.notified().await;
    }

    /// An attempt reached its first content.
    pub(crate) fn succeeded(&self, now: Instant) {
        self.minute.count(self.millis(now), 1, 0);
        self.streak.store(0, Relaxed);
    }

    /// An attempt failed.
    pub(crate) fn failed(&self, err: &Error, now: Instant, judgement: Judgement) {
        let at = self.millis(now);
        if err.kind().cooldown() == Cooldown::Never {
            return;
        }
        let counted = self.minute.count(at, 1, 1);
        if fails_for_everyone(err.kind()) {
            self.down_until.fetch_max(at + millis(DOWN), Relaxed);
            if self.streak.fetch_add(1, Relaxed) + 1 == STREAK {
                self.went_down.notify_waiters();
            }
        }
        self.rest(err, at, counted, judgement);
    }

    /// An attempt that had succeeded failed after all. It is no sign of an outage: nothing is tried again for it.
    pub(crate) fn broke_off(&self, err: &Error, now: Instant, judgement: Judgement) {
        let at = self.millis(now);
        if err.kind().cooldown() != Cooldown::Never {
            let counted = self.minute.count(at, 0, 1);
            self.rest(err, at, counted, judgement);
        }
    }

    /// Lets it rest where the failure, or the share of failures, is reason enough.
    fn rest(&self, err: &Error, at: u64, (requests, failures): (u64, u64), judgement: Judgement) {
        let enough = match err.kind().cooldown() {
            Cooldown::Never => false,
            Cooldown::Counted => requests >= FEW && failures * 2 > requests,
            Cooldown::Immediate => true,
        };
        if enough && judgement.replaceable && !judgement.rest.is_zero() {
            let rest = err.retry_after().unwrap_or(judgement.rest).min(LONGEST_REST);
            self.cooling_until.fetch_max(at + millis(rest), Relaxed);
        }
    }

    fn millis(&self, at: Instant) -> u64 {
        millis(at.saturating_duration_since(self.known_since))
    }
}

/// A rate limit is not an outage: whoever waits as asked will be served.
fn fails_for_everyone(kind: ErrorKind) -> bool {
    kind.retry() == Retry::Anywhere && kind != ErrorKind::RateLimited
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Requests and failures of the current minute in one word: minute (24 bits), requests (20), failures (20).
struct Minute(AtomicU64);

// === impl Minute ===

impl Minute {
    const MASK: u64 = (1 << 20) - 1;

    /// Counts requests and failures, and says how many of each there were in this minute.
    fn count(&self, at: u64, requests: u64, failures: u64) -> (u64, u64) {
        let minute = (at / 60_000) & ((1 << 24) - 1);
        let mut seen = (0, 0);
        let _: Result<u64, u64> = self.0.fetch_update(Relaxed, Relaxed, |word| {
            let same = word >> 40 == minute;
            let (before, failed) = if same { (word >> 20 & Self::MASK, word & Self::MASK) } else { (0, 0) };
            // What failed now may have been counted as a request in the minute before.
            let failed = (failed + failures).min(Self::MASK);
            seen = ((before + requests).max(failed).min(Self::MASK), failed);
            Some(minute << 40 | seen.0 << 20 | seen.1)
        });
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLACEABLE: Judgement = Judgement { replaceable: true, rest: Duration::from_secs(5) };

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, "made to fail")
    }

    #[tokio::test(start_paused = true)]
    async fn which_failures_make_a_deployment_rest() {
        use ErrorKind::*;
        for (kinds, rests) in [
            (vec![RateLimited], true),
            (vec![Timeout], true),
            (vec![UpstreamAuth], true),
            (vec![NotFound], true),
            (vec![Upstream], false),
            (vec![Upstream; 4], false),
            (vec![Upstream; 5], true),
            (vec![InvalidRequest; 9], false),
            (vec![ContextWindow; 9], false),
        ] {
            let health = Health::new();
            for kind in &kinds {
                health.failed(&error(*kind), Instant::now(), REPLACEABLE);
            }
            assert_eq!(health.is_cooling(Instant::now()), rests, "{kinds:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn half_of_the_requests_may_fail() {
        let (health, now) = (Health::new(), Instant::now());
        for _ in 0..10 {
            health.succeeded(now);
            health.failed(&error(ErrorKind::Upstream), now, REPLACEABLE);
        }
        assert!(!health.is_cooling(now));
        health.failed(&error(ErrorKind::Upstream), now, REPLACEABLE);
        assert!(health.is_cooling(now));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_of_an_earlier_minute_are_forgotten() {
        let health = Health::new();
        for _ in 0..4 {
            health.failed(&error(ErrorKind::Upstream), Instant::now(), REPLACEABLE);
        }
        tokio::time::advance(Duration::from_secs(60)).await;
        health.failed(&error(ErrorKind::Upstream), Instant::now(), REPLACEABLE);
        assert!(!health.is_cooling(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_deployment_of_a_group_never_rests() {
        let health = Health::new();
        let last = Judgement { replaceable: false, ..REPLACEABLE };
        health.failed(&error(ErrorKind::RateLimited), Instant::now(), last);
        assert!(!health.is_cooling(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn it_rests_as_long_as_the_upstream_asks() {
        for (asked, rest) in [(None, 5), (Some(1), 1), (Some(30), 30), (Some(90_000), 3600)] {
            let (health, start) = (Health::new(), Instant::now());
            let err = error(ErrorKind::RateLimited);
            let err = asked.map_or(err.clone(), |secs| err.with_retry_after(Duration::from_secs(secs)));
            health.failed(&err, start, REPLACEABLE);
            assert!(
                health.is_cooling(start + Duration::from_secs(rest) - Duration::from_millis(1)),
                "{asked:?}"
            );
            assert!(!health.is_cooling(start + Duration::from_secs(rest)), "{asked:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_down_gets_one_probe_at_a_time_until_it_answers() {
        let (health, now) = (Health::new(), Instant::now());
        for _ in 0..STREAK {
            assert!(health.claim(now));
            health.failed(&error(ErrorKind::Upstream), now, REPLACEABLE);
        }
        assert!(health.is_down() && !health.claim(now));
        let later = now + DOWN;
        assert!(health.claim(later) && !health.claim(later));
        health.succeeded(later);
        assert!(health.claim(later) && health.claim(later));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_limit_is_no_outage() {
        let health = Health::new();
        for _ in 0..100 {
            health.failed(&error(ErrorKind::RateLimited), Instant::now(), REPLACEABLE);
        }
        assert!(!health.is_down());
    }
}
