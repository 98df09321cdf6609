//! Requests, tokens and permits.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use gatewright_limits::{Refused, Rule, Used};

use crate::stage::{Stage, budget, counted, eventually, refused, requests_in, tokens};

pub(crate) fn requests_are_taken_and_stay(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let rules = [Rule::requests("api_key", "k".into(), 3)];
        for left in [2, 1, 0] {
            let (held, grant) = stage.hold(&rules, &counted(0)).await.unwrap();
            assert_eq!(grant.remaining[..], [left]);
            stage.settle(&held, Used::default());
        }
        assert_eq!(refused(stage.hold(&rules, &counted(0)).await), (0, 3));
        stage.takes(&rules[0], 3).await;
    }
    .boxed_local()
}

pub(crate) fn tokens_are_put_right_when_a_call_ends(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let rules = [Rule::tokens("api_key", "k".into(), 1_000)];
        for (estimate, used, after) in [(100, 30, 30), (100, 100, 130), (100, 600, 730), (0, 0, 730)] {
            let (held, _) = stage.hold(&rules, &counted(estimate)).await.unwrap();
            stage.settle(&held, Used { tokens: used, ..Used::default() });
            stage.takes(&rules[0], after).await;
        }
        assert_eq!(refused(stage.hold(&rules, &counted(271)).await), (0, 730));
        let (_, grant) = stage.hold(&rules, &counted(270)).await.unwrap();
        assert_eq!(grant.remaining[..], [0]);
    }
    .boxed_local()
}

pub(crate) fn permits_come_back_and_are_never_too_many(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let rules = [Rule::parallel("api_key", "k".into(), 2)];
        let (one, first) = stage.hold(&rules, &counted(0)).await.unwrap();
        let (other, second) = stage.hold(&rules, &counted(0)).await.unwrap();
        assert_eq!((first.remaining[0], second.remaining[0]), (1, 0));
        assert_eq!(refused(stage.hold(&rules, &counted(0)).await), (0, 2));
        stage.settle(&one, Used::default());
        stage.takes(&rules[0], 1).await;
        // Only once, however often it is said.
        stage.settle(&one, Used::default());
        let (again, _) = stage.hold(&rules, &counted(0)).await.unwrap();
        assert_eq!(refused(stage.hold(&rules, &counted(0)).await), (0, 2));
        stage.settle(&other, Used::default());
        stage.settle(&again, Used::default());
        stage.takes(&rules[0], 0).await;
    }
    .boxed_local()
}

pub(crate) fn a_window_that_rolled_begins_anew_with_the_next_call(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let rules = [requests_in("k", 2, Duration::from_secs(1))];
        let all = async || {
            let mut held = Vec::new();
            while let Ok((hold, _)) = stage.hold(&rules, &counted(0)).await {
                held.push(hold);
            }
            held.len()
        };
        // A machine that stands still for a second may see two windows at once.
        assert!(all().await >= 2);
        eventually(async || stage.hold(&rules, &counted(0)).await.ok()).await;
        let long = [requests_in("k", 2, Duration::from_secs(600))];
        assert!(stage.hold(&long, &counted(0)).await.is_ok(), "a window of another length is another");
    }
    .boxed_local()
}

pub(crate) fn all_or_none_is_taken(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let rules = [
            budget("key", 10_000),
            Rule::requests("api_key", "key".into(), 5),
            Rule::tokens("api_key", "key".into(), 5),
            Rule::parallel("api_key", "key".into(), 5),
            Rule::requests("team", "t".into(), 0),
        ];
        assert_eq!(refused(stage.hold(&rules, &tokens(200, 200)).await), (4, 0));
        for rule in &rules {
            stage.takes(rule, 0).await;
        }
        // Budgets are looked at before anything is taken, wherever they stand.
        let poor = [rules[1].clone(), budget("poor", 100)];
        assert_eq!(refused(stage.hold(&poor, &tokens(200, 200)).await), (1, 0));
        let (held, _) = stage.hold(&rules[..4], &tokens(400, 400)).await.unwrap();
        for (rule, want) in rules.iter().zip([400, 1, 1, 1]) {
            stage.takes(rule, want).await;
        }
        stage.settle(&held, Used { tokens: 3, ..Used::default() });
        for (rule, want) in rules.iter().zip([0, 1, 3, 0]) {
            stage.takes(rule, want).await;
        }
        // The same rule twice takes twice.
        let twice = [Rule::requests("user", "u".into(), 3), Rule::requests("user", "u".into(), 3)];
        let (_held, grant) = stage.hold(&twice, &counted(0)).await.unwrap();
        assert_eq!(grant.remaining[..], [2, 1]);
        assert_eq!(refused(stage.hold(&twice, &counted(0)).await), (1, 3));
        stage.takes(&twice[0], 2).await;
    }
    .boxed_local()
}

pub(crate) fn a_refusal_names_the_rule_what_is_taken_and_when_to_come_back(
    stage: &Stage,
) -> LocalBoxFuture<'_, ()> {
    async {
        let wait = |result: Result<_, Refused>| match result.map(|_: (_, _)| ()) {
            Err(Refused::Full { rule, taken, resets_in }) => {
                (rule, taken, resets_in.map(|time| time.as_secs_f64().ceil()))
            }
            other => panic!("{other:?}"),
        };
        let minute = [Rule::parallel("team", "t".into(), 9), Rule::requests("api_key", "k".into(), 0)];
        assert_eq!(wait(stage.hold(&minute, &counted(0)).await), (1, 0, Some(60.0)));
        let gate = [Rule::parallel("api_key", "k".into(), 0)];
        assert_eq!(wait(stage.hold(&gate, &counted(0)).await), (0, 0, Some(1.0)));
        let spent = [budget("k", 100)];
        assert_eq!(wait(stage.hold(&spent, &tokens(101, 101)).await), (0, 0, None));
        let (_held, _) = stage.hold(&spent, &tokens(60, 60)).await.unwrap();
        assert_eq!(wait(stage.hold(&spent, &tokens(60, 60)).await), (0, 60, Some(1.0)), "others hold it");
    }
    .boxed_local()
}
