//! What replicas know of each other's deployments: which of them rest, and how busy they are.

use std::time::Instant;

use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::{Gateway, deployment, poll};
use gatewright_tests::redis::{Redis, RedisCluster};
use gatewright_tests::upstream::{Gate, MOMENT, Pause, Script, Upstream};
use serde_json::{Value, json};

use crate::scene::used;

/// So many calls in a row go to one of two by chance once in a thousand million times.
const A_ROW: usize = 30;

/// Two gateways with the same two deployments, each at an upstream of its own.
struct Pair<R = Redis> {
    upstreams: [Upstream; 2],
    gateways: [Gateway; 2],
    redis: R,
}

// === impl Pair ===

impl Pair {
    /// `of` is what each deployment has besides, `router` further `router_settings`.
    fn start(of: [&str; 2], router: &str) -> Self {
        let redis = Redis::start();
        let at = json!({"redis_host": "127.0.0.1", "redis_port": redis.port()});
        Self::over(redis, at, of, router)
    }
}

impl Pair<RedisCluster> {
    fn in_cluster(of: [&str; 2], router: &str) -> Self {
        let cluster = RedisCluster::start();
        let at = json!({"startup_nodes": cluster.startup_nodes()});
        Self::over(cluster, at, of, router)
    }
}

impl<R> Pair<R> {
    /// `at` is where they find `redis`.
    fn over(redis: R, at: Value, of: [&str; 2], router: &str) -> Self {
        let upstreams = [Upstream::start(), Upstream::start()];
        let models: Vec<String> =
            (0..2).map(|nth| deployment("m", "openai/gpt-4o", &upstreams[nth], of[nth])).collect();
        let at = at.to_string();
        let config = format!(
            "model_list:\n{}router_settings: {}, num_retries: 0, {router}}}\n",
            models.concat(),
            at.trim_end_matches('}')
        );
        Self { upstreams, gateways: [(); 2].map(|()| Gateway::start(&config)), redis }
    }

    /// Calls at one of the gateways; answers which upstream was asked.
    fn call(&self, gateway: usize) -> usize {
        let counts = || [0, 1].map(|nth| self.upstreams[nth].count());
        let before = counts();
        let answer = Client::of(&self.gateways[gateway]).chat("m", "hi");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let after = counts();
        usize::from(after[0] == before[0])
    }

    /// Whether the second gateway comes to avoid this upstream.
    fn avoids(&self, upstream: usize) -> bool {
        poll(MOMENT, || (0..A_ROW).all(|_| self.call(1) != upstream).then_some(())).is_some()
    }

    /// Lets a call of the first gateway run; answers at which upstream, and what keeps it.
    fn occupy(&self) -> (usize, impl Sized + use<R>) {
        let gate = Gate::default();
        for upstream in &self.upstreams {
            let waits = gate.clone();
            upstream.choose(move |seen| {
                let holds = String::from_utf8_lossy(&seen.body).contains("hold");
                let before_head = if holds { Pause::Gate(waits.clone()) } else { Pause::None };
                Some(Script { before_head, ..used(1, 1) })
            });
        }
        let body = chat("m", "hold", json!({"stream": true})).to_string();
        let running =
            Client::of(&self.gateways[0]).send("POST", "/v1/chat/completions", body.as_bytes()).unwrap();
        let at = || self.upstreams.iter().position(|upstream| upstream.count() > 0);
        let at = poll(MOMENT, at).expect("the call goes nowhere");
        (at, (running, gate))
    }
}

#[test]
fn a_deployment_that_one_replica_lets_rest_is_left_alone_by_the_others() {
    left_alone(&Pair::start(["order: 1", "order: 2"], "cooldown_time: 300"));
}

#[test]
fn replicas_hear_of_each_other_through_a_cluster_too() {
    left_alone(&Pair::in_cluster(["order: 1", "order: 2"], "cooldown_time: 300"));
    let mut pair = Pair::in_cluster(["", ""], "routing_strategy: least-busy");
    let (busy, _running) = pair.occupy();
    assert!(pair.avoids(busy), "what runs at another replica does not count");
    pair.gateways[0].kill();
    let forgotten = poll(MOMENT, || (pair.call(1) == busy).then_some(()));
    assert!(forgotten.is_some(), "what ran at a replica that is gone counts for ever");
}

