//! What is said on the wire, what comes of failures there, and how much is kept in process.

use std::sync::Arc;
use std::time::Duration;

use gatewright_cache::similar::{
    Answered, Fault, Local, LocalLimits, Neighbours, QdrantSettings, Quantization, RedisSearch,
};
use gatewright_cache::{Entry, EntryHead, Figures, Link, Redis, RedisSettings, Server};
use gatewright_core::{Frame, HandClock, Money};
use redis::sentinel::{SentinelClient, SentinelServerType};
use serde_json::json;
use tokio::sync::Mutex;

use crate::fake_qdrant::{FakeQdrant, Mood};
use crate::fake_redis::{FakeRedis, word};
use crate::suite::{PATIENCE, TTL, class, link, named, place, qdrant, redis, redis_within, run};

/// For so long nobody asks a Redis that failed.
const REST: Duration = Duration::from_secs(1);

fn kept(key: &str, bytes: usize) -> Answered {
    let frame = Frame { data: vec![b'x'; bytes].into(), last: true, ..Frame::default() };
    let entry = Entry::of(EntryHead::default(), &[frame], (0, Money::ZERO));
    Answered { key: named(key), entry: entry.into(), ttl: None }
}

#[test]
fn qdrant_is_spoken_to_as_its_reference_says() {
    run(async {
        let (fake, clock) = (FakeQdrant::start().await, HandClock::at(1_800_000_000));
        let qdrant = qdrant(&fake, clock.clone());
        let one = place(class("one"), &[0.0, 3.0]);
        assert_eq!(qdrant.nearest(&one, 0.5).await, Ok(None), "no collection yet");
        qdrant.keep(one.clone(), kept("a", 3)).await.unwrap();
        assert!(qdrant.nearest(&one, 0.5).await.unwrap().is_some());
        let seen = fake.seen();
        let lines: Vec<_> = seen.iter().map(|seen| seen.line.as_str()).collect();
        let at = "/collections/answers";
        assert_eq!(
            lines,
            [
                format!("POST {at}/points/query"),
                format!("GET {at}/exists"),
                format!("PUT {at}"),
                format!("PUT {at}/index?wait=true"),
                format!("PUT {at}/index?wait=true"),
                format!("PUT {at}/points?wait=true"),
                format!("POST {at}/points/query"),
            ]
        );
        assert!(seen.iter().all(|seen| seen.api_key.as_deref() == Some("key")));
        assert_eq!(
            seen[2].body,
            json!({"vectors": {"size": 2, "distance": "Cosine"}, "quantization_config": {"binary": {"always_ram": false}}})
        );
        assert_eq!(seen[3].body, json!({"field_name": "class", "field_schema": "keyword"}));
        let now = 1_800_000_000;
        let name = class("one").to_string();
        let mut payload = seen[5].body["points"][0]["payload"].clone();
        assert!(payload.as_object_mut().unwrap().remove("entry").unwrap().is_string());
        assert_eq!(payload, json!({"class": name, "key": *named("a").text, "until": now + TTL.as_secs()}));
        assert_eq!(seen[5].body["points"][0]["vector"], json!([0.0, 1.0]));
        assert_eq!(
            seen[6].body,
            json!({
                "query": [0.0, 1.0],
                "filter": {"must": [
                    {"key": "class", "match": {"value": name}},
                    {"key": "until", "range": {"gt": now}},
                ]},
                "params": {"quantization": {"ignore": false, "rescore": true, "oversampling": 3.0}},
                "score_threshold": 0.5,
                "limit": 1,
                "with_payload": true,
            })
        );
    });
}

#[test]
fn what_is_over_is_swept_out_of_qdrant_and_what_others_keep_there_stays() {
    run(async {
        let (fake, clock) = (FakeQdrant::start().await, HandClock::at(1_800_000_000));
        let qdrant = qdrant(&fake, clock.clone());
        qdrant.keep(place(class("one"), &[0.0, 1.0]), kept("a", 3)).await.unwrap();
        fake.put("answers", "theirs", &[0.0, 1.0], json!({"text": "t", "response": "r"}));
        assert_eq!(qdrant.nearest(&place(class("two"), &[0.0, 1.0]), 0.5).await, Ok(None));
        clock.forward(Duration::from_secs(3600));
        qdrant.keep(place(class("one"), &[1.0, 0.0]), kept("b", 3)).await.unwrap();
        assert_eq!(fake.points(), 2, "one of ours, one of theirs");
        qdrant.forget_all().await.unwrap();
        assert_eq!(fake.points(), 1);
    });
}

