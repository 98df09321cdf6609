//! Counts of either kind, and what can be asked of both.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use gatewright_core::{Money, Price, SystemClock};
use gatewright_limits::{
    Counter, Counters, Counts, CountsHold, Grant, Local, Mode, Need, Refused, Rule, Shared, SharedSettings,
    Used, Window,
};
use gatewright_tests::redis::{Redis, RedisCluster};
use tokio::time::{Instant, sleep};

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a scenario plays.
pub(crate) struct Stage {
    /// In strict mode.
    pub(crate) counts: Counts,
    /// In expected mode.
    pub(crate) expected: Counts,
}

/// What a scenario is.
pub(crate) type Scenario = fn(&Stage) -> LocalBoxFuture<'_, ()>;

/// Plays it with counts in this process.
pub(crate) fn here(scenario: Scenario) {
    let counts = |mode| Counts::Local(Local::new(Arc::new(SystemClock)).holding(mode));
    let stage = || async { Stage { counts: counts(Mode::Strict), expected: counts(Mode::Expected) } };
    play(stage, scenario);
}

/// Plays it with counts in a Redis of its own.
pub(crate) fn shared(scenario: Scenario) {
    let redis = Redis::start();
    let servers = [&redis];
    play(|| in_redis(&servers, "s"), scenario);
}

/// Plays all of them at once in one cluster, whose nodes each keep the counts of some.
pub(crate) fn clustered(scenarios: &[(&'static str, Scenario)]) {
    let cluster = RedisCluster::start();
    let nodes: Vec<&Redis> = cluster.nodes.iter().collect();
    let failed: Vec<&str> = thread::scope(|scope| {
        let plays: Vec<_> = scenarios
            .iter()
            .map(|(name, scenario)| (name, scope.spawn(|| play(|| in_redis(&nodes, name), *scenario))))
            .collect();
        plays.into_iter().filter_map(|(name, play)| play.join().is_err().then_some(*name)).collect()
    });
    assert!(failed.is_empty(), "{failed:?}");
    let idle = |node: &&Redis| node.ask(&["DBSIZE"]) == "0";
    assert!(!cluster.nodes.iter().any(|node| idle(&node)), "a node was never asked");
}

async fn in_redis(servers: &[&Redis], namespace: &str) -> Stage {
    let counts = |mode, part: &str| {
        let settings = SharedSettings {
            namespace: format!("{namespace}-{part}"),
            replica: "one".to_owned(),
            // Nothing here is about a server that is slow.
            deadline: PATIENCE,
            mode,
            ..SharedSettings::default()
        };
        let servers = servers.iter().map(|redis| redis::Client::open(redis.url()).unwrap());
        Counts::Shared(Shared::start(servers, settings, Arc::new(SystemClock)))
    };
    let stage =
        Stage { counts: counts(Mode::Strict, "strict"), expected: counts(Mode::Expected, "expected") };
    // A server that was just started lets budgets wait until replicas have told what they know.
    for counts in [&stage.counts, &stage.expected] {
        let ready = budget("ready", 10);
        let (held, _) = eventually(async || {
            counts.hold(std::slice::from_ref(&ready), &tokens(1, 1), PATIENCE).await.ok()
        })
        .await;
        counts.settle(&held, Used::default());
    }
    stage
}

fn play<S: Future<Output = Stage>>(stage: impl FnOnce() -> S, scenario: Scenario) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let stage = stage().await;
        scenario(&stage).await;
        stage.counts.stop().await;
        stage.expected.stop().await;
    });
}

/// Asks until there is an answer: what ended is told to Redis a moment later.
pub(crate) async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(told) = ask().await {
            return told;
        }
        assert!(Instant::now() < until, "it does not come");
        sleep(Duration::from_millis(5)).await;
    }
}

// === impl Stage ===

impl Stage {
    /// Holds at once, or not at all, as calls do.
    pub(crate) async fn hold(&self, rules: &[Rule], need: &Need) -> Result<(CountsHold, Grant), Refused> {
        match self.counts.hold_at_once(rules, need) {
            Some(held) => held,
            None => self.counts.hold(rules, need, Duration::ZERO).await,
        }
    }

    pub(crate) async fn fit(
        &self,
        hold: &CountsHold,
        rules: &[Rule],
        need: &Need,
        spent: i64,
    ) -> Result<u64, Refused> {
        self.counts.fit(hold, rules, need, Money(spent)).await
    }

    pub(crate) fn settle(&self, hold: &CountsHold, used: Used) {
        self.counts.settle(hold, used);
    }

    /// Waits until so much is taken of a rule.
    pub(crate) async fn takes(&self, rule: &Rule, want: u64) {
        let mut last = None;
        let until = Instant::now() + PATIENCE;
        while last != Some(want) {
            assert!(Instant::now() < until, "{last:?} is taken of {rule:?}, not {want}");
            last = Some(taken(&self.counts, rule).await);
            sleep(Duration::from_millis(2)).await;
        }
    }
}

/// What is taken of a rule: nothing fits a limit of nothing, and whoever is refused is told.
pub(crate) async fn taken(counts: &Counts, rule: &Rule) -> u64 {
    let nothing = Rule { limit: 0, ..rule.clone() };
    match counts.hold(&[nothing], &tokens(1, 1), Duration::ZERO).await {
        Err(Refused::Full { taken, .. }) => taken,
        other => panic!("{other:?}", other = other.map(|(_, grant)| grant)),
    }
}

/// The rule that refuses and what is taken of it.
pub(crate) fn refused<T>(result: Result<T, Refused>) -> (usize, u64) {
    match result.map(|_| ()) {
        Err(Refused::Full { rule, taken, .. }) => (rule, taken),
        other => panic!("{other:?}"),
    }
}

/// A budget of so many nano-dollars for all time.
pub(crate) fn budget(id: &str, limit: i64) -> Rule {
    Rule::money("api_key", id.into(), Money(limit), Window::Forever)
}

/// A limit of requests in so much time.
pub(crate) fn requests_in(id: &str, limit: u64, length: Duration) -> Rule {
    Rule::new("api_key", id.into(), Counter::Requests, limit, Window::Rolling(length))
}

/// A call that costs one nano-dollar a token, and has no input.
pub(crate) fn tokens(least: u64, cap: u64) -> Need {
    Need {
        tokens: 1,
        output: Price(1_000_000),
        output_cap: cap,
        least_output: least,
        known_cap: true,
        ..Need::default()
    }
}

/// A call that costs nothing and is held for so many tokens.
pub(crate) fn counted(tokens: u64) -> Need {
    Need { tokens, ..Need::default() }
}

/// A call that cost this.
pub(crate) fn cost(nano: i64) -> Used {
    Used { cost: Money(nano), ..Used::default() }
}
