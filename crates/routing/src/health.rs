//! What is known about the health of one deployment: whether it rests, and whether it fails for everyone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use gatewright_core::{Cooldown, Error, ErrorKind, Retry};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::tally::Tally;
use crate::words::Slot;

/// Failures in a row after which a deployment counts as down.
const STREAK: u32 = 5;
/// How long after its last failure a deployment that is down gets no further attempts, but first ones.
const DOWN: Duration = Duration::from_secs(2);
/// How long others wait for the end of a trial.
const TRIAL: Duration = Duration::from_secs(5);
/// Requests in a minute below which the share of failures says nothing.
const FEW: u64 = 5;
/// The longest rest that an upstream can ask for.
const LONGEST_REST: Duration = Duration::from_secs(3600);

/// The health of one deployment, shared by all calls and kept over a reload. All times are milliseconds since the
/// table's epoch.
///
/// It rests (*cooling*) so that other deployments of its group are chosen in its place; after its rest one attempt at
/// a time is a trial, until one succeeds. It is *down* when it failed for everyone several times in a row: then only
/// first attempts and, now and then, a probe go out to it, so that an outage upstream is not multiplied by retries and
/// fallbacks.
pub struct Health {
    epoch: Instant,
    /// Until when it rests is there, and until when it may be in trouble: neither the end of its rest nor the time below is later.
    slot: Slot,
    /// When a rest for what failed here ends, without what other replicas told.
    own_until: AtomicU64,
    /// What is left of a rest once it is over.
    trial: AtomicU32,
    down_until: AtomicU64,
    streak: AtomicU32,
    /// Whether the last attempt that says something about it succeeded.
    well: AtomicBool,
    sick: AtomicBool,
    /// Requests and failures of the current minute.
    minute: Tally,
    /// Failures of the current rest time, where so many are allowed.
    fails: Tally,
    /// How often it was let rest, by the status of what had failed.
    rests: Mutex<BTreeMap<u16, u64>>,
    went_down: Notify,
}

/// No trial is due: it has not rested, or a trial succeeded.
const OPEN: u32 = 0;
/// It rests, or has rested and nobody has tried it yet.
const RESTED: u32 = 1;
/// An attempt is out to see whether it is well again.
const ON_TRIAL: u32 = 2;

/// How a failure changes what is chosen next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judgement {
    /// Whether its group has another deployment that does not rest.
    pub(crate) replaceable: bool,
    /// How long it rests where the upstream does not say.
    pub(crate) rest: Duration,
    /// Failures within that time that are not enough, where the operator says so.
    pub(crate) allowed: Option<u32>,
}

// === impl Health ===

impl Health {
    pub(crate) fn new(epoch: Instant, slot: Slot) -> Self {
        Self {
            epoch,
            slot,
            own_until: AtomicU64::new(0),
            trial: AtomicU32::new(OPEN),
            down_until: AtomicU64::new(0),
            streak: AtomicU32::new(0),
            well: AtomicBool::new(false),
            sick: AtomicBool::new(false),
            minute: Tally::default(),
            fails: Tally::default(),
            rests: Mutex::default(),
            went_down: Notify::new(),
        }
    }

    /// Whether it rests.
    pub fn is_cooling(&self, now: Instant) -> bool {
        self.is_cooling_at(self.millis(now))
    }

    /// How long it still rests for what failed here; zero where it does not. Only this is told to other replicas: what
    /// they told would come back to them else, and so go on for ever.
    pub fn own_rest(&self, now: Instant) -> Duration {
        Duration::from_millis(self.own_until.load(Relaxed).saturating_sub(self.millis(now)))
    }

    /// Lets it rest for so long, because another replica saw it fail.
    pub fn rest_for(&self, rest: Duration, now: Instant) {
        self.cool_until(self.millis(now) + millis(rest.min(LONGEST_REST)));
    }

    /// How often what failed here let it rest, by the status of the failure.
    pub fn rests(&self) -> Vec<(u16, u64)> {
        self.rests.lock().iter().map(|(status, times)| (*status, *times)).collect()
    }

    /// Whether its last health check failed.
    pub fn is_sick(&self) -> bool {
        self.sick.load(Relaxed)
    }

    /// What its last health check found.
    pub fn checked(&self, well: bool) {
        self.sick.store(!well, Relaxed);
    }

    /// Whether it is known to be well: it answered, and did not fail since. A rate limit is no failure of that kind.
    pub(crate) fn is_well(&self) -> bool {
        self.well.load(Relaxed)
    }

