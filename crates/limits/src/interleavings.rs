//! What threads may do to shared budgets in any order: shuttle tries the orders in which they take the locks.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use gatewright_core::{Money, Price, SystemClock};
use shuttle::future::block_on;
use shuttle::thread;

use crate::claim::Claim;
use crate::counters::{Counters, Used};
use crate::local::Local;
use crate::need::Need;
use crate::rule::{Rule, Window};

const LIMIT: i64 = 100;

fn budgets(ids: &[&str]) -> Vec<Rule> {
    ids.iter().map(|id| Rule::money("api_key", (*id).into(), Money(LIMIT), Window::Forever)).collect()
}

/// One nano-dollar a token.
fn need(tokens: u64) -> Need {
    Need {
        output: Price(1_000_000),
        output_cap: tokens,
        least_output: tokens,
        known_cap: true,
        ..Need::default()
    }
}

/// Waits for its turn, costs this, and ends. Answers whether it was let in.
fn call(local: &Local, ids: &[&str], size: u64, cost: i64) -> bool {
    let (rules, need) = (budgets(ids), need(size));
    match block_on(Claim::new(local, &rules, &need)) {
        Ok((held, _)) => {
            keeps_the_limit(local);
            local.settle(&held, Used { cost: Money(cost), ..Used::default() });
            true
        }
        Err(_) => false,
    }
}

/// Asks once and goes away.
fn leave(local: &Local, ids: &[&str], size: u64) {
    let (rules, need) = (budgets(ids), need(size));
    let mut claim = pin!(Claim::new(local, &rules, &need));
    if let std::task::Poll::Ready(Ok((held, _))) =
        claim.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    {
        thread::yield_now();
        local.settle(&held, Used::default());
    }
}

/// Is let in, spends this, and tries once more, for this or less. Answers what it cost in all.
fn call_twice(local: &Local, size: u64, spent: u64, more: u64) -> u64 {
    let (rules, first) = (budgets(&["a"]), need(size));
    let Ok((held, _)) = block_on(Claim::new(local, &rules, &first)) else { return 0 };
    let again = Need { least_output: 1, ..need(more) };
    let second = block_on(local.fit(&held, &rules, &again, Money(spent as i64))).unwrap_or_default();
    keeps_the_limit(local);
    thread::yield_now();
    local.settle(&held, Used { cost: Money((spent + second) as i64), ..Used::default() });
    spent + second
}

fn keeps_the_limit(local: &Local) {
    for id in ["a", "b"] {
        for spent in local.spent("api_key", id) {
            assert!(spent.settled.0 + spent.held.0 <= LIMIT, "{id}: {spent:?}");
        }
    }
}

fn ends_with(local: &Local, id: &str, settled: i64) {
    let spent = local.spent("api_key", id);
    let [spent] = spent.as_slice() else { panic!("{spent:?}") };
    assert_eq!(
        (spent.settled, spent.held, spent.running, spent.waiting),
        (Money(settled), Money::ZERO, 0, 0),
        "{id}"
    );
}

fn check(scenario: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(scenario.clone(), 2_000);
    shuttle::check_pct(scenario, 1_000, 3);
}

/// A waker that is lost leaves a thread that waits for ever, which shuttle reports.
#[test]
fn all_that_fit_one_after_the_other_are_let_in() {
    check(|| {
        let local = Arc::new(Local::new(Arc::new(SystemClock)));
        let threads = [60, 60, 70, 40].map(|size| {
            let local = local.clone();
            thread::spawn(move || assert!(call(&local, &["a"], size, 10)))
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        ends_with(&local, "a", 40);
    });
}

#[test]
fn who_leaves_takes_nobody_else_along() {
    check(|| {
        let local = Arc::new(Local::new(Arc::new(SystemClock)));
        let mut threads = vec![thread::spawn({
            let local = local.clone();
            move || leave(&local, &["a"], 70)
        })];
        for _ in 0..3 {
            let local = local.clone();
            threads.push(thread::spawn(move || assert!(call(&local, &["a"], 70, 10))));
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        ends_with(&local, "a", 30);
    });
}

#[test]
fn several_budgets_are_held_together_or_not_at_all() {
    check(|| {
        let local = Arc::new(Local::new(Arc::new(SystemClock)));
        let plans: [(&[&str], u64, i64); 4] =
            [(&["a", "b"], 60, 15), (&["b", "a"], 60, 15), (&["a"], 70, 5), (&["b"], 70, 5)];
        let threads = plans.map(|(ids, size, cost)| {
            let local = local.clone();
            thread::spawn(move || assert!(call(&local, ids, size, cost)))
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        ends_with(&local, "a", 35);
        ends_with(&local, "b", 35);
    });
}

#[test]
fn further_attempts_are_held_for_too_and_wait_for_nobody() {
    check(|| {
        let local = Arc::new(Local::new(Arc::new(SystemClock)));
        let threads = [(30, 30, 40), (30, 25, 70), (40, 40, 60), (60, 5, 60)].map(|(size, spent, more)| {
            let local = local.clone();
            thread::spawn(move || call_twice(&local, size, spent, more))
        });
        let spent: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert!(spent <= LIMIT as u64, "{spent}");
        ends_with(&local, "a", spent as i64);
    });
}

#[test]
fn what_is_spent_is_never_more_than_the_limit() {
    check(|| {
        let local = Arc::new(Local::new(Arc::new(SystemClock)));
        let threads = [45, 45, 45, 30].map(|size| {
            let local = local.clone();
            thread::spawn(move || if call(&local, &["a"], size, size as i64) { size as i64 } else { 0 })
        });
        let spent: i64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert!((75..=LIMIT).contains(&spent), "{spent}");
        ends_with(&local, "a", spent);
    });
}