#[test]
fn what_qdrant_refuses_is_told_without_what_was_asked() {
    run(async {
        let fake = FakeQdrant::start().await;
        let qdrant = qdrant(&fake, HandClock::new());
        fake.is(Mood::Refuses(403));
        let place = place(class("one"), &[0.0, 1.0]);
        assert_eq!(qdrant.nearest(&place, 0.5).await, Err(Fault::away("status 403")));
        assert_eq!(qdrant.keep(place, kept("a", 3)).await, Err(Fault::away("status 403")));
    });
}

#[test]
fn a_place_that_is_no_url_is_refused_at_once() {
    let clock = HandClock::new();
    for base in ["localhost:6333", "", "http://a b", "ftp://a"] {
        let settings = QdrantSettings {
            base: base.to_owned(),
            api_key: None,
            collection: "c".to_owned(),
            quantization: Quantization::Scalar,
            dimensions: None,
            largest_entry: 1,
            usual: TTL,
        };
        let transport = gatewright_transport::Transport::new(Default::default()).unwrap();
        assert!(
            gatewright_cache::similar::Qdrant::new(settings, transport, clock.clone()).is_err(),
            "{base}"
        );
    }
}

#[test]
fn a_redis_that_lost_everything_gets_its_index_anew() {
    run(async {
        let clock = HandClock::new();
        let fake = FakeRedis::start(clock.clone()).await;
        let redis = redis(&fake, "", clock);
        let one = place(class("one"), &[0.0, 1.0]);
        redis.keep(one.clone(), kept("a", 3)).await.unwrap();
        assert!(redis.nearest(&one, 0.5).await.unwrap().is_some());
        fake.forget();
        assert!(redis.nearest(&one, 0.5).await.is_err(), "no index");
        assert_eq!(redis.nearest(&one, 0.5).await, Ok(None));
        assert_eq!(fake.seen("FT.CREATE").len(), 2);
        let created: Vec<_> =
            fake.seen("FT.CREATE")[0].iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        assert_eq!(created[1], "answers:gatewright:2");
        assert_eq!(created[6], "answers:gatewright:kept:");
        assert_eq!(word(&fake.seen("PEXPIRE")[0], 2), "60000");
    });
}

#[test]
fn vectors_of_another_length_have_an_index_of_their_own() {
    run(async {
        let fake = FakeRedis::start(HandClock::new()).await;
        let redis = redis(&fake, "", HandClock::new());
        redis.keep(place(class("one"), &[0.0, 1.0]), kept("a", 3)).await.unwrap();
        redis.keep(place(class("one"), &[0.0, 1.0, 0.0]), kept("b", 3)).await.unwrap();
        let found = redis.nearest(&place(class("one"), &[0.0, 1.0]), 0.5).await.unwrap();
        assert_eq!(found.map(|found| found.key), Some(named("a")));
        fake.put("somebody:else");
        redis.forget_all().await.unwrap();
        assert_eq!(fake.hashes(), 1, "what others keep there stays");
    });
}

#[test]
fn a_redis_without_the_module_is_away() {
    run(async {
        let fake = FakeRedis::start(HandClock::new()).await;
        fake.is(Mood::Refuses(0));
        let told = redis(&fake, "", HandClock::new()).nearest(&place(class("one"), &[0.0, 1.0]), 0.5).await;
        assert!(told.is_err_and(|fault| fault.away));
    });
}

#[test]
fn a_connection_that_hung_is_not_used_again() {
    run(async {
        let (fake, clock) = (FakeRedis::start(HandClock::new()).await, HandClock::new());
        let redis = redis_within(&fake, "", clock.clone(), Duration::from_millis(50));
        let one = place(class("one"), &[0.0, 1.0]);
        // A machine that is busy may be as late once.
        while redis.keep(one.clone(), kept("a", 3)).await.is_err() {
            clock.forward(REST);
        }
        fake.is(Mood::Hangs);
        assert_eq!(redis.nearest(&one, 0.5).await, Err(Fault::refused("no answer in time")));
        let asked = fake.seen("FT.SEARCH").len();
        assert_eq!(redis.nearest(&one, 0.5).await, Err(Fault::refused("redis is let alone for a moment")));
        assert_eq!(fake.seen("FT.SEARCH").len(), asked, "nobody else waits for it");
        fake.is(Mood::Well);
        clock.forward(REST);
        let mut tries = 0;
        while redis.nearest(&one, 0.5).await.ok().flatten().is_none() {
            clock.forward(REST);
            tries += 1;
            assert!(tries < 100, "it asks on the connection that hangs");
        }
    });
}

