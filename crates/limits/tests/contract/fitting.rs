//! Holds that are fitted to further attempts of their calls.

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use gatewright_core::Money;
use gatewright_limits::{Need, Rule, Used, Window};

use crate::stage::{Stage, budget, cost, counted, refused, tokens};

pub(crate) fn an_attempt_is_held_for_on_top_of_what_was_spent(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        for (number, (others, least, cap, spent, covered, held)) in [
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
        ]
        .into_iter()
        .enumerate()
        {
            let case = format!("{number}: {others} {least}..{cap} after {spent}");
            let rules = [budget(&case, 1_000)];
            let (other, _) = stage.hold(&rules, &tokens(others, others)).await.unwrap();
            let (own, _) = stage.hold(&rules, &tokens(500, 500)).await.unwrap();
            let told = stage.fit(&own, &rules, &tokens(least, cap), spent).await;
            assert_eq!(told.as_ref().ok(), covered.as_ref(), "{case}: {told:?}");
            stage.takes(&rules[0], others + held).await;
            stage.settle(&own, cost(spent));
            stage.takes(&rules[0], others + spent as u64).await;
            stage.settle(&other, cost(0));
            stage.takes(&rules[0], spent as u64).await;
        }
    }
    .boxed_local()
}

pub(crate) fn all_budgets_are_fitted_together_or_none(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let rules = [budget("wide", 10_000), budget("narrow", 1_000)];
        let (own, _) = stage.hold(&rules, &tokens(600, 600)).await.unwrap();
        assert_eq!(refused(stage.fit(&own, &rules, &tokens(600, 600), 500).await), (1, 600));
        for rule in &rules {
            stage.takes(rule, 600).await;
        }
        assert_eq!(stage.fit(&own, &rules, &tokens(100, 600), 500).await.unwrap(), 500);
        for rule in &rules {
            stage.takes(rule, 1_000).await;
        }
        stage.settle(&own, cost(900));
        for rule in &rules {
            stage.takes(rule, 900).await;
        }
    }
    .boxed_local()
}

/// Limits of one model: of money, calls, tokens and calls at once.
fn model(id: &str) -> [Rule; 4] {
    [
        Rule::money("model_per_key", id.into(), Money(1_000), Window::Forever),
        Rule::requests("model_per_key", id.into(), 2),
        Rule::tokens("model_per_key", id.into(), 100),
        Rule::parallel("model_per_key", id.into(), 1),
    ]
}

pub(crate) fn a_call_that_goes_elsewhere_holds_of_what_counts_there(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let key = budget("k", 2_000);
        let with = |id: &str| [[key.clone()].as_slice(), &model(id)].concat();
        let figures = async |id: &str, want: [u64; 4]| {
            for (rule, want) in model(id).iter().zip(want) {
                stage.takes(rule, want).await;
            }
        };
        let need = |output| Need { tokens: 10, ..tokens(output, output) };
        let (own, _) = stage.hold(&with("a"), &need(500)).await.unwrap();
        assert_eq!(stage.fit(&own, &with("b"), &need(700), 300).await.unwrap(), 700);
        stage.takes(&key, 1_000).await;
        figures("a", [300, 1, 0, 0]).await;
        figures("b", [700, 1, 10, 1]).await;
        // What runs at the one is free at the other.
        let (next, _) = stage.hold(&with("a"), &need(100)).await.unwrap();
        assert_eq!(refused(stage.hold(&with("b"), &need(1)).await), (4, 1));
        stage.settle(&own, Used { tokens: 25, ..cost(900) });
        stage.takes(&key, 1_000).await;
        figures("b", [600, 1, 25, 0]).await;
        stage.settle(&next, cost(100));
        stage.takes(&key, 1_000).await;
        figures("a", [400, 2, 0, 0]).await;
        assert_eq!(refused(stage.hold(&with("a"), &need(1)).await), (2, 2), "two requests were made there");
        assert!(stage.hold(&with("b"), &need(1)).await.is_ok());
    }
    .boxed_local()
}

pub(crate) fn a_call_that_is_refused_elsewhere_holds_what_it_held(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let (key, other) = (budget("k", 1_000), budget("b", 1_000));
        let full = Rule::parallel("model_per_key", "b".into(), 0);
        let (own, _) = stage.hold(std::slice::from_ref(&key), &tokens(500, 500)).await.unwrap();
        let elsewhere = [key.clone(), other.clone(), full];
        assert_eq!(refused(stage.fit(&own, &elsewhere, &tokens(700, 700), 100).await), (2, 0));
        stage.takes(&key, 500).await;
        stage.takes(&other, 0).await;
        stage.settle(&own, cost(100));
        stage.takes(&key, 100).await;
        stage.takes(&other, 0).await;
    }
    .boxed_local()
}

pub(crate) fn a_call_that_was_free_holds_once_it_is_not(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let rules = [budget("k", 1_000), Rule::parallel("api_key", "k".into(), 1)];
        let (own, _) = stage.hold(&rules, &counted(0)).await.unwrap();
        stage.takes(&rules[0], 0).await;
        assert_eq!(stage.fit(&own, &rules, &tokens(400, 400), 0).await.unwrap(), 400);
        stage.takes(&rules[0], 400).await;
        // And one that was not stays as it is at a target that is.
        assert!(stage.fit(&own, &rules, &counted(0), 50).await.is_ok());
        stage.takes(&rules[0], 400).await;
        stage.takes(&rules[1], 1).await;
        stage.settle(&own, cost(300));
        stage.takes(&rules[0], 300).await;
        stage.takes(&rules[1], 0).await;
    }
    .boxed_local()
}

pub(crate) fn a_further_attempt_counts_no_call_and_no_tokens_again(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let rules = model("m");
        let need = Need { tokens: 10, ..tokens(100, 100) };
        let (own, _) = stage.hold(&rules, &need).await.unwrap();
        for _ in 0..2 {
            assert_eq!(stage.fit(&own, &rules, &need, 0).await.unwrap(), 100);
            for (rule, want) in rules.iter().zip([100, 1, 10, 1]) {
                stage.takes(rule, want).await;
            }
        }
        stage.settle(&own, Used { tokens: 7, ..cost(90) });
        for (rule, want) in rules.iter().zip([90, 1, 7, 0]) {
            stage.takes(rule, want).await;
        }
    }
    .boxed_local()
}
