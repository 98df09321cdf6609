//! What is counted: never more than the limit, never less than what there is room for.
#![cfg(test)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use gatewright_core::{Clock, HandClock};
use gatewright_limits::{Counter, Counters, Local, LocalHold, Need, Refused, Rule, Used, Window};
use proptest::prelude::*;

fn hold(local: &Local, rules: &[Rule], tokens: u64) -> Result<LocalHold, Refused> {
    let need = Need { tokens, ..Need::default() };
    local.hold(rules, &need, Duration::ZERO).now_or_never().unwrap().map(|(hold, _)| hold)
}

fn settle(local: &Local, hold: LocalHold, tokens: u64) {
    local.settle(&hold, Used { tokens, ..Used::default() });
}

fn rule(scope: &'static str, id: u8, counter: Counter, limit: u64, seconds: u64) -> Rule {
    let window = match counter {
        Counter::Parallel => Window::Forever,
        Counter::Requests | Counter::Tokens | Counter::Money => Window::Rolling(Duration::from_secs(seconds)),
    };
    Rule::new(scope, format!("{id}").into(), counter, limit, window)
}

#[test]
fn a_call_takes_from_every_limit_or_from_none() {
    let local = Local::new(HandClock::new());
    let open = rule("api_key", 1, Counter::Requests, 10, 60);
    let shut = rule("proxy", 1, Counter::Parallel, 0, 0);
    for _ in 0..50 {
        match hold(&local, &[open.clone(), shut.clone()], 0) {
            Err(Refused::Full { rule: 1, taken: 0, .. }) => {}
            other => panic!("{:?}", other.err()),
        }
    }
    let admitted = (0..50).filter(|_| hold(&local, std::slice::from_ref(&open), 0).is_ok()).count();
    assert_eq!(admitted, 10);
}

#[test]
fn a_rule_that_is_named_twice_counts_twice() {
    let local = Local::new(HandClock::new());
    let twice = [rule("api_key", 1, Counter::Requests, 1, 60), rule("api_key", 1, Counter::Requests, 1, 60)];
    assert!(hold(&local, &twice, 0).is_err());
    assert!(hold(&local, &twice[..1], 0).is_ok());
}

#[test]
fn a_window_starts_with_its_first_call_and_ends_whole() {
    let clock = HandClock::new();
    let local = Local::new(clock.clone());
    let rules = [rule("api_key", 1, Counter::Requests, 2, 60)];
    let mut seen = Vec::new();
    for wait in [0, 59, 0, 1, 0, 0] {
        clock.forward(Duration::from_secs(wait));
        seen.push(match hold(&local, &rules, 0) {
            Ok(_) => None,
            Err(Refused::Full { resets_in, .. }) => resets_in.map(|wait| wait.as_secs()),
            Err(Refused::Away(err)) => panic!("{err}"),
        });
    }
    assert_eq!(seen, [None, None, Some(1), None, None, Some(60)]);
}

#[test]
fn tokens_are_put_right_when_a_call_ends() {
    // Estimate, what was used, seconds until the end; then how much a limit of 100 still lets in.
    for (estimate, used, seconds, left) in [
        (60, 10, 5, 90),
        (60, 60, 5, 40),
        (60, 90, 5, 10),
        (60, 400, 5, 0),
        (60, 0, 5, 100),
        // The window is over: what was held too many is gone with it, the rest counts now.
        (60, 10, 61, 100),
        (60, 90, 61, 70),
        (60, 400, 61, 0),
        (0, 30, 5, 70),
    ] {
        let clock = HandClock::new();
        let local = Local::new(clock.clone());
        let rules = [rule("api_key", 1, Counter::Tokens, 100, 60)];
        let held = hold(&local, &rules, estimate).unwrap();
        clock.forward(Duration::from_secs(seconds));
        settle(&local, held, used);
        let fits = |tokens| match hold(&local, &rules, tokens) {
            Ok(held) => {
                settle(&local, held, 0);
                true
            }
            Err(_) => false,
        };
        let most = (1..=100).rev().find(|tokens| fits(*tokens)).unwrap_or(0);
        assert_eq!(most, left, "{estimate} held, {used} used after {seconds} s");
    }
}

#[test]
fn counts_that_say_nothing_are_forgotten() {
    let clock = HandClock::new();
    let local = Local::new(clock.clone());
    for id in 0..200_000u32 {
        clock.forward(Duration::from_millis(10));
        let id: Arc<str> = id.to_string().into();
        let rules = [Rule::requests("api_key", id.clone(), 5), Rule::parallel("api_key", id, 5)];
        let held = hold(&local, &rules, 0).unwrap();
        settle(&local, held, 0);
    }
    // A minute has 6,000 calls here.
    assert!(local.counts() < 30_000, "{}", local.counts());
}