#[test]
fn both_caches_know_of_the_same_redis_whether_it_is_there() {
    run(async {
        let (fake, clock) = (FakeRedis::start(HandClock::new()).await, HandClock::new());
        let link = link(&fake, "", clock.clone());
        let redis =
            RedisSearch::new(link.clone(), "answers", (TTL, Duration::from_millis(50)), clock.clone());
        let figures: Arc<Figures> = Arc::default();
        let of = RedisSettings { deadline: Duration::from_secs(20), ..RedisSettings::default() };
        let (exact, _) = Redis::open(link, of, figures.clone(), clock.clone());
        assert!(exact.find_one(&named("a")).await.is_none());
        assert_eq!(figures.snapshot().late, 0, "it is there");
        fake.is(Mood::Hangs);
        assert!(redis.nearest(&place(class("one"), &[0.0, 1.0]), 0.5).await.is_err());
        let asked = fake.seen("GET").len();
        assert!(exact.find_one(&named("a")).await.is_none());
        assert_eq!((figures.snapshot().late, fake.seen("GET").len()), (1, asked), "it is not asked");
        clock.forward(REST);
        exact.find_one(&named("a")).await;
        assert_eq!(fake.seen("GET").len(), asked + 1, "on a connection of its own");
    });
}

#[test]
fn questions_are_kept_at_the_master_that_sentinels_name() {
    run(async {
        let clock = HandClock::new();
        let [sentinel, first, second] = [(); 3].map(|()| FakeRedis::start(clock.clone()));
        let (sentinel, first, second) = (sentinel.await, first.await, second.await);
        sentinel.names(&second);
        let asked =
            SentinelClient::build(vec![sentinel.url.clone()], "mymaster", None, SentinelServerType::Master);
        let server = Server::Sentinels(Arc::new(Mutex::new(asked.unwrap())));
        let link = Link::new(server, clock.clone());
        let redis = RedisSearch::new(link, "answers", (TTL, PATIENCE), clock.clone());
        let one = place(class("one"), &[0.0, 1.0]);
        redis.keep(one.clone(), kept("a", 3)).await.unwrap();
        assert_eq!((first.hashes(), second.hashes()), (0, 1));
        // The master becomes a copy, and says so of whatever is to be kept.
        sentinel.names(&first);
        second.steps_down();
        assert_eq!(redis.keep(one.clone(), kept("a", 3)).await.map_err(|fault| fault.away), Err(false));
        clock.forward(REST);
        redis.keep(one.clone(), kept("a", 3)).await.unwrap();
        assert_eq!(first.hashes(), 1);
        assert!(redis.nearest(&one, 0.5).await.unwrap().is_some());
    });
}

#[test]
fn no_more_is_kept_in_process_than_is_let_and_what_is_used_stays() {
    run(async {
        let local = |items, bytes| Local::new(LocalLimits { items, bytes, usual: TTL }, HandClock::new());
        let at = |turn: f32| place(class("one"), &[turn.cos(), turn.sin()]);
        let few = local(3, usize::MAX);
        for (turn, key) in [(0.0, "a"), (1.0, "b"), (2.0, "c")] {
            few.keep(at(turn), kept(key, 3)).await.unwrap();
        }
        assert!(few.nearest(&at(0.0), 0.99).await.unwrap().is_some(), "a is used");
        few.keep(at(3.0), kept("d", 3)).await.unwrap();
        assert!(few.nearest(&at(0.0), 0.99).await.unwrap().is_some(), "a stays");
        assert_eq!(few.nearest(&at(1.0), 0.99).await, Ok(None), "b is gone");
        assert_eq!(few.kept().0, 3);
        let small = local(1000, 10_000);
        for turn in 0..100_u8 {
            small.keep(at(f32::from(turn) / 20.0), kept(&turn.to_string(), 1000)).await.unwrap();
            assert!(small.kept().1 <= 10_000);
        }
        assert!(small.kept().0 >= 4, "{:?}", small.kept());
        small.keep(at(0.0), kept("abc", 20_000)).await.unwrap();
        assert_eq!(small.nearest(&at(0.0), 0.9999).await, Ok(None), "larger than all room");
        small.forget_all().await.unwrap();
        assert_eq!(small.kept(), (0, 0));
    });
}
