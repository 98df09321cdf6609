//! A call that waits does so by the limits as they are by then.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use gatewright_core::{
    Call, CallService, Error, ErrorKind, Frame, Frames, Middleware, Money, Reply, Result, SystemClock,
};
use gatewright_limits::{Foresee, Limits, Local, Need, Renewed, Rule, Rules, Ruling, Wanted, Window};
use tokio::time::{Instant, advance};
use tower::service_fn;

use crate::call::call;
use crate::costs::tokens;

/// A budget that an administrator changes.
struct Changing(AtomicI64);

impl Rules for Changing {
    fn rules(&self, _: &Call, out: &mut Ruling) {
        let most = Money(self.0.load(Ordering::SeqCst));
        out.push(Rule::money("api_key", "k".into(), most, Window::Forever));
    }

    fn renewed<'a>(&'a self, call: &'a Call) -> Renewed<'a> {
        let mut rules = Ruling::new();
        self.rules(call, &mut rules);
        Box::pin(std::future::ready(Some(rules)))
    }
}

struct Needs(Need);

impl Foresee for Needs {
    fn need(&self, _: &Call, _: Wanted) -> Need {
        self.0
    }
}

fn answers() -> impl CallService {
    service_fn(async |_: Call| Ok(Reply { head: Box::default(), frames: Frames::one(Frame::default()) }))
}

/// Two of three calls that need 600 each under a budget of 1000: one runs, one waits.
async fn while_one_waits(then: i64) -> (Result<()>, Duration) {
    let rules = Arc::new(Changing(AtomicI64::new(1_000)));
    let (clock, need) = (Arc::new(SystemClock), tokens(600, 600));
    let local = Arc::new(Local::new(clock.clone()));
    let limits = Limits::new(rules.clone(), local, Arc::new(Needs(need)), clock);
    let (stuck, next) =
        (service_fn(async |_: Call| std::future::pending::<Result<Reply>>().await), answers());
    let mut running = Box::pin(limits.handle(call(), &stuck));
    assert!((&mut running).now_or_never().is_none());
    let began = Instant::now();
    let mut waiting = Box::pin(limits.handle(call(), &next));
    assert!((&mut waiting).now_or_never().is_none(), "it waits for what the other holds");
    advance(Duration::from_secs(2)).await;
    assert!((&mut waiting).now_or_never().is_none(), "nothing was changed");
    rules.0.store(then, Ordering::SeqCst);
    let answer = waiting.await.map(drop);
    (answer, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_raised_lets_a_call_in_that_waits() {
    let (answer, waited) = while_one_waits(2_000).await;
    assert!(answer.is_ok() && waited < Duration::from_secs(3), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_lowered_refuses_a_call_that_waits_and_tells_the_limit_that_is() {
    let (answer, waited) = while_one_waits(500).await;
    let err: Error = answer.unwrap_err();
    assert!(waited < Duration::from_secs(3), "{waited:?}");
    assert_eq!(err.kind(), ErrorKind::BudgetExceeded);
    assert!(err.message().ends_with("Max budget: 0.0000005"), "{}", err.message());
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_changed_keeps_a_call_waiting_no_longer_than_others() {
    let (answer, waited) = while_one_waits(1_001).await;
    assert!(answer.is_err());
    assert!((Duration::from_secs(10)..Duration::from_secs(11)).contains(&waited), "{waited:?}");
}