/// Each goes to its first deployment, until one of them lets it rest.
fn left_alone<R>(pair: &Pair<R>) {
    assert_eq!(pair.call(1), 0, "it is chosen as long as nobody knows better");
    pair.upstreams[0].push(Script::fails(429, "slow down"));
    Client::of(&pair.gateways[0]).chat("m", "hi");
    let since = Instant::now();
    let left_alone = poll(MOMENT, || (pair.call(1) == 1).then_some(()));
    assert!(left_alone.is_some(), "the other replica goes on asking it");
    println!("left alone after {:?}", since.elapsed());
    assert!((0..A_ROW).all(|_| pair.call(1) == 1));
}

#[test]
fn the_least_busy_is_so_at_all_replicas_until_one_is_gone() {
    let mut pair = Pair::start(["", ""], "routing_strategy: least-busy");
    let (busy, _running) = pair.occupy();
    assert!(pair.avoids(busy), "what runs at another replica does not count");
    pair.gateways[0].kill();
    let forgotten = poll(MOMENT, || (pair.call(1) == busy).then_some(()));
    assert!(forgotten.is_some(), "what ran at a replica that is gone counts for ever");
}

#[test]
fn what_one_replica_found_slow_is_avoided_by_one_that_has_served_nothing() {
    for streamed in [false, true] {
        let (redis, [slow, fast, rests, stands_in]) = (Redis::start(), [(); 4].map(|()| Upstream::start()));
        let models = [
            ("m", &slow, ""),
            ("m", &fast, ""),
            ("sign", &rests, "order: 1"),
            ("sign", &stands_in, "order: 2"),
        ]
        .map(|(group, upstream, of)| deployment(group, "openai/gpt-4o", upstream, of))
        .concat();
        let config = format!(
            "router_settings: {{redis_host: 127.0.0.1, redis_port: {}, num_retries: 0, cooldown_time: 300, \
             routing_strategy: latency-based-routing}}\nmodel_list:\n{models}",
            redis.port()
        );
        let [one, other] = [(); 2].map(|()| Gateway::start(&config));
        let ask = |gateway: &Gateway, model: &str| {
            let body = chat(model, "hi", json!({"stream": streamed}));
            Client::of(gateway).post("/v1/chat/completions", &body).status
        };
        // A machine that is busy with other things is not as slow in a row of answers.
        slow.choose(|_| Some(Script { before_head: Pause::millis(1_500), ..used(1, 1) }));
        fast.choose(|_| Some(used(1, 1)));
        assert_eq!([ask(&one, "m"), ask(&one, "m")], [200, 200], "it measures both");
        // What it tells of this rest, it tells together with what it measured before.
        rests.push(Script::fails(429, "slow down"));
        assert_eq!((ask(&one, "sign"), stands_in.count()), (200, 1));
        let heard = || (ask(&other, "sign") == 200 && stands_in.count() > 1).then_some(());
        assert!(poll(MOMENT, heard).is_some(), "the other replica hears nothing");
        assert!((0..A_ROW).all(|_| ask(&other, "m") == 200));
        assert_eq!((slow.count(), fast.count()), (1, 1 + A_ROW), "streams: {streamed}");
    }
}

#[test]
fn a_redis_that_is_gone_fails_no_call_and_what_it_said_is_forgotten() {
    let mut pair = Pair::start(["", ""], "routing_strategy: least-busy");
    let (busy, _running) = pair.occupy();
    assert!(pair.avoids(busy), "what runs at another replica does not count");
    pair.redis.crash();
    let forgotten = poll(MOMENT, || (pair.call(1) == busy).then_some(()));
    assert!(forgotten.is_some(), "what a Redis said that is gone counts for ever");
    assert_eq!(pair.gateways[1].log().matches("redis does not answer").count(), 1);
    // Once it is back, it goes on where it was.
    pair.redis.resume();
    assert!(pair.avoids(busy), "it is not told again");
}
