//! Holds that are fitted to further attempts of their calls.

use std::time::Duration;

use futures_util::FutureExt;
use gatewright_core::{HandClock, Money};
use gatewright_limits::{Counters, Local, LocalHold, Need, Refused, Rule, Window};

use crate::costs::{budget, cost, figures, hold, tokens};

fn fit(local: &Local, hold: &LocalHold, rules: &[Rule], need: &Need, spent: i64) -> Result<u64, Refused> {
    local.fit(hold, rules, need, Money(spent)).now_or_never().unwrap()
}

#[test]
fn an_attempt_is_held_for_on_top_of_what_was_spent() {
    for (others, least, cap, spent, covered, held) in [
        // What is held is enough, and stays.
        (300, 300, 300, 100, Some(300), 500),
        (500, 500, 500, 0, Some(500), 500),
        // More is taken in one step.
        (300, 500, 500, 200, Some(500), 700),
        // There is less: the cap shrinks to it, but not below the least.
        (400, 100, 500, 200, Some(400), 600),
        (400, 500, 500, 200, None, 500),
        // It fits as it is.
        (500, 1, 500, 200, Some(300), 500),
        (500, 1, 500, 500, None, 500),
        // It cost more than it held: that is booked, and nothing is left for more.
        (500, 1, 500, 600, None, 500),
        (300, 1, 500, 600, Some(100), 700),
    ] {
        let local = Local::new(HandClock::new());
        let rules = [budget("k", 1_000)];
        let (other, _) = hold(&local, &rules, &tokens(others, others)).unwrap();
        let (own, _) = hold(&local, &rules, &tokens(500, 500)).unwrap();
        let told = fit(&local, &own, &rules, &tokens(least, cap), spent);
        let case = format!("{others} {least}..{cap} after {spent}");
        assert_eq!(told.as_ref().ok(), covered.as_ref(), "{case}: {told:?}");
        assert_eq!(figures(&local, "k"), (0, others as i64 + held), "{case}");
        local.settle(&own, cost(spent));
        assert_eq!(figures(&local, "k"), (spent, others as i64), "{case}");
        local.settle(&other, cost(0));
        assert_eq!(local.spent("api_key", "k")[0].running, 0, "{case}");
    }
}

#[test]
fn all_budgets_are_held_together_or_as_before() {
    let local = Local::new(HandClock::new());
    let rules = [budget("wide", 10_000), budget("narrow", 1_000)];
    let (own, _) = hold(&local, &rules, &tokens(600, 600)).unwrap();
    assert!(fit(&local, &own, &rules, &tokens(600, 600), 500).is_err());
    assert_eq!((figures(&local, "wide"), figures(&local, "narrow")), ((0, 600), (0, 600)));
    assert_eq!(fit(&local, &own, &rules, &tokens(100, 600), 500).unwrap(), 500);
    assert_eq!((figures(&local, "wide"), figures(&local, "narrow")), ((0, 1_000), (0, 1_000)));
}

#[test]
fn a_running_call_passes_those_that_wait_for_it() {
    let local = Local::new(HandClock::new());
    let rules = [budget("k", 1_000)];
    let (own, _) = hold(&local, &rules, &tokens(600, 600)).unwrap();
    let need = tokens(500, 500);
    let mut other = Box::pin(local.hold(&rules, &need, Duration::from_secs(60)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    assert!((&mut other).now_or_never().is_none());
    assert_eq!(fit(&local, &own, &rules, &tokens(600, 600), 300).unwrap(), 600);
    local.settle(&own, cost(400));
    assert!(other.now_or_never().unwrap().is_ok());
}

#[test]
fn a_call_that_goes_elsewhere_holds_of_what_counts_there_from_then_on() {
    let local = Local::new(HandClock::new());
    let model = |id: &str| {
        [
            Rule::money("model_per_key", id.into(), Money(1_000), Window::Forever),
            Rule::requests("model_per_key", id.into(), 2),
            Rule::parallel("model_per_key", id.into(), 1),
        ]
    };
    let with = |id: &str| [[budget("k", 2_000)].as_slice(), &model(id)].concat();
    let spent = |id: &str| local.spent("model_per_key", id).pop().unwrap();
    let (own, _) = hold(&local, &with("a"), &tokens(500, 500)).unwrap();
    assert_eq!(fit(&local, &own, &with("b"), &tokens(700, 700), 300).unwrap(), 700);
    assert_eq!(figures(&local, "k"), (0, 1_000));
    assert_eq!((spent("a").settled, spent("a").held, spent("a").running), (Money(300), Money(0), 0));
    assert_eq!((spent("b").settled, spent("b").held, spent("b").running), (Money(0), Money(700), 1));
    // What runs at the one is free at the other.
    let (next, _) = hold(&local, &with("a"), &tokens(100, 100)).unwrap();
    assert!(matches!(hold(&local, &with("b"), &tokens(1, 1)), Err(Refused::Full { rule: 3, .. })));
    local.settle(&own, cost(900));
    assert_eq!(
        (figures(&local, "k"), spent("a").settled, spent("b").settled),
        ((900, 100), Money(300), Money(600))
    );
    local.settle(&next, cost(100));
    assert!(hold(&local, &with("a"), &tokens(1, 1)).is_err(), "two requests were made there");
    assert!(hold(&local, &with("b"), &tokens(1, 1)).is_ok());
}

#[test]
fn a_call_that_is_refused_elsewhere_holds_what_it_held() {
    let local = Local::new(HandClock::new());
    let full = Rule::parallel("model_per_key", "b".into(), 0);
    let (own, _) = hold(&local, &[budget("k", 1_000)], &tokens(500, 500)).unwrap();
    let refused = fit(&local, &own, &[budget("k", 1_000), budget("b", 1_000), full], &tokens(700, 700), 100);
    assert!(matches!(refused, Err(Refused::Full { rule: 2, .. })));
    assert_eq!((figures(&local, "k"), figures(&local, "b")), ((0, 500), (0, 0)));
    let [left] = local.spent("api_key", "b").try_into().unwrap();
    assert_eq!(left.running, 0);
    local.settle(&own, cost(100));
    assert_eq!(figures(&local, "k"), (100, 0));
}

#[test]
fn a_call_that_was_free_holds_once_it_is_not() {
    let local = Local::new(HandClock::new());
    let rules = [budget("k", 1_000)];
    let (own, _) = hold(&local, &rules, &Need::default()).unwrap();
    assert_eq!(local.spent("api_key", "k")[0].running, 0);
    assert_eq!(fit(&local, &own, &rules, &tokens(300, 300), 0).unwrap(), 300);
    assert_eq!(local.spent("api_key", "k")[0].running, 1);
    local.settle(&own, cost(300));
    assert_eq!((figures(&local, "k"), local.spent("api_key", "k")[0].running), ((300, 0), 0));
}
