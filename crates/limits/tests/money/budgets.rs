//! What budgets hold, grant and refuse.

use std::time::{Duration, SystemTime};

use crate::costs::{budget, cost, figures, hold, nothing, tokens};
use gatewright_core::{Clock, HandClock, Money};
use gatewright_limits::{Counters, Local, Mode, Need, Refused, Reset, Rule, Used, Window};

#[test]
fn a_hold_is_input_and_cap_at_the_price_rounded_up() {
    for (input, price, cap, want) in [
        (10, 1_000_000, 90, 100),
        (10, 1_500_000, 3, 15),
        (0, 1, 1, 1),
        (0, 999_999, 1_000_000, 999_999),
        (7, 0, 500, 7),
    ] {
        let local = Local::new(HandClock::new());
        let need = Need {
            input: Money(input),
            output: gatewright_core::Price(price),
            output_cap: cap,
            least_output: cap,
            ..Need::default()
        };
        let (held, grant) = hold(&local, &[budget("k", 1_000_000)], &need).unwrap();
        assert_eq!((figures(&local, "k"), grant.output), ((0, want), cap), "{input} + {cap} × {price}");
        local.settle(&held, cost(3));
        assert_eq!(figures(&local, "k"), (3, 0));
    }
}

#[test]
fn a_cap_shrinks_to_what_is_left_but_not_below_the_least() {
    // What is left, the least and the cap of the next call; and the tokens that it is granted.
    for (left, least, cap, want) in [
        (1000, 256, 4000, Some(1000)),
        (4000, 256, 4000, Some(4000)),
        (9000, 256, 4000, Some(4000)),
        (256, 256, 4000, Some(256)),
        (255, 256, 4000, None),
        // A client's own cap is its least.
        (1000, 4000, 4000, None),
        (100, 100, 100, Some(100)),
    ] {
        let local = Local::new(HandClock::new());
        let rules = [budget("k", 10_000).spent(Money(10_000 - left))];
        let got = hold(&local, &rules, &tokens(least, cap)).ok().map(|(_, grant)| grant.output);
        assert_eq!(got, want, "{left} left for {least} to {cap}");
    }
}

#[test]
fn a_budget_that_is_not_worth_sixteen_of_the_least_answers_grants_smaller_ones() {
    for (limit, left, want) in [(1_600, 100, Some(100)), (1_600, 99, None), (15, 1, Some(1)), (15, 0, None)] {
        let local = Local::new(HandClock::new());
        let rules = [budget("k", limit).spent(Money(limit - left))];
        let got = hold(&local, &rules, &tokens(256, 4_000)).ok().map(|(_, grant)| grant.output);
        assert_eq!(got, want, "{left} of {limit}");
    }
}

#[test]
fn every_budget_of_a_call_holds_the_smallest_grant() {
    let local = Local::new(HandClock::new());
    let rules = [budget("key", 1_000), budget("team", 600), budget("proxy", 9_000)];
    let (held, grant) = hold(&local, &rules, &tokens(256, 4_000)).unwrap();
    assert_eq!((grant.output, &grant.remaining[..]), (600, &[400, 0, 8_400][..]));
    let all = |local: &Local| ["key", "team", "proxy"].map(|id| figures(local, id));
    assert_eq!(all(&local), [(0, 600); 3]);
    local.settle(&held, cost(50));
    assert_eq!(all(&local), [(50, 0); 3]);
}

#[test]
fn a_refused_call_holds_nothing_anywhere() {
    let local = Local::new(HandClock::new());
    let rules = [
        budget("key", 10_000),
        Rule::requests("api_key", "key".into(), 1),
        Rule::parallel("api_key", "key".into(), 1),
        budget("team", 100),
    ];
    assert!(matches!(hold(&local, &rules, &tokens(200, 200)), Err(Refused::Full { rule: 3, taken: 0, .. })));
    let full = [budget("key", 10_000), Rule::requests("api_key", "key".into(), 0)];
    assert!(matches!(hold(&local, &full, &tokens(200, 200)), Err(Refused::Full { rule: 1, .. })));
    assert_eq!([figures(&local, "key"), figures(&local, "team")], [(0, 0); 2]);
    assert!(hold(&local, &rules[..3], &tokens(200, 200)).is_ok());
}

#[test]
fn a_budget_that_is_named_twice_books_once_and_keeps_the_lower_limit() {
    let local = Local::new(HandClock::new());
    let rules = [budget("k", 1_000), budget("k", 300)];
    let (held, grant) = hold(&local, &rules, &tokens(100, 400)).unwrap();
    assert_eq!((grant.output, figures(&local, "k")), (300, (0, 300)));
    local.settle(&held, cost(250));
    assert_eq!(figures(&local, "k"), (250, 0));
}

