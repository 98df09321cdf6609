//! Calls that belong together go to the same deployment, in the shares that are configured.

use std::collections::BTreeMap;
use std::sync::Arc;

use gatewright_core::{Call, Caller, ErrorKind};

use super::fixture::{Step, World, call, deployment, fail, with_pool_of};
use crate::pick::sticky;
use crate::{Affinity, Deployment, Know, Settings, Table};

const SESSIONS: usize = 10_000;

fn weighted(weights: &[(&str, f64)]) -> Vec<Deployment> {
    let one = |(id, weight): &(&str, f64)| Deployment { weight: Some(*weight), ..deployment("m", id) };
    weights.iter().map(one).collect()
}

fn by_session() -> Settings {
    Settings { affinity: Affinity { session: true, ..Affinity::default() }, ..Settings::default() }
}

fn of_session(name: &str) -> Call {
    let mut call = call("m");
    call.controls.trace_id = Some(name.into());
    call
}

fn of_caller(name: &str) -> Call {
    let mut call = call("m");
    call.caller = Arc::new(Caller::new(name));
    call
}

/// Where each session goes.
fn homes(list: Vec<Deployment>) -> Vec<String> {
    let table = Table::build(list, by_session()).unwrap();
    with_pool_of(&table, |pool| {
        let home = |nth| {
            let key = sticky::key(&of_session(&format!("session-{nth}")), "m", &table.settings).unwrap();
            pool.get(sticky::pick(key, pool).unwrap()).unwrap().deployment.id.to_string()
        };
        (0..SESSIONS).map(home).collect()
    })
}

fn counted(homes: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    homes.iter().for_each(|home| *counts.entry(home.as_str()).or_default() += 1);
    counts
}

/// Within five standard deviations of the share.
fn near(count: usize, share: f64) -> bool {
    let expected = SESSIONS as f64 * share;
    (count as f64 - expected).abs() < 5.0 * (expected * (1.0 - share)).sqrt()
}

#[test]
fn sessions_are_shared_by_weight() {
    for weights in [&[("a", 8.0), ("b", 1.0), ("c", 1.0)], &[("a", 0.25), ("b", 0.5), ("c", 0.25)]] {
        let (homes, total) = (homes(weighted(weights)), weights.iter().map(|(_, w)| w).sum::<f64>());
        let counts = counted(&homes);
        for (id, weight) in weights {
            assert!(near(counts[id], weight / total), "{weights:?}: {counts:?}");
        }
    }
    let homes = homes(["a", "b", "c", "d"].map(|id| deployment("m", id)).to_vec());
    assert!(counted(&homes).values().all(|count| near(*count, 0.25)), "{:?}", counted(&homes));
    let homes = self::homes(weighted(&[("a", 0.0), ("b", 1.0)]));
    assert_eq!(counted(&homes), [("b", SESSIONS)].into());
}

#[test]
fn one_that_goes_away_moves_only_its_own_sessions_and_the_others_keep_their_shares() {
    let weights = [("a", 3.0), ("b", 2.0), ("c", 1.0)];
    let (before, after) = (homes(weighted(&weights)), homes(weighted(&weights[1..])));
    let mut moved = Vec::new();
    for (before, after) in before.iter().zip(&after) {
        match before.as_str() {
            "a" => moved.push(after.clone()),
            _ => assert_eq!(before, after),
        }
    }
    let to_b = moved.iter().filter(|home| *home == "b").count() as f64 / moved.len() as f64;
    assert!((to_b - 2.0 / 3.0).abs() < 0.04, "{to_b}");
    // The order of a file says nothing, and nor does the process.
    let turned = homes(weighted(&[("c", 1.0), ("a", 3.0), ("b", 2.0)]));
    assert_eq!(before, turned);
    // Nor does the version: replicas of two of them stand side by side while one is rolled out.
    assert_eq!(before[..16].concat(), "cabaabbbbabacbbb");
}

#[tokio::test(start_paused = true)]
async fn one_that_rests_is_come_back_to() {
    let world = World::new(
        weighted(&[("a", 1.0), ("b", 1.0)]),
        by_session(),
        [("a", vec![fail(ErrorKind::RateLimited), Step::Answer])],
    );
    let home = |name: &'static str| world.ask_with(of_session(name));
    let mut names = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"].into_iter();
    let mut elsewhere = Vec::new();
    let own = loop {
        let name = names.next().unwrap();
        match home(name).await.1.as_slice() {
            [first, then] if first == "a" && then == "b" => break name,
            other => elsewhere.push((name, other.to_vec())),
        }
    };
    assert_eq!(home(own).await.1, ["b"], "a rests");
    for (name, was) in elsewhere {
        assert_eq!(home(name).await.1, was, "{name}");
    }
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    for _ in 0..3 {
        assert_eq!(home(own).await.1, ["a"]);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_belong_together_only_as_the_operator_says() {
    let list = || ["a", "b", "c", "d", "e", "f", "g", "h"].map(|id| deployment("m", id)).to_vec();
    let affinity = |session, prefix, caller| {
        let settings = Settings { affinity: Affinity { session, prefix, caller }, ..Settings::default() };
        // Each call's beginning is its model's owner here.
        World::new(list(), Settings { know: Arc::new(ByTag), ..settings }, []).with_roll(0.99)
    };
    let homes = async |world: &World, call: &dyn Fn(&str) -> Call| {
        let mut homes = std::collections::BTreeSet::new();
        for name in ["1", "2", "3", "4", "5", "6"] {
            homes.extend(world.ask_with(call(name)).await.1);
        }
        homes.len()
    };
    let (none, sessions, callers) =
        (affinity(false, false, false), affinity(true, false, false), affinity(false, false, true));
    assert_eq!(homes(&none, &of_session).await, 1, "the strategy chooses");
    assert!(homes(&sessions, &of_session).await > 1);
    assert_eq!(homes(&sessions, &of_caller).await, 1);
    assert!(homes(&callers, &of_caller).await > 1);
    assert_eq!(homes(&callers, &of_session).await, 1, "nobody in particular");
    let prefixes = affinity(false, true, true);
    let same_prefix = |name: &str| {
        let mut call = of_caller(name);
        call.controls.tags = vec!["tag".into()];
        call
    };
    assert_eq!(homes(&prefixes, &same_prefix).await, 1, "a beginning tells more than a caller");
    assert!(homes(&prefixes, &of_caller).await > 1);
}

/// Takes a call's tag for its beginning.
struct ByTag;

impl Know for ByTag {
    fn prefix(&self, call: &Call) -> Option<u64> {
        (!call.controls.tags.is_empty()).then_some(7)
    }
}
