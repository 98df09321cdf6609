//! Shares: which deployment of a group gets how many calls.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::fixture::{Loaded, Seeded, call, deployment, with_pool, with_pool_of};
use crate::{
    Deployment, Dice, LatencySettings, LeastBusy, LowestCost, LowestLatency, Pick, Settings, SimpleShuffle,
    Table,
};

/// Rolls every hundredth once, from the lowest up.
#[derive(Default)]
struct Even(AtomicU32);

impl Dice for Even {
    fn roll(&self) -> f64 {
        f64::from(self.0.fetch_add(1, Relaxed)) / 100.0
    }
}

#[derive(Clone, Copy, Default)]
struct Limits {
    weight: Option<f64>,
    rpm: Option<u64>,
    tpm: Option<u64>,
}

fn check(limits: &[Limits], expected: &[usize]) {
    let list: Vec<Deployment> = limits
        .iter()
        .enumerate()
        .map(|(nth, l)| Deployment {
            weight: l.weight,
            rpm: l.rpm,
            tpm: l.tpm,
            ..deployment("m", &nth.to_string())
        })
        .collect();
    let dice = Even::default();
    let mut counts = vec![0; limits.len()];
    with_pool(list, |pool| {
        for _ in 0..100 {
            counts[SimpleShuffle.pick(&call("m"), pool, &dice).unwrap()] += 1;
        }
    });
    assert_eq!(counts, expected);
}

#[test]
fn shares_follow_the_first_metric_that_anyone_has() {
    let none = Limits::default();
    let weight = |weight| Limits { weight: Some(weight), ..none };
    let rpm = |rpm| Limits { rpm: Some(rpm), ..none };
    let tpm = |tpm| Limits { tpm: Some(tpm), ..none };
    check(&[none, none], &[50, 50]);
    check(&[weight(3.0), weight(1.0)], &[75, 25]);
    check(&[weight(0.0), weight(2.0)], &[0, 100]);
    check(&[weight(0.0), weight(0.0)], &[50, 50]);
    check(&[weight(1.0), none], &[100, 0]);
    check(&[weight(1.0), rpm(900)], &[100, 0]);
    check(&[rpm(10), rpm(30)], &[25, 75]);
    check(&[tpm(1000), tpm(9000), none], &[10, 90, 0]);
    check(&[rpm(10), tpm(9000)], &[100, 0]);
}

#[test]
fn a_roll_at_the_edge_never_falls_to_a_share_of_nothing() {
    let list: Vec<Deployment> = [("a", 1.0), ("b", 0.0)]
        .map(|(id, w)| Deployment { weight: Some(w), ..deployment("m", id) })
        .to_vec();
    let chosen = with_pool(list, |pool| SimpleShuffle.pick(&call("m"), pool, &Loaded(1.0)));
    assert_eq!(chosen, Some(0));
}

const DRAWS: u32 = 100_000;

/// Draws many times among deployments of these weights, of which some rest, and holds what came against the shares.
fn hold_against_shares(pick: &dyn Pick, weights: &[f64], resting: &[usize], seed: u64) {
    let list = weights.iter().enumerate();
    let list =
        list.map(|(nth, weight)| Deployment { weight: Some(*weight), ..deployment("m", &nth.to_string()) });
    let table = Table::build(list.collect(), Settings::default()).unwrap();
    for nth in resting {
        table.health(&nth.to_string()).unwrap().rest_for(Duration::from_secs(60), Instant::now());
    }
    let mut counts = vec![0u32; weights.len()];
    let (dice, call) = (Seeded::new(seed), call("m"));
    with_pool_of(&table, |pool| {
        for _ in 0..DRAWS {
            counts[pick.pick(&call, pool, &dice).unwrap()] += 1;
        }
    });
    let share = |nth: usize| if resting.contains(&nth) { 0.0 } else { weights[nth] };
    let all: f64 = (0..weights.len()).map(share).sum();
    let mut squares = 0.0;
    for (nth, count) in counts.iter().enumerate() {
        let expected = f64::from(DRAWS) * share(nth) / all;
        match expected > 0.0 {
            true => squares += (f64::from(*count) - expected).powi(2) / expected,
            false => assert_eq!(*count, 0, "{nth} of {weights:?} without {resting:?}"),
        }
    }
    // The mean of chi-square is its degrees of freedom; five deviations above it chance comes once in a million seeds.
    let degrees = (0..weights.len()).filter(|nth| share(*nth) > 0.0).count() as f64 - 1.0;
    let most = degrees + 5.0 * (2.0 * degrees).sqrt() + 10.0;
    assert!(
        squares <= most,
        "{squares} > {most} for {weights:?} without {resting:?}, seed {seed}: {counts:?}"
    );
}

#[test]
fn shares_hold_over_many_draws_also_where_some_rest() {
    for seed in 1..=3 {
        hold_against_shares(&SimpleShuffle, &[1.0, 2.0, 3.0, 4.0], &[], seed);
        hold_against_shares(&SimpleShuffle, &[1.0, 2.0, 3.0, 4.0], &[3], seed);
        hold_against_shares(&SimpleShuffle, &[0.5, 0.0, 8.0, 0.001], &[], seed);
        hold_against_shares(&SimpleShuffle, &[97.0, 1.0, 1.0, 1.0], &[0], seed);
        hold_against_shares(&SimpleShuffle, &[1.0; 10], &[0, 1, 2, 3, 4, 5, 6, 7], seed);
        hold_against_shares(&SimpleShuffle, &[1e6, 1.0, 2.0], &[0], seed);
    }
}

#[test]
fn those_that_are_alike_get_as_much_by_chance() {
    for seed in 1..=3 {
        for resting in [&[][..], &[0, 1, 2]] {
            hold_against_shares(&LowestCost, &[1.0; 8], resting, seed);
            let buffered = LowestLatency(LatencySettings { buffer: 0.1, ..LatencySettings::default() });
            hold_against_shares(&buffered, &[1.0; 8], resting, seed);
        }
        hold_against_shares(&LowestLatency::default(), &[1.0; 8], &[], seed);
        hold_against_shares(&LeastBusy, &[1.0; 8], &[], seed);
    }
}
