//! What holds in memory, in Redis, and in Redis with memory in front.

use std::sync::Arc;
use std::time::Duration;

use gatewright_cache::{Scope, Server, Settings};
use gatewright_core::{CacheWishes, Caller, Dialect, Error, ErrorKind, Operation};
use gatewright_tests::redis::{Redis, RedisCluster};

use crate::stage::{Say, Stage, Upstream, call, call_in, one, read, wishing, with};

const HI: &str = r#"{"messages":[{"role":"user","content":"hi"}]}"#;
const HI_TURNED: &str = r#"{ "user":"u", "messages" : [{"content":"hi","role":"user"}]}"#;
const HI_STREAM: &str = r#"{"messages":[{"role":"user","content":"hi"}],"stream":true}"#;

/// Where answers are kept.
#[derive(Clone, Copy, Debug)]
enum Place {
    Memory,
    Redis,
    Both,
}

const PLACES: [Place; 3] = [Place::Memory, Place::Redis, Place::Both];

/// A stage for each place, with the server that it needs.
fn stage(place: Place, settings: Settings, says: Vec<Say>) -> (&'static Stage, Option<Redis>) {
    let up = Upstream::saying(says);
    match place {
        Place::Memory => (Stage::local(settings, up).leak(), None),
        Place::Redis | Place::Both => {
            let redis = Redis::start();
            let memory = matches!(place, Place::Both);
            (Stage::redis(one(redis.url()), memory, settings, up).leak(), Some(redis))
        }
    }
}

