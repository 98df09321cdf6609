//! What a witness hears of attempts and rests.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gatewright_core::Error;
use gatewright_core::ErrorKind::{InvalidRequest, RateLimited};

use super::fixture::{Step, World, deployments, fail};
use crate::{Deployment, Settings, Trial, Witness};

/// Writes down what it hears.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Witness for Heard {
    fn ended(&self, deployment: &Deployment, trial: &Trial, failure: Option<&Error>) {
        let how = failure.map_or("well".to_owned(), |err| err.kind().word());
        assert_eq!(trial.failed, failure.is_some());
        self.0.lock().unwrap().push(format!("{} {how}", deployment.id));
    }

    fn rests(&self, deployment: &Deployment, rest: Duration, failure: &Error) {
        let kind = failure.kind().word();
        self.0.lock().unwrap().push(format!("{} rests {rest:?} for {kind}", deployment.id));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rest_is_told_when_it_begins_and_attempts_when_they_end() {
    let heard = Arc::new(Heard::default());
    let settings = Settings { witness: Some(heard.clone()), ..Settings::default() };
    let script = [("a", vec![fail(RateLimited), Step::Answer]), ("b", vec![Step::Answer])];
    let world = World::new(deployments(&[("m", "a"), ("m", "b")]), settings, script);
    for _ in 0..2 {
        world.ask("m").await.0.unwrap();
    }
    let heard = std::mem::take(&mut *heard.0.lock().unwrap());
    assert_eq!(heard, ["a rests 5s for rate_limited", "a rate_limited", "b well", "b well"]);
}

#[tokio::test(start_paused = true)]
async fn a_rest_that_goes_on_is_not_told_again_and_a_clients_fault_begins_none() {
    let heard = Arc::new(Heard::default());
    let settings = Settings { witness: Some(heard.clone()), num_retries: 0, ..Settings::default() };
    let script = [("a", vec![fail(InvalidRequest), fail(RateLimited)]), ("b", vec![fail(RateLimited)])];
    let world = World::new(deployments(&[("m", "a"), ("m", "b")]), settings, script);
    for _ in 0..5 {
        world.ask("m").await.0.unwrap_err();
    }
    let rests = heard.0.lock().unwrap().iter().filter(|line| line.contains("rests")).count();
    // The last one that does not rest is never left out.
    assert_eq!(rests, 1);
}