#[test]
fn what_costs_more_than_it_held_is_booked_in_full() {
    let local = Local::new(HandClock::new());
    let rules = [budget("k", 1_000)];
    let (held, _) = hold(&local, &rules, &tokens(600, 600)).unwrap();
    local.settle(&held, cost(5_000));
    assert_eq!(figures(&local, "k"), (5_000, 0));
    assert!(matches!(hold(&local, &rules, &tokens(1, 1)), Err(Refused::Full { taken: 5_000, .. })));
}

#[test]
fn what_costs_nothing_passes_a_budget_that_is_spent() {
    let local = Local::new(HandClock::new());
    let rules = [budget("k", 1_000).spent(Money(2_000))];
    let free = Need { output_cap: 4_000, least_output: 256, ..Need::default() };
    assert!(hold(&local, &rules, &tokens(1, 1)).is_err());
    let (held, grant) = hold(&local, &rules, &free).unwrap();
    assert_eq!((grant.output, figures(&local, "k")), (4_000, (2_000, 0)));
    // The provider thinks otherwise.
    local.settle(&held, cost(30));
    assert_eq!(figures(&local, "k"), (2_030, 0));
}

#[test]
fn a_seed_counts_only_where_nothing_is_known() {
    let local = Local::new(HandClock::new());
    let seeded = |spent| [budget("k", 1_000).spent(Money(spent))];
    let (held, _) = hold(&local, &seeded(400), &tokens(100, 100)).unwrap();
    assert_eq!(figures(&local, "k"), (400, 100));
    local.settle(&held, cost(100));
    // A grant that was loaded before, or after the ledger was written: memory knows better than both.
    for stale in [0, 400, 500, 900] {
        let (held, _) = hold(&local, &seeded(stale), &tokens(1, 1)).unwrap();
        local.settle(&held, cost(0));
        assert_eq!(figures(&local, "k"), (500, 0), "seed {stale}");
    }
}

#[test]
fn a_budget_stays_in_memory_while_it_knows_more_than_its_seed() {
    let clock = HandClock::new();
    let local = Local::new(clock.clone());
    let (held, _) = hold(&local, &[budget("spent", 1_000)], &tokens(100, 100)).unwrap();
    local.settle(&held, cost(70));
    let running = hold(&local, &[budget("running", 1_000)], &tokens(100, 100)).unwrap();
    for id in 0..20_000u32 {
        clock.forward(Duration::from_secs(60));
        let (held, _) =
            hold(&local, &[budget(&format!("{id}"), 1_000).spent(Money(5))], &tokens(1, 1)).unwrap();
        local.settle(&held, cost(0));
    }
    assert!(local.counts() < 10_000, "{}", local.counts());
    assert_eq!([figures(&local, "spent"), figures(&local, "running")], [(70, 0), (0, 100)]);
    drop(running);
}

/// A budget of 1,000 a day; `day` counts from today.
fn daily(clock: &HandClock, day: u64, spent: i64) -> [Rule; 1] {
    let ends = midnight(clock) + Duration::from_secs(day * 86_400);
    let window = Window::Period { name: "1d".into(), ends };
    [Rule::money("api_key", "k".into(), Money(1_000), window).spent(Money(spent))]
}

fn midnight(clock: &HandClock) -> SystemTime {
    let since = clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since - since % 86_400)
}

#[test]
fn a_period_begins_anew_when_it_has_ended() {
    let clock = HandClock::new();
    let local = Local::new(clock.clone());
    let today = daily(&clock, 1, 300);
    let tomorrow = daily(&clock, 2, 0);
    let (first, _) = hold(&local, &today, &tokens(500, 500)).unwrap();
    let (second, _) = hold(&local, &today, &tokens(200, 200)).unwrap();
    local.settle(&first, cost(500));
    let refused = hold(&local, &today, &tokens(100, 100)).err().unwrap();
    let Refused::Full { taken: 1_000, resets_in: Some(wait), .. } = refused else { panic!("{refused:?}") };
    assert_eq!(wait, Duration::from_secs(1), "others hold what is left");
    clock.forward(Duration::from_secs(86_400));
    // Made yesterday: whoever made it does not know the end of today.
    assert!(hold(&local, &today, &tokens(300, 300)).is_err());
    let (third, _) = hold(&local, &tomorrow, &tokens(800, 800)).unwrap();
    assert_eq!(figures(&local, "k"), (0, 1_000), "what is held goes over");
    assert!(hold(&local, &tomorrow, &tokens(1, 1)).is_err());
    local.settle(&second, cost(150));
    local.settle(&third, cost(10));
    assert_eq!(figures(&local, "k"), (160, 0));
}

#[test]
fn what_was_spent_in_an_ended_period_seeds_no_other() {
    let clock = HandClock::new();
    let local = Local::new(clock.clone());
    let stale = daily(&clock, 0, 999);
    assert!(hold(&local, &stale, &tokens(900, 900)).is_ok());
    assert_eq!(figures(&local, "k"), (0, 900));
}