/// Waits until what was kept is in Redis: it is written beside the call.
async fn written(redis: Option<&Redis>, count: usize) {
    let Some(redis) = redis else { return };
    while redis.ask(&["DBSIZE"]) != count.to_string() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_repeated_call_is_answered_from_what_was_kept() {
    for place in PLACES {
        let (stage, redis) = stage(place, Settings::default(), vec![Say::Whole("1"), Say::Whole("2")]);
        let first = stage.ask(call("k", HI)).await.unwrap();
        let told = first.head.cached.clone().unwrap();
        assert_eq!((told.hit, told.saved), (false, None), "{place:?}");
        assert_eq!(read(first.frames).await, "1");
        written(redis.as_ref(), 1).await;
        let again = stage.ask(call("k", HI_TURNED)).await.unwrap();
        let kept = again.head.cached.clone().unwrap();
        assert_eq!((kept.hit, &kept.key), (true, &told.key), "{place:?}");
        assert_eq!(kept.saved.map(|saved| saved.0), Some(1000), "what its attempt cost");
        assert_eq!(again.head.cost.map(|cost| cost.0), Some(0));
        assert_eq!(again.frames.peek_one().unwrap().usage.unwrap().output, 2, "usage is told again");
        assert_eq!(read(again.frames).await, "1");
        assert_eq!(stage.up.count(), 1);
        let seen = stage.figures.snapshot();
        assert_eq!((seen.hits, seen.misses, seen.kept, seen.saved.0), (1, 1, 1, 1000), "{place:?}");
        // Another place of it, another answer.
        for (key, body) in [("other", HI), ("k", r#"{"messages":[]}"#), ("k", HI_STREAM)] {
            assert!(!stage.told(call(key, body)).await.1, "{place:?} {key} {body}");
        }
    }
}

#[tokio::test]
async fn a_stream_is_replayed_event_for_event() {
    let events = vec!["data: a\n\n", "data: b\n\n", "data: [DONE]\n\n"];
    for place in PLACES {
        let (stage, redis) = stage(place, Settings::default(), vec![Say::Events(events.clone(), true)]);
        assert_eq!(stage.told(call("k", HI_STREAM)).await, (events.concat(), false));
        written(redis.as_ref(), 1).await;
        let again = stage.ask(call("k", HI_STREAM)).await.unwrap();
        assert!(again.head.streams && again.head.cached.as_ref().unwrap().hit, "{place:?}");
        assert_eq!(read(again.frames).await, events.concat(), "{place:?}");
        assert_eq!(stage.up.count(), 1);
    }
}

#[tokio::test]
async fn a_long_stream_is_replayed_at_its_borders() {
    let line: &'static str = Box::leak(format!("data: {}\n\n", "x".repeat(5000)).into_boxed_str());
    let (stage, _) = stage(Place::Memory, Settings::default(), vec![Say::Events(vec![line; 20], true)]);
    let first = stage.told(call("k", HI_STREAM)).await.0;
    let mut again = stage.ask(call("k", HI_STREAM)).await.unwrap().frames;
    let (mut all, mut content, mut usages) = (String::new(), 0, 0);
    while let Some(frame) = again.next().await {
        let frame = frame.unwrap();
        assert_eq!(frame.data.len() % line.len(), 0, "whole events");
        assert!(frame.data.len() <= 16 << 10);
        all.push_str(std::str::from_utf8(&frame.data).unwrap());
        content += frame.content;
        usages += usize::from(frame.usage.is_some());
    }
    assert_eq!((all, content, usages), (first, 20, 1));
}

#[tokio::test]
async fn what_is_not_whole_or_not_for_all_is_not_kept() {
    let cut = Error::new(ErrorKind::Upstream, "x");
    let body = HI_STREAM;
    let whole = Say::Whole("last");
    for (name, says, body) in [
        ("an error", Say::Fail(Error::new(ErrorKind::InvalidRequest, "x")), HI),
        ("a broken stream", Say::Break(vec!["a"], cut), body),
        ("a stream without its end", Say::Events(vec!["a", "b"], false), body),
        ("a fallback's answer", Say::Fallback("f"), HI),
    ] {
        let (stage, _) = stage(Place::Memory, Settings::default(), vec![says, whole.clone()]);
        if let Ok(reply) = stage.ask(call("k", body)).await {
            read(reply.frames).await;
        }
        assert_eq!(stage.told(call("k", body)).await, ("last".into(), false), "{name}");
        assert_eq!(stage.up.count(), 2, "{name}");
    }
}

#[tokio::test]
async fn an_answer_that_its_caller_could_not_pay_in_full_is_not_kept() {
    for (cap, hit) in [(None, true), (Some(3), true), (Some(2), false)] {
        let (stage, _) = stage(Place::Memory, Settings::default(), vec![Say::Whole("x")]);
        let capped = with(call("k", HI), |call| call.output_cap = cap);
        stage.told(capped).await;
        assert_eq!(stage.told(call("k", HI)).await.1, hit, "{cap:?}");
    }
}

#[tokio::test]
async fn an_abandoned_stream_is_not_kept() {
    let says = vec![Say::Events(vec!["a", "b"], true)];
    let (stage, _) = stage(Place::Memory, Settings::default(), says);
    let mut reply = stage.ask(call("k", HI_STREAM)).await.unwrap();
    reply.frames.next().await.unwrap().unwrap();
    drop(reply);
    assert!(!stage.told(call("k", HI_STREAM)).await.1);
    assert!(stage.told(call("k", HI_STREAM)).await.1);
}

#[tokio::test]
async fn clients_say_what_they_want_of_the_cache() {
    let wish = CacheWishes::default;
    for place in PLACES {
        let says = (0..20).map(|_| Say::Whole("x")).collect();
        let (stage, redis) = stage(place, Settings::default(), says);
        let hit = async |wishes: CacheWishes| stage.told(wishing(call("k", HI), wishes)).await.1;
        assert!(!hit(CacheWishes { no_store: true, ..wish() }).await);
        assert!(!hit(wish()).await, "{place:?}: nothing was kept");
        written(redis.as_ref(), 1).await;
        assert!(hit(CacheWishes { no_store: true, ..wish() }).await, "it may be given what is kept");
        assert!(!hit(CacheWishes { no_cache: true, ..wish() }).await);
        assert!(!hit(CacheWishes { namespace: Some("ns".into()), ..wish() }).await, "{place:?}");
        written(redis.as_ref(), 2).await;
        assert!(hit(CacheWishes { namespace: Some("ns".into()), ..wish() }).await);
        stage.clock.forward(Duration::from_secs(30));
        let at_most = |seconds| CacheWishes { max_age: Some(Duration::from_secs(seconds)), ..wish() };
        assert!(hit(at_most(30)).await && !hit(at_most(29)).await, "{place:?}");
    }
}

#[tokio::test]
async fn an_answer_is_kept_for_as_long_as_was_said() {
    for (place, wish, usual) in
        [(Place::Memory, None, 60), (Place::Memory, Some(10), 60), (Place::Redis, Some(10), 600)]
    {
        let (stage, redis) = stage(place, Settings::default(), vec![Say::Whole("x")]);
        let lasts = wish.unwrap_or(usual);
        let wishes = CacheWishes { ttl: wish.map(Duration::from_secs), ..CacheWishes::default() };
        stage.told(wishing(call("k", HI), wishes)).await;
        written(redis.as_ref(), 1).await;
        stage.clock.forward(Duration::from_secs(lasts - 1));
        assert!(stage.told(call("k", HI)).await.1, "{place:?} {wish:?}");
        stage.clock.forward(Duration::from_secs(1));
        assert!(!stage.told(call("k", HI)).await.1, "{place:?} {wish:?}");
    }
}

#[tokio::test]
async fn a_cache_that_is_off_answers_whoever_asks_for_it() {
    let settings = Settings { default_on: false, ..Settings::default() };
    let (stage, _) = stage(Place::Memory, settings, vec![Say::Whole("x")]);
    let using = || wishing(call("k", HI), CacheWishes { use_cache: true, ..CacheWishes::default() });
    let plain = stage.ask(call("k", HI)).await.unwrap();
    assert_eq!(plain.head.cached, None);
    assert!(!stage.told(using()).await.1);
    assert!(stage.told(using()).await.1);
    assert!(!stage.told(call("k", HI)).await.1);
}

#[tokio::test]
async fn an_answer_stays_with_those_who_share_it() {
    let caller = |id: &str, team: Option<&str>, organization: Option<&str>| Caller {
        team: team.map(Into::into),
        organization: organization.map(Into::into),
        ..Caller::new(id)
    };
    let first = caller("a", Some("t"), Some("o"));
    let by = |caller: Caller| with(call("", HI), |call| call.caller = Arc::new(caller));
    for (scope, other, hit) in [
        (Scope::Key, first.clone(), true),
        (Scope::Key, caller("b", Some("t"), Some("o")), false),
        (Scope::Team, caller("b", Some("t"), Some("o")), true),
        (Scope::Team, caller("a", Some("u"), Some("o")), false),
        (Scope::Team, caller("t", None, None), false),
        (Scope::Organization, caller("b", Some("u"), Some("o")), true),
        (Scope::Organization, caller("b", Some("o"), None), false),
        (Scope::Global, caller("z", None, None), true),
    ] {
        let settings = Settings { scope, ..Settings::default() };
        let (stage, _) = stage(Place::Memory, settings, vec![Say::Whole("x")]);
        stage.told(by(first.clone())).await;
        let again = stage.told(by(other.clone())).await;
        assert_eq!(again.1, hit, "{scope:?} {other:?}");
    }
}

#[tokio::test]
async fn what_an_upstream_keeps_for_one_conversation_is_nobody_elses() {
    let responses = Dialect::OpenAiResponses;
    for (dialect, body, hit) in [
        (responses, r#"{"input":"hi"}"#, false),
        (responses, r#"{"input":"hi","store":true}"#, false),
        (responses, r#"{"input":"hi","store":false}"#, true),
        (responses, r#"{"input":"hi","store":false,"background":true}"#, false),
        (responses, r#"{"input":"hi","store":false,"previous_response_id":"resp_1"}"#, false),
        (responses, r#"{"input":"hi","store":false,"conversation":"conv_1"}"#, false),
        (Dialect::OpenAiChat, r#"{"messages":[],"store":true}"#, false),
        (Dialect::AnthropicMessages, r#"{"messages":[]}"#, true),
        (Dialect::AnthropicMessages, r#"{"messages":[],"container":"c"}"#, false),
        (Dialect::Gemini, r#"{"contents":[]}"#, true),
    ] {
        let (stage, _) = stage(Place::Memory, Settings::default(), vec![Say::Whole("x")]);
        let asked = || call_in(dialect, Operation::Chat, "k", body);
        stage.told(asked()).await;
        assert_eq!(stage.told(asked()).await.1, hit, "{body}");
    }
    let (stage, _) = stage(Place::Memory, Settings::default(), vec![Say::Whole("x")]);
    for _ in 0..2 {
        let mirrored = call("k", HI).mirrored("m".into());
        assert!(!stage.told(mirrored).await.1, "copies of calls are nobody's");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_passes_and_is_not_kept() {
    let settings = Settings { max_entry_bytes: 3, ..Settings::default() };
    for (says, body) in [(Say::Whole("abcd"), HI), (Say::Events(vec!["ab", "cd"], true), HI_STREAM)] {
        let (stage, _) = stage(Place::Memory, settings.clone(), vec![says]);
        for _ in 0..2 {
            assert_eq!(stage.told(call("k", body)).await, ("abcd".into(), false));
        }
        assert_eq!(stage.figures.snapshot().too_large, 2);
    }
}

#[tokio::test]
async fn what_is_forgotten_is_asked_for_again() {
    for place in PLACES {
        let (stage, redis) = stage(place, Settings::default(), vec![Say::Whole("x")]);
        if let Some(redis) = &redis {
            redis.ask(&["SET", "somebody:else", "1"]);
        }
        let others = usize::from(redis.is_some());
        let first = stage.ask(call("k", HI)).await.unwrap();
        let key = first.head.cached.clone().unwrap().key.clone();
        read(first.frames).await;
        written(redis.as_ref(), 1 + others).await;
        assert_eq!(stage.tiers.forget(&["unknown".into(), key]).await.unwrap(), 1, "{place:?}");
        assert!(!stage.told(call("k", HI)).await.1, "{place:?}");
        written(redis.as_ref(), 1 + others).await;
        stage.tiers.clear().await.unwrap();
        assert!(!stage.told(call("k", HI)).await.1, "{place:?}");
        if let Some(redis) = &redis {
            assert_eq!(redis.ask(&["GET", "somebody:else"]), "1", "what is not ours stays");
        }
    }
}

#[tokio::test]
async fn garbage_in_redis_is_no_answer() {
    let (stage, redis) = stage(Place::Redis, Settings::default(), vec![Say::Whole("x")]);
    let redis = redis.unwrap();
    stage.told(call("k", HI)).await;
    written(Some(&redis), 1).await;
    let key = redis.ask(&["KEYS", "*"]);
    let size = redis.ask(&["STRLEN", &key]);
    for garbage in ["", "x", "GWA1 and then some that is longer than a prelude, so that its length is read"] {
        redis.ask(&["SET", &key, garbage]);
        let before = stage.figures.snapshot().unreadable;
        assert_eq!(stage.told(call("k", HI)).await, ("x".into(), false), "{garbage}");
        assert_eq!(stage.figures.snapshot().unreadable, before + 1);
        while redis.ask(&["STRLEN", &key]) != size {
            tokio::task::yield_now().await;
        }
        assert!(stage.told(call("k", HI)).await.1, "the answer put it right");
    }
    redis.ask(&["DEL", &key]);
    redis.ask(&["LPUSH", &key, "a list"]);
    assert_eq!(stage.told(call("k", HI)).await, ("x".into(), false));
}

#[tokio::test]
async fn an_answer_under_anothers_name_is_not_given() {
    let (stage, redis) = stage(Place::Redis, Settings::default(), vec![Say::Whole("x")]);
    let redis = redis.unwrap();
    stage.told(call("k", HI)).await;
    written(Some(&redis), 1).await;
    let name = redis.ask(&["KEYS", "*"]);
    let other = stage.ask(call("other", HI)).await.unwrap();
    let key = other.head.cached.clone().unwrap().key.clone();
    read(other.frames).await;
    written(Some(&redis), 2).await;
    redis.ask(&["COPY", &name, &format!("gatewright:answer:{key}"), "REPLACE"]);
    assert!(stage.told(call("k", HI)).await.1);
    assert!(!stage.told(call("other", HI)).await.1);
}

#[tokio::test]
async fn a_cluster_keeps_answers_on_all_of_its_nodes() {
    let cluster = RedisCluster::start();
    let urls: Vec<String> = cluster.nodes.iter().map(Redis::url).collect();
    let client = redis::cluster::ClusterClient::new(urls).unwrap();
    let up = Upstream::saying([Say::Vectors]);
    let stage = Stage::redis(Server::Cluster(Box::new(client)), false, Settings::default(), up).leak();
    let texts: Vec<String> = (0..30).map(|number| format!("text {number}")).collect();
    let body = serde_json::json!({"input": texts}).to_string();
    let asked = || call_in(Dialect::OpenAiChat, Operation::Embeddings, "k", &body);
    let kept = |node: &Redis| node.ask(&["DBSIZE"]).parse::<usize>().unwrap();
    let all = || cluster.nodes.iter().map(kept).sum::<usize>();
    let first = stage.told(asked()).await.0;
    while all() != 30 {
        tokio::task::yield_now().await;
    }
    assert!(cluster.nodes.iter().all(|node| kept(node) > 0), "on each of them");
    let told: serde_json::Value = serde_json::from_str(&stage.told(asked()).await.0).unwrap();
    assert_eq!(told["data"], serde_json::from_str::<serde_json::Value>(&first).unwrap()["data"]);
    assert_eq!(stage.up.count(), 1);
    stage.tiers.clear().await.unwrap();
    assert_eq!(all(), 0);
}