    /// Whether it surely neither rests nor is down; the quick answer where nothing happened lately.
    pub(crate) fn is_clear_at(&self, at: u64) -> bool {
        self.slot.words().is_clear_at(at)
    }

    pub(crate) fn is_cooling_at(&self, at: u64) -> bool {
        self.cooling_until().load(Relaxed) > at
    }

    /// An attempt goes out to it. The first one after a rest is a trial, and until that ends the others go elsewhere;
    /// one that takes long is followed by another.
    pub(crate) fn tried(&self, now: Instant) {
        if self.trial.load(Relaxed) != OPEN && !self.is_cooling(now) {
            self.trial.store(ON_TRIAL, Relaxed);
            self.raise(self.cooling_until(), self.millis(now) + millis(TRIAL));
        }
    }

    /// Whether it fails for everyone.
    pub fn is_down(&self) -> bool {
        self.streak.load(Relaxed) >= STREAK
    }

    /// When it stops resting; compares with that of others only through [`Health::rest_left`].
    pub(crate) fn rest_left(&self, now: Instant) -> u64 {
        self.cooling_until().load(Relaxed).saturating_sub(self.millis(now))
    }

    /// Whether an attempt that is not a call's first may go out at `at`.
    pub(crate) fn may_be_tried(&self, at: Instant) -> bool {
        self.may_be_tried_at(self.millis(at))
    }

    pub(crate) fn may_be_tried_at(&self, at: u64) -> bool {
        !self.is_down() || self.down_until.load(Relaxed) <= at
    }

    /// Takes the right to such an attempt; of several who ask while it is down, one gets it.
    pub(crate) fn claim(&self, now: Instant) -> bool {
        if !self.is_down() {
            return true;
        }
        let (at, until) = (self.millis(now), self.down_until.load(Relaxed));
        self.slot.words().raise_trouble(at + millis(DOWN));
        until <= at && self.down_until.compare_exchange(until, at + millis(DOWN), Relaxed, Relaxed).is_ok()
    }

    /// Ends when it goes down.
    pub(crate) async fn went_down(&self) {
        self.went_down.notified().await;
    }

    /// An attempt reached its first content.
    pub(crate) fn succeeded(&self, now: Instant) {
        self.minute.add(minute(self.millis(now)), (1, 0));
        self.streak.store(0, Relaxed);
        self.well.store(true, Relaxed);
        if self.trial.load(Relaxed) == ON_TRIAL {
            self.trial.store(OPEN, Relaxed);
            self.cooling_until().store(0, Relaxed);
            self.own_until.store(0, Relaxed);
        }
    }

    /// An attempt failed. Answers how long it rests where a rest begins with it.
    pub(crate) fn failed(&self, err: &Error, now: Instant, judgement: Judgement) -> Option<Duration> {
        let at = self.millis(now);
        if err.kind().cooldown() == Cooldown::Never {
            self.end_trial_undecided();
            return None;
        }
        if err.kind() != ErrorKind::RateLimited {
            self.well.store(false, Relaxed);
        }
        let counted = self.minute.add(minute(at), (1, 1));
        if fails_for_everyone(err.kind()) {
            self.raise(&self.down_until, at + millis(DOWN));
            if self.streak.fetch_add(1, Relaxed) + 1 == STREAK {
                self.went_down.notify_waiters();
            }
        }
        self.rest(err, at, counted, judgement)
    }

    /// An attempt that had succeeded failed after all. It is no sign of an outage, for what it had said was said. Answers as
    /// above.
    pub(crate) fn broke_off(&self, err: &Error, now: Instant, judgement: Judgement) -> Option<Duration> {
        let at = self.millis(now);
        if err.kind().cooldown() == Cooldown::Never {
            return None;
        }
        if err.kind() != ErrorKind::RateLimited {
            self.well.store(false, Relaxed);
        }
        let counted = self.minute.add(minute(at), (0, 1));
        self.rest(err, at, counted, judgement)
    }

