//! What a replica says to Redis, and over which connections.
#![cfg(test)]

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use gatewright_core::SystemClock;
use gatewright_limits::{Counters, Need, Rule, Shared, SharedSettings, Sharing};
use gatewright_tests::gateway::poll;
use gatewright_tests::redis::Redis;
use tokio::runtime::{Builder, Runtime};

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A thread with a runtime of its own that lets one call in each time that it is asked to.
struct Worker {
    call: Sender<()>,
    admitted: Receiver<bool>,
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A thread with a runtime that does what everything but calls needs.
fn keeper(redis: &Redis) -> (Arc<Shared>, tokio::runtime::Handle) {
    let client = redis::Client::open(redis.url()).unwrap();
    let settings = SharedSettings { replica: "one".into(), deadline: PATIENCE, ..SharedSettings::default() };
    let (tell, told) = channel();
    thread::spawn(move || {
        let runtime = runtime();
        let _inside = runtime.enter();
        let shared = Arc::new(Shared::start(vec![client], settings, Arc::new(SystemClock)));
        tell.send((shared, runtime.handle().clone())).unwrap();
        runtime.block_on(std::future::pending::<()>());
    });
    told.recv().unwrap()
}

// === impl Worker ===

impl Worker {
    fn start(shared: &Arc<Shared>) -> Self {
        let ((call, calls), (tell, admitted)) = (channel(), channel());
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            runtime().block_on(async {
                let rules = [Rule::requests("api_key", "k".into(), 1_000)];
                while calls.recv().is_ok() {
                    let held = shared.hold(&rules, &Need::default(), Duration::ZERO).await;
                    tell.send(held.is_ok()).unwrap();
                    // What it began beside the call goes on, as between two calls of a gateway.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        });
        Self { call, admitted }
    }

    fn call(&self) {
        self.call.send(()).unwrap();
        assert!(self.admitted.recv_timeout(PATIENCE).unwrap());
    }
}

/// The addresses of all connections but that of whoever asks this.
fn connections(redis: &Redis) -> Vec<String> {
    let list = redis.ask(&["CLIENT", "LIST"]);
    let others = list.lines().filter(|line| !line.contains("cmd=client"));
    let addr = |line: &str| line.split(' ').find_map(|word| word.strip_prefix("addr=")).map(str::to_owned);
    others.filter_map(addr).collect()
}

/// Calls with all of them until there are so many connections.
fn call_until(workers: &[Worker], redis: &Redis, want: usize) {
    let there = || {
        workers.iter().for_each(Worker::call);
        (connections(redis).len() == want).then_some(())
    };
    assert!(poll(PATIENCE, there).is_some(), "{:?}", connections(redis));
}

fn connected(shared: &Shared) {
    assert!(poll(PATIENCE, || shared.sharing().connected.then_some(())).is_some());
}

#[test]
fn each_runtime_has_one_connection_however_often_one_breaks() {
    let redis = Redis::start();
    let (shared, handle) = keeper(&redis);
    connected(&shared);
    assert_eq!(connections(&redis).len(), 1, "nobody called yet");
    let workers = [(); 3].map(|()| Worker::start(&shared));
    call_until(&workers, &redis, 4);
    for losses in 1..4 {
        let one = connections(&redis).pop().unwrap();
        assert_eq!(redis.ask(&["CLIENT", "KILL", &one]), "OK");
        let noticed = || {
            workers.iter().for_each(Worker::call);
            (shared.sharing().losses == losses).then_some(())
        };
        assert!(poll(PATIENCE, noticed).is_some(), "{:?}", shared.sharing());
        connected(&shared);
        call_until(&workers, &redis, 4);
    }
    drop(workers);
    let stopped = handle.spawn(async move { shared.stop().await });
    runtime().block_on(stopped).unwrap();
    assert!(poll(PATIENCE, || connections(&redis).is_empty().then_some(())).is_some(), "one is left");
}

#[test]
fn a_call_of_one_thread_waits_for_no_other_thread() {
    let redis = Redis::start();
    let (shared, handle) = keeper(&redis);
    connected(&shared);
    let workers = [(); 2].map(|()| Worker::start(&shared));
    call_until(&workers, &redis, 3);
    let ((go, gate), (tell, stands)) = (channel::<()>(), channel());
    // The runtime of the one that keeps the contact stands still, and so does that of the other worker, between calls.
    handle.spawn(async move {
        tell.send(()).unwrap();
        gate.recv().unwrap();
    });
    stands.recv().unwrap();
    (0..100).for_each(|_| workers[0].call());
    assert_eq!(shared.sharing(), Sharing { losses: 0, ..shared.sharing() });
    assert!(redis.ask(&["HGET", "{gatewright}:{api_key:k}:requests:60", "u"]).parse::<u64>().unwrap() > 100);
    go.send(()).unwrap();
}
