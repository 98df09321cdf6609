//! Calls that wait for what others hold, and many at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, join_all};
use gatewright_limits::{Counters, Rule, Used};
use tokio::time::{sleep, timeout};

use crate::stage::{Stage, budget, cost, refused, tokens};

/// Longer than a test may take.
const LONG: Duration = Duration::from_secs(60);

pub(crate) fn who_waits_gets_what_comes_back(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let rules = [budget("k", 1_000)];
        let (held, _) = stage.hold(&rules, &tokens(700, 700)).await.unwrap();
        let need = tokens(500, 500);
        let waits = stage.counts.hold(&rules, &need, LONG);
        tokio::pin!(waits);
        assert!(timeout(Duration::from_millis(300), &mut waits).await.is_err(), "it has to wait");
        // A newcomer for which there is room stands behind it.
        assert_eq!(refused(stage.hold(&rules, &tokens(200, 200)).await), (0, 700));
        stage.settle(&held, cost(100));
        let (second, grant) = timeout(LONG, waits).await.unwrap().unwrap();
        assert_eq!(grant.remaining[..], [400]);
        stage.settle(&second, cost(0));
        stage.takes(&rules[0], 100).await;
        assert!(stage.hold(&rules, &tokens(200, 200)).await.is_ok());
    }
    .boxed_local()
}

pub(crate) fn who_waits_in_vain_is_refused_when_its_time_is_over(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let rules = [budget("other", 10_000), budget("k", 1_000)];
        let (held, _) = stage.hold(&rules[1..], &tokens(700, 700)).await.unwrap();
        let late = stage.counts.hold(&rules, &tokens(500, 500), Duration::from_millis(200)).await;
        assert_eq!(refused(late), (1, 700));
        // Whoever is dropped while it waits has taken nothing, and is in nobody's way.
        let need = tokens(500, 500);
        drop(timeout(Duration::from_millis(200), stage.counts.hold(&rules, &need, LONG)).await);
        stage.takes(&rules[0], 0).await;
        crate::stage::eventually(async || stage.hold(&rules, &tokens(300, 300)).await.ok()).await;
        stage.settle(&held, cost(0));
    }
    .boxed_local()
}

pub(crate) fn nobody_waits_for_what_will_not_come_back(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let rules = [budget("k", 1_000)];
        let (held, _) = stage.hold(&rules, &tokens(700, 700)).await.unwrap();
        stage.settle(&held, cost(700));
        stage.takes(&rules[0], 700).await;
        let at_once = timeout(LONG, stage.counts.hold(&rules, &tokens(301, 301), 10 * LONG)).await;
        assert_eq!(refused(at_once.unwrap()), (0, 700));
    }
    .boxed_local()
}

pub(crate) fn many_at_once_never_pass_a_budget_or_a_gate(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let rules = [
            budget("k", 10_000),
            Rule::parallel("api_key", "k".into(), 3),
            Rule::requests("api_key", "k".into(), 60),
        ];
        let (running, most, spent) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let one = async |number: u64| {
            sleep(Duration::from_millis(number % 7)).await;
            let Ok((held, _)) = stage.counts.hold(&rules, &tokens(500, 500), LONG).await else { return };
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            sleep(Duration::from_millis(3)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            spent.fetch_add(500, Ordering::SeqCst);
            stage.settle(&held, Used { tokens: 1, ..cost(500) });
        };
        join_all((0..200).map(one)).await;
        let spent = spent.load(Ordering::SeqCst);
        assert!(most.load(Ordering::SeqCst) <= 3, "{most:?}");
        assert!((1..=10_000).contains(&spent), "{spent}");
        stage.takes(&rules[0], spent).await;
        stage.takes(&rules[1], 0).await;
        stage.takes(&rules[2], spent / 500).await;
    }
    .boxed_local()
}

pub(crate) fn a_call_that_runs_passes_those_that_wait(stage: &Stage) -> LocalBoxFuture<'_, ()> {
    async {
        let rules = [budget("k", 1_000)];
        let (own, _) = stage.hold(&rules, &tokens(300, 300)).await.unwrap();
        let (other, _) = stage.hold(&rules, &tokens(300, 300)).await.unwrap();
        let need = tokens(500, 500);
        let waits = stage.counts.hold(&rules, &need, LONG);
        tokio::pin!(waits);
        assert!(timeout(Duration::from_millis(300), &mut waits).await.is_err(), "it has to wait");
        assert_eq!(stage.fit(&own, &rules, &tokens(600, 600), 0).await.unwrap(), 600);
        stage.settle(&own, cost(0));
        stage.settle(&other, cost(0));
        assert!(timeout(LONG, waits).await.unwrap().is_ok());
    }
    .boxed_local()
}

pub(crate) fn those_that_wait_get_equal_shares_or_twice_what_is_usual(
    stage: &Stage,
) -> LocalBoxFuture<'_, ()> {
    async {
        for (usual, want) in [(None, [500, 500]), (Some(300), [600, 400])] {
            // Until both waited before there was room for one.
            let mut tries = 0;
            crate::stage::eventually(async || {
                tries += 1;
                let rules = [budget(&format!("{usual:?} {tries}"), 1_000)];
                for _ in 0..usual.map_or(0, |_| 20) {
                    let (held, _) = stage.hold(&rules, &tokens(100, 100)).await.unwrap();
                    stage.settle(&held, Used { output: usual, ..cost(0) });
                    stage.takes(&rules[0], 0).await;
                }
                shares(stage, &rules).await.filter(|shares| *shares == want)
            })
            .await;
        }
    }
    .boxed_local()
}

/// What two calls get that wait for all of a budget of a thousand, the first one first.
async fn shares(stage: &Stage, rules: &[Rule]) -> Option<[u64; 2]> {
    let (all, _) = stage.hold(rules, &tokens(1_000, 1_000)).await.unwrap();
    let need = tokens(100, 1_000);
    let one = async || Some(stage.counts.hold(rules, &need, Duration::from_secs(1)).await.ok()?);
    let ends = async {
        sleep(Duration::from_millis(100)).await;
        stage.settle(&all, cost(0));
    };
    let (first, second, ()) = tokio::join!(one(), one(), ends);
    let held = [first, second].into_iter().flatten().map(|(held, grant)| {
        stage.settle(&held, cost(0));
        grant.output
    });
    let mut shares: Vec<u64> = held.collect();
    shares.sort_unstable_by(|one, other| other.cmp(one));
    shares.try_into().ok()
}
