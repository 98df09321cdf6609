//! What is remembered of keys: never longer than it is true, and as long as it has to be.
#![cfg(test)]

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use gatewright_auth::{Asked, Authenticator, Credential, Holder, KeyHash, Keys, Part, Record, Settings};
use gatewright_core::{Caller, Error, ErrorKind, HandClock, Result};
use http::{HeaderMap, HeaderValue, StatusCode};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

const ASKED: Asked<'_> = Asked { path: "/v1/chat/completions", address: None };
const KEY: &str = "sk-one";

/// A database of keys in one team, each with a name that changes.
struct Base {
    keys: Mutex<HashMap<KeyHash, &'static str>>,
    looks: AtomicU32,
    away: AtomicBool,
    /// Look-ups that may answer what they have read.
    gate: Semaphore,
}

struct World {
    base: Arc<Base>,
    clock: Arc<HandClock>,
    authenticator: Authenticator,
}

// === impl Base ===

impl Keys for Base {
    fn find(&self, key: KeyHash) -> Pin<Box<dyn Future<Output = Result<Option<Holder>>> + Send + '_>> {
        Box::pin(async move {
            self.looks.fetch_add(1, Ordering::Relaxed);
            let read = self.keys.lock().get(&key).copied();
            self.gate.acquire().await.unwrap().forget();
            if self.away.load(Ordering::Relaxed) {
                return Err(Error::new(ErrorKind::Unavailable, "the database is away"));
            }
            Ok(read.map(|name| {
                let fields = serde_json::json!({"key_name": name});
                let fields = fields.as_object().cloned().unwrap();
                Holder {
                    key: Record { id: key.to_string().into(), fields, ..Record::default() },
                    team: None,
                    member: None,
                    user: None,
                    project: None,
                    organization: None,
                    parts: vec![Part { kind: "user", id: "ann".into() }, team()],
                }
            }))
        })
    }

    fn claimed<'a>(
        &'a self,
        _: &'a gatewright_auth::Claimed,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Holder>>> + Send + 'a>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

// === impl World ===

impl World {
    /// One key, named `before`; all look-ups answer at once.
    fn new() -> Self {
        let keys = Mutex::new(HashMap::from([(KeyHash::of(KEY), "before")]));
        let gate = Semaphore::new(Semaphore::MAX_PERMITS / 2);
        let base = Base { keys, looks: AtomicU32::new(0), away: AtomicBool::new(false), gate };
        let (base, clock) = (Arc::new(base), HandClock::at(1_000_000));
        let settings = Settings { master_key: Some("sk-master".into()), ..Settings::default() };
        let authenticator = Authenticator::new(&settings).with_keys(&settings, base.clone(), clock.clone());
        Self { base, clock, authenticator }
    }

    async fn ask(&self, key: &str) -> Result<Arc<Caller>> {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {key}")).unwrap());
        let credential = Credential::from_parts(&headers, None, &Settings::default());
        self.authenticator.authenticate(credential.as_ref(), &ASKED).await
    }

    /// The name of the key, or the status that it is answered with.
    async fn told(&self, key: &str) -> std::result::Result<String, StatusCode> {
        self.ask(key).await.map(|caller| caller.name.to_string()).map_err(|err| err.status())
    }

    fn rename(&self, key: &str, name: &'static str) {
        self.base.keys.lock().insert(KeyHash::of(key), name);
    }

    fn looks(&self) -> u32 {
        self.base.looks.load(Ordering::Relaxed)
    }

    /// Lets everything run that can.
    async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    fn wait(&self, seconds: u64) {
        self.clock.forward(Duration::from_secs(seconds));
    }

    fn away(&self, away: bool) {
        self.base.away.store(away, Ordering::Relaxed);
    }

