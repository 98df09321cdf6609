//! What budgets hold, grant and refuse. Calls here take more than a thirty-second of a budget each: a replica takes no
//! reserve beside them, which would count as taken.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use gatewright_core::{Money, Price};
use gatewright_limits::{Counters, Need, Reset, Rule, Used, Window};

use crate::stage::{Stage, budget, cost, refused, taken, tokens};

pub(crate) fn a_hold_becomes_what_the_call_cost(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        for (id, input, price, cap, want) in
            [("a", 100, 1_000_000, 900, 1_000), ("b", 100, 1_500_000, 301, 552), ("c", 700, 0, 500, 700)]
        {
            let need = Need {
                input: Money(input),
                output: Price(price),
                output_cap: cap,
                least_output: cap,
                ..Need::default()
            };
            let rules = [budget(id, 10_000)];
            let (held, grant) = stage.hold(&rules, &need).await.unwrap();
            assert_eq!((grant.output, grant.remaining[0]), (cap, 10_000 - want), "{input} + {cap} × {price}");
            stage.takes(&rules[0], want).await;
            stage.settle(&held, cost(3));
            stage.takes(&rules[0], 3).await;
            stage.settle(&held, cost(9));
            stage.takes(&rules[0], 3).await;
        }
    }
    .boxed_local()
}

pub(crate) fn a_cap_shrinks_to_what_is_left_but_not_below_the_least(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
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
            let id = format!("{left}-{least}-{cap}");
            let rules = [budget(&id, 10_000).spent(Money(10_000 - left))];
            let got = stage.hold(&rules, &tokens(least, cap)).await.ok().map(|(_, grant)| grant.output);
            assert_eq!(got, want, "{left} left for {least} to {cap}");
        }
        // A small budget is worth sixteen of its least answers.
        for (limit, left, want) in
            [(1_600, 100, Some(100)), (1_600, 99, None), (15, 1, Some(1)), (15, 0, None)]
        {
            let rules = [budget(&format!("{limit}:{left}"), limit).spent(Money(limit - left))];
            let got = stage.hold(&rules, &tokens(256, 4_000)).await.ok().map(|(_, grant)| grant.output);
            assert_eq!(got, want, "{left} of {limit}");
        }
    }
    .boxed_local()
}

pub(crate) fn every_budget_of_a_call_holds_the_smallest_grant(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let rules = [budget("key", 1_000), budget("team", 600), budget("proxy", 9_000)];
        let (held, grant) = stage.hold(&rules, &tokens(256, 4_000)).await.unwrap();
        assert_eq!((grant.output, &grant.remaining[..]), (600, &[400, 0, 8_400][..]));
        for rule in &rules {
            stage.takes(rule, 600).await;
        }
        stage.settle(&held, cost(50));
        for rule in &rules {
            stage.takes(rule, 50).await;
        }
    }
    .boxed_local()
}

pub(crate) fn a_budget_begins_with_what_its_rule_says(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let rule = |spent| budget("k", 1_000).spent(Money(spent));
        stage.takes(&rule(400), 400).await;
        assert_eq!(refused(stage.hold(&[rule(0)], &tokens(601, 601)).await), (0, 400), "only at first");
        let (held, _) = stage.hold(&[rule(200)], &tokens(600, 600)).await.unwrap();
        stage.settle(&held, cost(100));
        stage.takes(&rule(300), 500).await;
    }
    .boxed_local()
}

pub(crate) fn what_costs_more_than_it_held_is_booked_in_full(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let rules = [budget("k", 1_000)];
        let (held, _) = stage.hold(&rules, &tokens(600, 600)).await.unwrap();
        stage.settle(&held, cost(5_000));
        stage.takes(&rules[0], 5_000).await;
        assert_eq!(refused(stage.hold(&rules, &tokens(1, 1)).await), (0, 5_000));
    }
    .boxed_local()
}

