//! A Redis that is dead or hangs costs the hit, and nothing else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gatewright_cache::{Cache, Figures, Link, Redis as Kept, RedisSettings, Server, Settings, Tiers};
use gatewright_core::{Clock, Middleware, SystemClock};
use gatewright_tests::redis::Redis;

use crate::stage::{Say, Upstream, call, read};

/// Calls with a short deadline, by the clock of the machine: what is tested is time.
struct Hurried {
    cache: Cache<Tiers>,
    figures: Arc<Figures>,
    up: &'static Upstream,
}

const DEADLINE: Duration = Duration::from_millis(50);

impl Hurried {
    fn new(redis: &Redis, queued_bytes: usize) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let figures: Arc<Figures> = Arc::default();
        let server = Server::One(Box::new(redis::Client::open(redis.url()).unwrap()));
        let of = RedisSettings { deadline: DEADLINE, queued_bytes, ..RedisSettings::default() };
        let (kept, writing) =
            Kept::open(Link::new(server, clock.clone()), of, figures.clone(), clock.clone());
        tokio_util::task::TaskTracker::new().spawn(writing);
        let tiers = Tiers::shared(kept, None);
        let cache = Cache::new(tiers, Settings::default(), figures.clone(), clock);
        Self { cache, figures, up: Box::leak(Box::new(Upstream::saying([Say::Whole("x")]))) }
    }

    async fn ask(&self, key: &str) -> bool {
        let reply = self.cache.handle(call(key, "{}"), self.up).await.unwrap();
        let hit = reply.head.cached.as_ref().unwrap().hit;
        assert_eq!(read(reply.frames).await, "x");
        hit
    }

    /// Asks until it is answered from what is kept.
    async fn until_hit(&self, key: &str) {
        while !self.ask(key).await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn a_redis_that_dies_costs_hits_until_it_is_back() {
    let mut redis = Redis::start();
    let calls = Hurried::new(&redis, 1 << 20);
    calls.until_hit("k").await;
    redis.crash();
    assert!(!calls.ask("k").await);
    for _ in 0..100 {
        assert!(!calls.ask("k").await);
    }
    redis.resume();
    calls.until_hit("k").await;
}

#[tokio::test]
async fn a_redis_that_hangs_is_waited_for_by_one_call_and_not_by_a_hundred() {
    let redis = Redis::start();
    let calls = Hurried::new(&redis, 1 << 20);
    calls.until_hit("k").await;
    redis.hang();
    let begun = Instant::now();
    for _ in 0..100 {
        assert!(!calls.ask("k").await);
    }
    // By far less than a hundred deadlines; a machine that is busy makes none of it slower than that.
    assert!(begun.elapsed() < DEADLINE * 50, "{:?}", begun.elapsed());
    assert!(calls.figures.snapshot().late >= 100);
    redis.go_on();
    calls.until_hit("k").await;
}

#[tokio::test]
async fn what_redis_cannot_take_is_dropped_and_counted() {
    let redis = Redis::start();
    let calls = Hurried::new(&redis, 0);
    calls.ask("a").await;
    assert_eq!(calls.figures.snapshot().unwritten, 1, "there is no room at all");
    let mut gone = Redis::start();
    let calls = Hurried::new(&gone, 1 << 20);
    gone.crash();
    for _ in 0..10 {
        calls.ask("k").await;
    }
    while calls.figures.snapshot().unwritten < 10 {
        tokio::task::yield_now().await;
    }
}