    fn close(&self) {
        self.base.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    fn open(&self) {
        self.base.gate.add_permits(1_000_000);
    }
}

fn team() -> Part {
    Part { kind: "team", id: "red".into() }
}

fn part_of(key: &str) -> Part {
    Part { kind: "key", id: KeyHash::of(key).to_string().into() }
}

fn named(name: &str) -> std::result::Result<String, StatusCode> {
    Ok(name.to_owned())
}

#[tokio::test]
async fn many_calls_at_once_are_one_look_up_and_wrong_keys_are_remembered_too() {
    let world = World::new();
    for told in futures_util::future::join_all((0..50).map(|_| world.told(KEY))).await {
        assert_eq!(told, named("before"));
    }
    assert_eq!(world.looks(), 1);
    for _ in 0..3 {
        assert_eq!(world.ask("sk-other").await.unwrap_err().param(), Some("key"));
    }
    assert_eq!(world.looks(), 2);
    assert!(world.ask("sk-master").await.unwrap().admin);
    assert_eq!(world.looks(), 2, "the master key needs none");
}

#[tokio::test]
async fn what_is_changed_is_looked_up_again_and_nothing_else() {
    let world = World::new();
    for (changed, again) in [
        (part_of(KEY), true),
        (team(), true),
        (part_of("sk-other"), false),
        (Part { kind: "team", id: "blue".into() }, false),
        (Part { kind: "user", id: "red".into() }, false),
    ] {
        world.rename(KEY, "before");
        assert!(world.told(KEY).await.is_ok());
        world.authenticator.forget(&[part_of(KEY)]);
        assert_eq!(world.told(KEY).await, named("before"));
        world.rename(KEY, "after");
        world.authenticator.forget(std::slice::from_ref(&changed));
        assert_eq!(world.told(KEY).await, named(if again { "after" } else { "before" }), "{changed:?}");
    }
    assert_eq!(world.told("sk-new").await, Err(StatusCode::UNAUTHORIZED));
    world.rename("sk-new", "made");
    world.authenticator.forget(&[part_of("sk-new")]);
    assert_eq!(world.told("sk-new").await, named("made"));
}

#[tokio::test]
async fn a_look_up_that_began_before_a_change_brings_nothing_back() {
    for changed in [part_of(KEY), team()] {
        let world = World::new();
        world.close();
        let (early, ()) = tokio::join!(world.told(KEY), async {
            world.settle().await;
            // It has read the key; now the key is changed, and somebody else calls.
            world.rename(KEY, "after");
            world.authenticator.forget(std::slice::from_ref(&changed));
            let (late, ()) = tokio::join!(world.told(KEY), async {
                world.settle().await;
                world.open();
            });
            assert_eq!(late, named("after"), "{changed:?}");
        });
        assert_eq!(early, named("after"), "{changed:?}");
        assert_eq!((world.told(KEY).await, world.looks()), (named("after"), 2));
    }
}

#[tokio::test]
async fn an_old_answer_serves_while_it_is_looked_up_beside() {
    let world = World::new();
    world.told(KEY).await.unwrap();
    world.rename(KEY, "after");
    world.wait(59);
    assert_eq!((world.told(KEY).await, world.looks()), (named("before"), 1));
    world.wait(2);
    world.close();
    for _ in 0..5 {
        assert_eq!(world.told(KEY).await, named("before"), "nobody waits");
        world.settle().await;
    }
    assert_eq!(world.looks(), 2, "one look-up for all");
    world.open();
    world.settle().await;
    assert_eq!(world.told(KEY).await, named("after"));
}

#[tokio::test]
async fn a_known_key_outlives_the_database_for_its_grace_and_an_unknown_one_is_not_refused_as_wrong() {
    let world = World::new();
    world.told(KEY).await.unwrap();
    assert_eq!(world.told("sk-wrong").await, Err(StatusCode::UNAUTHORIZED));
    world.away(true);
    world.wait(3600);
    for _ in 0..100 {
        assert_eq!(world.told(KEY).await, named("before"));
        world.settle().await;
    }
    assert!(world.looks() <= 4, "a database that is away is not asked by every call: {}", world.looks());
    assert_eq!(world.told("sk-new").await, Err(StatusCode::SERVICE_UNAVAILABLE));
    world.wait(86_400);
    assert_eq!(world.told(KEY).await, Err(StatusCode::SERVICE_UNAVAILABLE), "its grace is over");
    world.away(false);
    world.wait(2);
    assert_eq!(world.told(KEY).await, named("before"));
}

#[tokio::test(start_paused = true)]
async fn in_doubt_a_key_is_looked_up_first_and_used_as_it_was_where_nobody_can_say() {
    let world = World::new();
    world.told(KEY).await.unwrap();
    world.rename(KEY, "after");
    world.authenticator.doubt();
    assert_eq!(world.told(KEY).await, named("after"));
    world.rename(KEY, "later");
    world.away(true);
    world.authenticator.doubt();
    assert_eq!(world.told(KEY).await, named("after"));
    world.away(false);
    world.wait(2);
    assert_eq!(world.told(KEY).await, named("later"), "it is still in doubt");
    // A database that does not even refuse.
    world.authenticator.doubt();
    world.close();
    let began = tokio::time::Instant::now();
    assert_eq!(world.told(KEY).await, named("later"));
    assert!(began.elapsed() <= Duration::from_secs(1));
    assert_eq!(world.told("sk-new").await, Err(StatusCode::SERVICE_UNAVAILABLE));
}
