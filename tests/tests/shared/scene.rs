//! Replicas, what they share, and callers that call all of them at once.

use std::thread;
use std::time::Duration;

use gatewright_tests::client::{Client, Response};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, deployment, poll};
use gatewright_tests::postgres::Postgres;
use gatewright_tests::redis::{Redis, RedisCluster, RedisFailover, SERVICE};
use gatewright_tests::upstream::{Said, Script, Upstream, Used};
use serde_json::{Value, json};

/// Longer than anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Gateways and what they share.
pub(crate) struct Scene<R = Redis> {
    pub(crate) gateways: Vec<Gateway>,
    pub(crate) redis: R,
    pub(crate) database: Postgres,
    pub(crate) upstream: Upstream,
}

impl Scene {
    /// Starts so many replicas. They wait for Redis longer than a busy machine can stand still.
    pub(crate) fn start(replicas: usize) -> Self {
        Self::with(replicas, ", redis_deadline: 10")
    }

    /// Starts so many replicas; `more` is further `general_settings`.
    pub(crate) fn with(replicas: usize, more: &str) -> Self {
        let redis = Redis::start();
        let router = json!({"redis_host": "127.0.0.1", "redis_port": redis.port()});
        Self::over(redis, replicas, &router, more)
    }

    /// Waits until Redis has heard that nothing runs, and answers what it counts of the one budget of the key's scope:
    /// settled and held.
    pub(crate) fn settled_in_redis(&self, patience: Duration) -> (i64, i64) {
        settled_in(&self.redis, patience)
    }

    /// What Redis counts of the one budget of the key's scope now: settled, held, and how many calls run.
    pub(crate) fn figures_in_redis(&self) -> Option<[i64; 3]> {
        figures_in(&self.redis)
    }
}

impl Scene<RedisCluster> {
    /// Starts so many replicas over a cluster.
    pub(crate) fn in_cluster(replicas: usize) -> Self {
        let cluster = RedisCluster::start();
        let router = json!({"startup_nodes": cluster.startup_nodes()});
        Self::over(cluster, replicas, &router, ", redis_deadline: 10")
    }
}

impl Scene<RedisFailover> {
    /// Starts so many replicas over a master and its copy, which a sentinel names.
    pub(crate) fn behind_sentinels(replicas: usize) -> Self {
        let redis = RedisFailover::start();
        let router = json!({"sentinel_nodes": [["127.0.0.1", redis.port()]], "service_name": SERVICE});
        Self::over(redis, replicas, &router, "")
    }
}

impl<R: Sync> Scene<R> {
    /// Starts so many replicas that find `redis` where `router` says; `more` is further `general_settings`.
    fn over(redis: R, replicas: usize, router: &Value, more: &str) -> Self {
        let (upstream, database) = (Upstream::start(), Postgres::start());
        let config = format!(
            "model_list:\n{}router_settings: {router}\n\
             general_settings: {{master_key: {MASTER_KEY}, database_url: \"{}\"{more}}}\n",
            deployment("m", "openai/gpt-4o", &upstream, "num_retries: 0"),
            database.url()
        );
        let start = || Setup::new(config.clone()).start();
        // One after the other: the first one makes the tables.
        let gateways = (0..replicas).map(|_| start()).collect();
        Self { gateways, redis, database, upstream }
    }

    /// Makes a key.
    pub(crate) fn key(&self, grant: Value) -> String {
        let made = Client::of(&self.gateways[0]).made("/key/generate", grant);
        made["key"].as_str().unwrap().to_owned()
    }

    /// The n-th caller's client: callers go round the replicas.
    pub(crate) fn client(&self, number: usize, key: &str) -> Client {
        Client::with_key(&self.gateways[number % self.gateways.len()], key)
    }

    /// So many callers at once.
    pub(crate) fn at_once<T: Send>(
        &self,
        callers: usize,
        key: &str,
        call: impl Fn(usize, Client) -> T + Sync,
    ) -> Vec<T> {
        thread::scope(|scope| {
            let calls: Vec<_> = (0..callers)
                .map(|number| {
                    let (client, call) = (self.client(number, key), &call);
                    scope.spawn(move || call(number, client))
                })
                .collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        })
    }

    /// What the ledger says that the key's calls cost, once all of them ended and are in the database.
    pub(crate) fn ledger(&self, entries: usize) -> i64 {
        let told = poll(PATIENCE, || {
            let told = self.database.sql("SELECT COUNT(*), COALESCE(SUM(cost), 0) FROM entries").ok()?;
            let (count, sum) = told.split_once('|')?;
            (count.parse::<usize>().ok()? >= entries).then(|| sum.parse::<i64>().ok())?
        });
        told.expect("the ledger is not complete")
    }
}

/// Waits until a server has heard that nothing runs, and answers what it counts of the one budget of the key's scope: settled
/// and held.
pub(crate) fn settled_in(redis: &Redis, patience: Duration) -> (i64, i64) {
    let ended = || {
        let [settled, held, running] = figures_in(redis)?;
        (running == 0).then_some((settled, held))
    };
    poll(patience, ended).expect("calls never end in Redis")
}

/// What a server counts of the one budget of the key's scope now: settled, held, and how many calls run.
fn figures_in(redis: &Redis) -> Option<[i64; 3]> {
    let keys = redis.ask(&["KEYS", "*{api_key:*:budget*"]);
    let told = redis.ask(&["HMGET", keys.lines().next()?, "s", "h", "n"]);
    let numbers: Vec<i64> = told.lines().filter_map(|line| line.parse().ok()).collect();
    numbers.try_into().ok()
}

/// An answer of gpt-4o's that used so many tokens: $2.5 and $10 a million.
pub(crate) fn used(input: u64, output: u64) -> Script {
    Script::says(Said { used: Used { input, output, ..Used::default() }, ..Said::words(3) })
}

pub(crate) fn kind(response: &Response) -> Value {
    response.json()["error"]["type"].clone()
}

/// A plain or streamed call.
pub(crate) fn body(stream: bool, tokens: u64) -> Value {
    gatewright_tests::client::chat("m", "hi", json!({"max_tokens": tokens, "stream": stream}))
}