#[test]
fn threads_never_pass_a_limit_and_leave_nothing_of_it() {
    let local = Local::new(HandClock::new());
    let admitted = [(); 4].map(|()| AtomicU64::new(0));
    let (running, most) = (AtomicI64::new(0), AtomicI64::new(0));
    let shared = rule("proxy", 9, Counter::Requests, 5_000, 60);
    let gate = rule("proxy", 9, Counter::Parallel, 3, 0);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (local, admitted, running, most) = (&local, &admitted, &running, &most);
            let own = rule("api_key", thread % 4, Counter::Requests, 1_000 + 500 * u64::from(thread % 4), 60);
            // Each thread names its rules in another order: shards are locked in one.
            let mut rules = vec![own, shared.clone(), gate.clone()];
            rules.rotate_left(usize::from(thread) % 3);
            scope.spawn(move || {
                for _ in 0..4_000 {
                    if let Ok(held) = hold(local, &rules, 0) {
                        let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        admitted[usize::from(thread % 4)].fetch_add(1, Ordering::SeqCst);
                        running.fetch_sub(1, Ordering::SeqCst);
                        settle(local, held, 0);
                    }
                }
            });
        }
    });
    let admitted = admitted.map(AtomicU64::into_inner);
    assert!(most.into_inner() <= 3);
    for (id, admitted) in admitted.iter().enumerate() {
        assert!(*admitted <= 1_000 + 500 * id as u64, "{admitted:?}");
    }
    assert!(admitted.iter().sum::<u64>() <= 5_000);
    // What the threads left is exactly the rest.
    let rest = (0..).take_while(|_| hold(&local, std::slice::from_ref(&shared), 0).is_ok()).count() as u64;
    assert_eq!(admitted.iter().sum::<u64>() + rest, 5_000);
    let permits: Vec<_> = (0..5).map_while(|_| hold(&local, std::slice::from_ref(&gate), 0).ok()).collect();
    assert_eq!(permits.len(), 3);
}

#[derive(Clone, Debug)]
enum Step {
    Hold { rules: Vec<(u8, Counter)>, tokens: u64 },
    Settle { which: prop::sample::Index, used: u64 },
    Wait { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let counter = prop_oneof![Just(Counter::Requests), Just(Counter::Tokens), Just(Counter::Parallel)];
    prop_oneof![
        4 => (prop::collection::vec((0..3u8, counter), 1..5), 0..40u64)
            .prop_map(|(rules, tokens)| Step::Hold { rules, tokens }),
        3 => (any::<prop::sample::Index>(), 0..60u64).prop_map(|(which, used)| Step::Settle { which, used }),
        1 => (1..40u64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

/// What a limit is worth, said in the plainest way: when each window started, and what was taken in it.
#[derive(Default)]
struct Plain {
    counts: HashMap<(u8, Counter), (u64, u64)>,
}

impl Plain {
    fn count(&mut self, key: (u8, Counter), now: u64) -> &mut (u64, u64) {
        let count = self.counts.entry(key).or_insert((now, 0));
        if count.1 == 0 || key.1 != Counter::Parallel && now >= count.0 + 60 {
            *count = (now, 0);
        }
        count
    }
}

fn limit(counter: Counter) -> u64 {
    match counter {
        Counter::Requests => 4,
        Counter::Tokens => 100,
        Counter::Parallel => 3,
        Counter::Money => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_call_is_let_in_exactly_where_every_limit_has_room(steps in prop::collection::vec(step(), 1..120)) {
        let clock = HandClock::new();
        let start = clock.now();
        let local = Local::new(clock.clone());
        let mut plain = Plain::default();
        let mut held = Vec::new();
        for step in steps {
            let now = clock.now().duration_since(start).as_secs();
            match step {
                Step::Wait { seconds } => clock.forward(Duration::from_secs(seconds)),
                Step::Hold { rules, tokens } => {
                    let made: Vec<Rule> =
                        rules.iter().map(|(id, counter)| rule("api_key", *id, *counter, limit(*counter), 60)).collect();
                    let mut wanted: HashMap<(u8, Counter), u64> = HashMap::new();
                    for (key, rule) in rules.iter().zip(&made) {
                        *wanted.entry(*key).or_default() += rule.takes(tokens);
                    }
                    let fits = wanted.iter().all(|(key, amount)| plain.count(*key, now).1 + amount <= limit(key.1));
                    let got = hold(&local, &made, tokens);
                    prop_assert_eq!(got.is_ok(), fits);
                    if let Ok(got) = got {
                        let mut taken = Vec::new();
                        for (key, rule) in rules.iter().zip(&made) {
                            let count = plain.count(*key, now);
                            count.1 += rule.takes(tokens);
                            prop_assert!(count.1 <= limit(key.1));
                            taken.push((*key, rule.takes(tokens), count.0));
                        }
                        held.push((got, taken));
                    }
                }
                Step::Settle { which, used } if !held.is_empty() => {
                    let (got, taken) = held.swap_remove(which.index(held.len()));
                    settle(&local, got, used);
                    for (key, amount, window) in taken {
                        let count = plain.count(key, now);
                        match key.1 {
                            Counter::Requests => {}
                            Counter::Parallel => count.1 -= amount,
                            Counter::Tokens if count.0 == window => count.1 = count.1.saturating_sub(amount) + used,
                            Counter::Tokens | Counter::Money => count.1 += used.saturating_sub(amount),
                        }
                    }
                }
                Step::Settle { .. } => {}
            }
        }
    }
}