pub(crate) fn what_costs_nothing_passes_a_budget_that_is_spent(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let rules = [budget("k", 1_000).spent(Money(2_000))];
        let free = Need { output_cap: 4_000, least_output: 256, ..Need::default() };
        assert!(stage.hold(&rules, &tokens(1, 1)).await.is_err());
        let (held, grant) = stage.hold(&rules, &free).await.unwrap();
        assert_eq!((grant.output, grant.remaining[0]), (4_000, 0));
        stage.takes(&rules[0], 2_000).await;
        // The provider thinks otherwise.
        stage.settle(&held, cost(7));
        stage.takes(&rules[0], 2_007).await;
    }
    .boxed_local()
}

pub(crate) fn a_budget_that_is_named_twice_books_once(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let rules = [budget("k", 1_000), budget("k", 300)];
        let (held, grant) = stage.hold(&rules, &tokens(100, 400)).await.unwrap();
        assert_eq!((grant.output, &grant.remaining[..]), (300, &[700, 0][..]));
        stage.takes(&rules[0], 300).await;
        stage.settle(&held, cost(250));
        stage.takes(&rules[0], 250).await;
    }
    .boxed_local()
}

pub(crate) fn more_than_eight_at_once_need_twice_the_room(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let rules = [budget("k", 1_600)];
        let mut held = Vec::new();
        while let Ok((hold, _)) = stage.hold(&rules, &tokens(100, 100)).await {
            held.push(hold);
        }
        assert_eq!(held.len(), 8, "eight hold half of it");
        assert_eq!(refused(stage.hold(&rules, &tokens(100, 100)).await), (0, 800));
        stage.settle(&held[0], cost(100));
        stage.takes(&rules[0], 800).await;
        assert!(stage.hold(&rules, &tokens(100, 100)).await.is_ok(), "seven run, so an eighth may");
        held.iter().for_each(|hold| stage.settle(hold, cost(0)));
    }
    .boxed_local()
}

pub(crate) fn strict_holds_the_cap_and_expected_what_is_usual(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let need = tokens(1_000, 1_000);
        for (counts, want) in [(&stage.counts, 1_000), (&stage.expected, 100)] {
            let learning = [budget("k", 1_000_000_000).spent(Money(999_999_000))];
            for _ in 0..40 {
                let (held, _) = counts.hold(&learning, &need, Duration::from_secs(60)).await.unwrap();
                counts.settle(&held, Used { output: Some(100), ..Used::default() });
            }
            let (held, grant) = counts.hold(&learning, &need, Duration::from_secs(60)).await.unwrap();
            assert_eq!(grant.output, 1_000, "the cap itself stays");
            assert_eq!(taken(counts, &learning[0]).await, 999_999_000 + want);
            counts.settle(&held, Used::default());
        }
    }
    .boxed_local()
}

pub(crate) fn what_is_spent_is_set_anew_in_all_windows_of_one_thing(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let rolling = Rule { window: Window::Rolling(Duration::from_secs(86_400)), ..budget("k", 1_000) };
        let other = budget("other", 1_000);
        let rules = [budget("k", 1_000), rolling, other];
        let (held, _) = stage.hold(&rules, &tokens(600, 600)).await.unwrap();
        stage.settle(&held, cost(500));
        let (held, _) = stage.hold(&rules, &tokens(400, 400)).await.unwrap();
        for rule in &rules {
            stage.takes(rule, 900).await;
        }
        let reset =
            |id: &str| Reset { scope: "api_key", id: id.into(), period: None, spent: Money(50), turn: 1 };
        stage.counts.reset(reset("k"));
        for (rule, want) in rules.iter().zip([450, 450, 900]) {
            stage.takes(rule, want).await;
        }
        stage.settle(&held, cost(100));
        for (rule, want) in rules.iter().zip([150, 150, 600]) {
            stage.takes(rule, want).await;
        }
        // What nobody counts yet begins with what its rule says.
        stage.counts.reset(reset("new"));
        stage.takes(&budget("new", 100).spent(Money(7)), 7).await;
    }
    .boxed_local()
}
