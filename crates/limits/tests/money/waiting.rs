//! Who waits for money that others hold: in order, no longer than told, and without a trace.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::costs::{budget, cost, figures, hold, nothing, tokens};
use gatewright_core::{HandClock, Money};
use gatewright_limits::{Counters, Grant, Local, LocalHold, Refused, Rule};
use tokio::time::Instant;

const LONG: Duration = Duration::from_secs(10);

type Waiting<'a> = Pin<Box<dyn Future<Output = Result<(LocalHold, Grant), Refused>> + Send + 'a>>;

/// A call that has asked already, and got nothing yet.
fn waiting<'a>(local: &'a Local, rules: &'a [Rule], size: u64) -> Waiting<'a> {
    let mut claim: Waiting<'a> = Box::pin(async move { local.hold(rules, &tokens(size, size), LONG).await });
    assert!(poll(&mut claim).is_pending());
    claim
}

fn poll(claim: &mut Waiting<'_>) -> Poll<Result<(LocalHold, Grant), Refused>> {
    claim.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn got(claim: &mut Waiting<'_>) -> LocalHold {
    match poll(claim) {
        Poll::Ready(Ok((held, _))) => held,
        Poll::Ready(Err(err)) => panic!("{err:?}"),
        Poll::Pending => panic!("it still waits"),
    }
}

#[tokio::test(start_paused = true)]
async fn who_came_first_is_let_in_first() {
    let local = Local::new(HandClock::new());
    let rules = [budget("k", 1_000)];
    let (all, _) = hold(&local, &rules, &tokens(900, 900)).unwrap();
    let mut large = waiting(&local, &rules, 800);
    let mut small = waiting(&local, &rules, 150);
    // There is room for it, but others came before.
    let mut smallest = waiting(&local, &rules, 50);
    assert!(poll(&mut small).is_pending() && poll(&mut smallest).is_pending());
    local.settle(&all, cost(0));
    assert!(poll(&mut smallest).is_pending(), "it is not its turn");
    let first = got(&mut large);
    let second = got(&mut small);
    let third = got(&mut smallest);
    assert_eq!(figures(&local, "k"), (0, 1_000));
    [first, second, third].into_iter().for_each(|held| local.settle(&held, cost(1)));
    assert_eq!(figures(&local, "k"), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_refused_and_leaves_its_place() {
    let local = Local::new(HandClock::new());
    let rules = [budget("k", 1_000)];
    let (_all, _) = hold(&local, &rules, &tokens(900, 900)).unwrap();
    let began = Instant::now();
    let got = local.hold(&rules, &tokens(500, 500), Duration::from_secs(3)).await;
    assert!(matches!(got, Err(Refused::Full { taken: 900, .. })));
    assert_eq!(began.elapsed(), Duration::from_secs(3));
    assert_eq!(local.spent("api_key", "k")[0].waiting, 0);
    assert!(hold(&local, &rules, &tokens(100, 100)).is_ok(), "nobody is before it");
}

#[tokio::test(start_paused = true)]
async fn what_is_in_vain_is_refused_at_once() {
    let local = Local::new(HandClock::new());
    let rules = [budget("k", 1_000)];
    let (all, _) = hold(&local, &rules, &tokens(600, 600)).unwrap();
    let (rest, _) = hold(&local, &rules, &tokens(400, 400)).unwrap();
    let began = Instant::now();
    assert!(local.hold(&rules, &tokens(1_001, 1_001), LONG).await.is_err());
    let mut large = waiting(&local, &rules, 500);
    let mut small = waiting(&local, &rules, 100);
    local.settle(&all, cost(600));
    // Whatever the rest costs, there is no room for it any more; those behind it need not wait for it to notice.
    assert!(matches!(poll(&mut large), Poll::Ready(Err(Refused::Full { taken: 1_000, .. }))));
    assert!(poll(&mut small).is_pending());
    local.settle(&rest, cost(300));
    got(&mut small);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_makes_way_for_the_next() {
    let local = Local::new(HandClock::new());
    let rules = [budget("k", 1_000)];
    let (_all, _) = hold(&local, &rules, &tokens(900, 900)).unwrap();
    let large = waiting(&local, &rules, 500);
    let need = tokens(100, 100);
    let leaves = async {
        tokio::task::yield_now().await;
        assert_eq!(local.spent("api_key", "k")[0].waiting, 2);
        drop(large);
    };
    let (next, ()) = tokio::join!(local.hold(&rules, &need, LONG), leaves);
    assert!(next.is_ok());
    assert_eq!(local.spent("api_key", "k")[0].waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_one_budget_holds_up_nobody_at_another() {
    let local = Local::new(HandClock::new());
    let both =
        |key: &str| [budget("proxy", 10_000), budget(key, 1_000), Rule::parallel("api_key", "x".into(), 3)];
    let (a, b) = (both("a"), both("b"));
    let (held, _) = hold(&local, &a, &tokens(900, 900)).unwrap();
    let mut waits = waiting(&local, &a, 900);
    assert_eq!(figures(&local, "proxy"), (0, 900), "who waits holds nothing");
    assert!(hold(&local, &b, &tokens(900, 900)).is_ok());
    assert!(hold(&local, &b[2..], &tokens(0, 0)).is_ok(), "nor a permit");
    local.settle(&held, cost(10));
    got(&mut waits);
}

#[tokio::test(start_paused = true)]
async fn who_moves_to_another_queue_keeps_its_turn() {
    let local = Local::new(HandClock::new());
    let both = [budget("a", 1_000), budget("b", 1_000)];
    let (of_a, _) = hold(&local, &both[..1], &tokens(1_000, 1_000)).unwrap();
    let mut first = waiting(&local, &both, 600);
    let (of_b, _) = hold(&local, &both[1..], &tokens(1_000, 1_000)).unwrap();
    let mut later = waiting(&local, &both[1..], 600);
    local.settle(&of_a, cost(0));
    assert!(poll(&mut first).is_pending(), "now b is in the way");
    assert!(hold(&local, &both[..1], &tokens(1_000, 1_000)).is_ok_and(|(held, _)| {
        local.settle(&held, cost(0));
        true
    }));
    local.settle(&of_b, cost(0));
    assert!(poll(&mut later).is_pending(), "it came later");
    let held = got(&mut first);
    assert!(poll(&mut later).is_pending(), "there is no room for both");
    local.settle(&held, cost(0));
    got(&mut later);
}

#[tokio::test(start_paused = true)]
async fn an_admin_who_raises_a_budget_wakes_who_waits() {
    let local = Local::new(HandClock::new());
    let rules = [budget("k", 1_000).spent(Money(300))];
    let (_all, _) = hold(&local, &rules, &tokens(700, 700)).unwrap();
    let need = tokens(200, 200);
    let raises = async {
        tokio::task::yield_now().await;
        local.reset(nothing("api_key"));
    };
    let (next, ()) = tokio::join!(local.hold(&rules, &need, LONG), raises);
    assert!(next.is_ok());
}

#[tokio::test(start_paused = true)]
async fn those_that_wait_share_what_comes_back() {
    let local = Local::new(HandClock::new());
    let rules = [budget("k", 10_000)];
    let (all, _) = hold(&local, &rules, &tokens(10_000, 10_000)).unwrap();
    let asks = |(least, cap)| {
        let (local, rules) = (&local, &rules);
        let mut claim: Waiting<'_> =
            Box::pin(async move { local.hold(rules, &tokens(least, cap), LONG).await });
        assert!(poll(&mut claim).is_pending());
        claim
    };
    let mut claims: Vec<_> =
        [(256, 10_000), (256, 10_000), (6_000, 6_000), (256, 10_000)].into_iter().map(asks).collect();
    local.settle(&all, cost(0));
    let grants: Vec<_> = claims
        .iter_mut()
        .map(|claim| match poll(claim) {
            Poll::Ready(Ok((_, grant))) => Some(grant.output),
            _ => None,
        })
        .collect();
    assert_eq!(
        grants,
        [Some(2_500), Some(2_500), None, None],
        "the third needs 6,000 and is before the fourth"
    );
}
