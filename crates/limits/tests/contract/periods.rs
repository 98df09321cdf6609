//! Periods of the calendar. A rule that was made in the period before the one that runs turns it without waiting.

use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use gatewright_core::{Clock, Money, SystemClock};
use gatewright_limits::{Calendar, Counter, Cycle, Every, Rule, Used, Window};

use crate::stage::{Stage, budget, cost, counted, tokens};

/// A budget in the period that runs at this moment.
fn dated(id: &str, every: &str, zone: &str, at: SystemTime) -> Rule {
    let calendar = Calendar::in_zone(zone).unwrap().with_days_from("04:30").unwrap();
    Rule { window: Cycle::new(Every::parse(every).unwrap(), calendar).window(at), ..budget(id, 1_000) }
}

/// Longer ago than the period that runs can have begun.
fn before(every: &str) -> SystemTime {
    let days = if every.ends_with("mo") { 32 } else { 2 };
    SystemClock.wall() - Duration::from_secs(days * 86_400)
}

pub(crate) fn days_and_months_end_where_their_zone_says(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        for every in ["1d", "1mo"] {
            for zone in ["UTC", "Asia/Tokyo", "America/Los_Angeles"] {
                let id = format!("{every} {zone}");
                let (old, new) =
                    (dated(&id, every, zone, before(every)), dated(&id, every, zone, SystemClock.wall()));
                let (held, _) = stage.hold(std::slice::from_ref(&old), &tokens(600, 600)).await.unwrap();
                stage.settle(&held, cost(500));
                stage.takes(&old, 500).await;
                stage.takes(&new, 0).await;
                let (held, grant) = stage.hold(std::slice::from_ref(&new), &tokens(600, 600)).await.unwrap();
                assert_eq!(grant.remaining[..], [400], "{id}");
                stage.settle(&held, cost(400));
                // Who still has the rule of yesterday counts in the period that runs.
                stage.takes(&old, 400).await;
                // A budget of another length is another.
                stage.takes(&dated(&id, "7d", zone, SystemClock.wall()), 0).await;
            }
        }
    }
    .boxed_local()
}

pub(crate) fn what_is_held_goes_over_into_the_next_period(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let (old, new) = (dated("k", "1d", "UTC", before("1d")), dated("k", "1d", "UTC", SystemClock.wall()));
        let (held, _) = stage.hold(std::slice::from_ref(&old), &tokens(600, 600)).await.unwrap();
        stage.takes(&new, 600).await;
        stage.settle(&held, cost(350));
        stage.takes(&new, 350).await;
    }
    .boxed_local()
}

pub(crate) fn rates_turn_and_what_was_too_little_counts_in_the_next_period(
    stage: &Stage,
) -> LocalBoxFuture<'_, ()> {
    async {
        let [old, new] = [before("1d"), SystemClock.wall()].map(|at| dated("k", "1d", "UTC", at).window);
        let rate =
            |counter, window: &Window| Rule::new("api_key", "k".into(), counter, 1_000, window.clone());
        let rules = |window| [rate(Counter::Requests, window), rate(Counter::Tokens, window)];
        let takes = async |window, requests, tokens| {
            let [a, b] = rules(window);
            stage.takes(&a, requests).await;
            stage.takes(&b, tokens).await;
        };
        let mut holds = Vec::new();
        for _ in 0..2 {
            holds.push(stage.hold(&rules(&old), &counted(100)).await.unwrap().0);
        }
        takes(&old, 2, 200).await;
        let (here, _) = stage.hold(&rules(&new), &counted(100)).await.unwrap();
        takes(&new, 1, 100).await;
        stage.settle(&holds[0], Used { tokens: 30, ..Used::default() });
        stage.settle(&holds[1], Used { tokens: 250, ..Used::default() });
        takes(&new, 1, 250).await;
        stage.settle(&here, Used { tokens: 1, ..Used::default() });
        takes(&new, 1, 151).await;
    }
    .boxed_local()
}

pub(crate) fn a_rule_of_a_period_that_is_over_seeds_nothing(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let old = dated("k", "1d", "UTC", before("1d")).spent(Money(800));
        stage.takes(&old, 0).await;
        let new = dated("l", "1d", "UTC", SystemClock.wall()).spent(Money(800));
        stage.takes(&new, 800).await;
        // A turn forgets what a budget began with.
        let soon = |ends| Rule {
            window: Window::Period { name: "s".into(), ends },
            ..budget("m", 1_000).spent(Money(700))
        };
        let ends = SystemClock.wall() + Duration::from_secs(1);
        stage.takes(&soon(ends), 700).await;
        while SystemClock.wall() <= ends + Duration::from_millis(2) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stage.takes(&soon(ends + Duration::from_secs(86_400)), 0).await;
    }
    .boxed_local()
}