    /// Lets it rest where the failure, or the share of failures, is reason enough.
    fn rest(
        &self,
        err: &Error,
        at: u64,
        (requests, failures): (u64, u64),
        judgement: Judgement,
    ) -> Option<Duration> {
        let Judgement { replaceable, rest, allowed } = judgement;
        if rest.is_zero() {
            self.end_trial_undecided();
            return None;
        }
        // What failed now may have been counted as a request in the minute before.
        let requests = requests.max(failures);
        let enough = match (allowed, err.kind().cooldown()) {
            (_, Cooldown::Never) => false,
            (Some(allowed), _) => self.fails.add(at / millis(rest).max(1), (0, 1)).1 > u64::from(allowed),
            (None, Cooldown::Counted) => requests >= FEW && failures * 2 > requests,
            (None, Cooldown::Immediate) => true,
        };
        let failed_trial = self.trial.load(Relaxed) == ON_TRIAL;
        if (enough || failed_trial) && replaceable {
            let rest = err.retry_after().unwrap_or(rest).min(LONGEST_REST);
            let begins = !self.is_cooling_at(at);
            self.own_until.fetch_max(at + millis(rest), Relaxed);
            self.cool_until(at + millis(rest));
            *self.rests.lock().entry(err.status().as_u16()).or_default() += 1;
            return begins.then_some(rest);
        }
        if failed_trial {
            // Nobody can take its place.
            self.end_trial_undecided();
        }
        None
    }

    /// The trial tells nothing, or nobody minds: the next attempt is another.
    fn end_trial_undecided(&self) {
        if self.trial.compare_exchange(ON_TRIAL, RESTED, Relaxed, Relaxed).is_ok() {
            self.cooling_until().store(0, Relaxed);
        }
    }

    fn cool_until(&self, until: u64) {
        self.raise(self.cooling_until(), until);
        self.trial.store(RESTED, Relaxed);
    }

    fn cooling_until(&self) -> &AtomicU64 {
        self.slot.words().cooling_until()
    }

    fn raise(&self, time: &AtomicU64, until: u64) {
        self.slot.words().raise_trouble(until);
        time.fetch_max(until, Relaxed);
    }

    pub(crate) fn millis(&self, at: Instant) -> u64 {
        millis(at.saturating_duration_since(self.epoch))
    }
}

/// A rate limit is not an outage: whoever waits as asked will be served.
fn fails_for_everyone(kind: ErrorKind) -> bool {
    kind.retry() == Retry::Anywhere && kind != ErrorKind::RateLimited
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn minute(millis: u64) -> u64 {
    millis / 60_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Slots;

    const REPLACEABLE: Judgement =
        Judgement { replaceable: true, rest: Duration::from_secs(5), allowed: None };

    fn fresh() -> Health {
        Health::new(Instant::now(), Slots::default().next())
    }

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
            let health = fresh();
            for kind in &kinds {
                health.failed(&error(*kind), Instant::now(), REPLACEABLE);
            }
            assert_eq!(health.is_cooling(Instant::now()), rests, "{kinds:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn half_of_the_requests_may_fail() {
        let (health, now) = (fresh(), Instant::now());
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
        let health = fresh();
        for _ in 0..4 {
            health.failed(&error(ErrorKind::Upstream), Instant::now(), REPLACEABLE);
        }
        tokio::time::advance(Duration::from_secs(60)).await;
        health.failed(&error(ErrorKind::Upstream), Instant::now(), REPLACEABLE);
        assert!(!health.is_cooling(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_deployment_of_a_group_never_rests() {
        let health = fresh();
        let last = Judgement { replaceable: false, ..REPLACEABLE };
        health.failed(&error(ErrorKind::RateLimited), Instant::now(), last);
        assert!(!health.is_cooling(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn it_rests_as_long_as_the_upstream_asks() {
        for (asked, rest) in [(None, 5), (Some(1), 1), (Some(30), 30), (Some(90_000), 3600)] {
            let (health, start) = (fresh(), Instant::now());
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
    async fn a_rest_that_another_replica_told_is_not_told_on() {
        let (health, now) = (fresh(), Instant::now());
        health.rest_for(Duration::from_secs(9), now);
        assert_eq!((health.is_cooling(now), health.own_rest(now)), (true, Duration::ZERO));
        health.failed(&error(ErrorKind::RateLimited), now, REPLACEABLE);
        assert_eq!(health.own_rest(now), REPLACEABLE.rest);
        // Its trial ends both.
        let later = now + Duration::from_secs(9);
        health.tried(later);
        health.succeeded(later);
        assert_eq!((health.is_cooling(later), health.own_rest(later)), (false, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_down_gets_one_probe_at_a_time_until_it_answers() {
        let (health, now) = (fresh(), Instant::now());
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
        let health = fresh();
        for _ in 0..100 {
            health.failed(&error(ErrorKind::RateLimited), Instant::now(), REPLACEABLE);
        }
        assert!(!health.is_down());
    }
}
