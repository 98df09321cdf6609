//! Stands before whoever helps the cache: waits for it only so long, and lets it alone for a while once it fails.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

use super::Fault;
use crate::breaker::Breaker;

/// So many failures in a row, and it is let alone.
const MOST_FAILURES: u32 = 3;

/// Stands before one helper.
pub(super) struct Guard {
    /// Its name in the log.
    what: &'static str,
    patience: Duration,
    rest: Duration,
    breaker: Breaker,
}

// === impl Guard ===

impl Guard {
    /// Waits for answers for `patience`; lets it alone for `rest`, then one question tries.
    pub(super) fn new(what: &'static str, patience: Duration, rest: Duration) -> Self {
        Self { what, patience, rest, breaker: Breaker::new(MOST_FAILURES, rest, now()) }
    }

    /// What it answers; nothing where it does not, or is let alone. `answer` is not begun then.
    pub(super) async fn ask<T>(&self, answer: impl Future<Output = Result<T, Fault>>) -> Option<T> {
        if !self.breaker.lets(now()) {
            return None;
        }
        let answered = timeout(self.patience, answer).await;
        match answered.unwrap_or_else(|_| Err(Fault::away("no answer in time"))) {
            Ok(told) => {
                if self.breaker.answered() {
                    info!(what = self.what, "answers again");
                }
                Some(told)
            }
            Err(fault) if fault.away => {
                if self.breaker.failed(now()) {
                    let rest = self.rest.as_secs_f64();
                    warn!(what = self.what, error = %fault, rest, "does not answer; it is let alone for a while");
                }
                None
            }
            Err(fault) => {
                debug!(what = self.what, error = %fault, "gives no answer");
                None
            }
        }
    }
}

/// Time as tests of this module may stop it.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(200);
    const REST: Duration = Duration::from_secs(10);

    fn guard() -> Guard {
        Guard::new("the test", PATIENCE, REST)
    }

    async fn fails(guard: &Guard) -> Option<()> {
        guard.ask(async { Err(Fault::away("down")) }).await
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_hangs_costs_its_patience_three_times_and_then_nothing() {
        let guard = guard();
        let began = Instant::now();
        for asked in 1..=10 {
            assert_eq!(guard.ask(pending::<Result<(), Fault>>()).await, None);
            assert_eq!(began.elapsed(), PATIENCE * asked.min(MOST_FAILURES));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_rest_one_question_tries_for_all() {
        let guard = guard();
        for _ in 0..MOST_FAILURES {
            fails(&guard).await;
        }
        tokio::time::advance(REST).await;
        let asked = AtomicU32::new(0);
        let hangs = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            pending::<Result<(), Fault>>().await
        };
        tokio::join!(guard.ask(hangs()), guard.ask(hangs()), guard.ask(hangs()));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        tokio::time::advance(REST).await;
        assert_eq!(guard.ask(async { Ok(1) }).await, Some(1));
        assert_eq!(guard.ask(async { Ok(2) }).await, Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_that_are_not_in_a_row_or_not_its_own_let_it_be_asked_on() {
        let guard = guard();
        for _ in 0..10 {
            fails(&guard).await;
            assert_eq!(guard.ask(async { Ok(1) }).await, Some(1));
        }
        for _ in 0..10 {
            assert_eq!(guard.ask(async { Err::<(), _>(Fault::refused("too long")) }).await, None);
        }
        assert_eq!(guard.ask(async { Ok(1) }).await, Some(1));
    }
}