#[test]
fn a_spent_period_says_when_it_ends() {
    let clock = HandClock::new();
    let local = Local::new(clock.clone());
    let left = (midnight(&clock) + Duration::from_secs(86_400)).duration_since(clock.wall()).unwrap();
    match hold(&local, &daily(&clock, 1, 1_000), &tokens(1, 1)) {
        Err(Refused::Full { taken: 1_000, resets_in, .. }) => assert_eq!(resets_in, Some(left)),
        other => panic!("{:?}", other.err()),
    }
    match hold(&local, &[budget("k", 5).spent(Money(5))], &tokens(1, 1)) {
        Err(Refused::Full { resets_in: None, .. }) => {}
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn an_admin_reads_and_sets_what_is_spent() {
    let local = Local::new(HandClock::new());
    assert!(local.spent("api_key", "k").is_empty());
    let rules = [budget("k", 1_000)];
    let (held, _) = hold(&local, &rules, &tokens(600, 600)).unwrap();
    local.settle(&held, cost(600));
    let (_held, _) = hold(&local, &rules, &tokens(300, 300)).unwrap();
    local.reset(nothing("api_key"));
    local.reset(Reset { spent: Money(77), ..nothing("team") });
    let told = local.spent("api_key", "k");
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].settled, told[0].held, told[0].running), (Money::ZERO, Money(300), 1));
    assert_eq!(told[0].period, None);
    assert!(hold(&local, &rules, &tokens(700, 700)).is_ok());
}

#[test]
fn what_is_set_is_of_the_own_budget_and_others_have_no_more() {
    let clock = HandClock::new();
    let local = Local::new(clock.clone());
    let both = [daily(&clock, 1, 0), [budget("k", 1_000)]].concat();
    let (held, _) = hold(&local, &both, &tokens(300, 300)).unwrap();
    local.settle(&held, cost(300));
    for (spent, of_all_time, of_the_day) in [(900, 900, 300), (100, 100, 100)] {
        local.reset(Reset { spent: Money(spent), ..nothing("api_key") });
        let told = local.spent("api_key", "k");
        let of = |daily: bool| told.iter().find(|one| one.period.is_some() == daily).unwrap().settled;
        assert_eq!((of(false), of(true)), (Money(of_all_time), Money(of_the_day)));
    }
}

#[test]
fn what_was_set_elsewhere_counts_from_the_first_rule_that_knows_it() {
    let local = Local::new(HandClock::new());
    let settle = |rule: Rule, size: u64| {
        let (held, _) = hold(&local, &[rule], &tokens(size, size)).unwrap();
        local.settle(&held, cost(i64::try_from(size).unwrap()));
        figures(&local, "k").0
    };
    let rule = || budget("k", 1_000);
    assert_eq!(settle(rule(), 600), 600);
    assert_eq!(settle(rule().spent(Money(50)).in_turn(7), 10), 60);
    assert_eq!(settle(rule().spent(Money(50)).in_turn(7), 10), 70, "once");
    assert_eq!(settle(rule().spent(Money(900)), 10), 80, "an older rule says nothing");
    local.reset(Reset { spent: Money(5), turn: 9, ..nothing("api_key") });
    assert_eq!(settle(rule().spent(Money(500)).in_turn(9), 10), 15, "it was set here");
}

#[test]
fn more_than_eight_run_only_where_all_could_cost_twice_their_holds() {
    // A budget of so many holds; how many run at once.
    for (worth, want) in [(3, 3), (8, 8), (12, 8), (16, 8), (18, 9), (40, 20), (200, 100)] {
        let local = Local::new(HandClock::new());
        let rules = [budget("k", worth * 100)];
        let running: Vec<_> = std::iter::from_fn(|| hold(&local, &rules, &tokens(100, 100)).ok()).collect();
        assert_eq!(running.len(), want, "a budget worth {worth}");
        let running = running.into_iter().map(|(held, _)| held);
        running.for_each(|held| local.settle(&held, cost(200)));
        let (settled, _) = figures(&local, "k");
        assert!(
            settled <= worth * 100 + 8 * 100,
            "{settled} of {worth} × 100 where all cost twice their holds"
        );
    }
}

#[test]
fn expected_holds_what_recent_answers_took() {
    let local = Local::new(HandClock::new()).holding(Mode::Expected);
    let rules = [budget("k", 1_000_000)];
    for n in 0..40 {
        let (held, _) = hold(&local, &rules, &tokens(256, 16_000)).unwrap();
        let output = if n % 20 == 19 { 9_000 } else { 100 };
        local.settle(&held, Used { output: Some(output), ..cost(0) });
    }
    let (held, grant) = hold(&local, &rules, &tokens(256, 16_000)).unwrap();
    assert_eq!((grant.output, figures(&local, "k")), (16_000, (0, 100)));
    local.settle(&held, cost(0));
    let (_, grant) = hold(&local, &rules, &tokens(10, 50)).unwrap();
    assert_eq!((grant.output, figures(&local, "k")), (50, (0, 50)), "never more than the cap");
}
