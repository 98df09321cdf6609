//! Shares: which deployment of a group gets how many calls.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::fixture::{Loaded, call, deployment, with_pool};
use crate::{Deployment, Dice, Pick, SimpleShuffle};

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
