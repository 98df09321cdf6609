//! What whoever keeps questions promises, played with each back end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gatewright_cache::similar::{
    Answered, Class, Local, LocalLimits, Neighbour, Neighbours, Place, Qdrant, QdrantSettings, Quantization,
    RedisSearch, Vector,
};
use gatewright_cache::{Entry, EntryHead, Key, Link, Server};
use gatewright_core::{Frame, HandClock, Money, ServedBy, Usage};
use gatewright_transport::{Settings, Transport};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::fake_qdrant::{FakeQdrant, Mood};
use crate::fake_redis::FakeRedis;

/// Answers are kept for so long where a scenario does not say.
pub(crate) const TTL: Duration = Duration::from_secs(60);

/// A Redis is waited for so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One back end, and what a scenario may do to it.
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) neighbours: Box<dyn Neighbours>,
}

impl Stage {
    pub(crate) async fn keep(&self, class: Class, numbers: &[f32], key: &str) {
        let kept = Answered { key: named(key), entry: entry(key), ttl: Some(TTL) };
        self.neighbours.keep(place(class, numbers), kept).await.unwrap();
    }

    pub(crate) async fn nearest(&self, class: Class, numbers: &[f32], least: f32) -> Option<Neighbour> {
        self.neighbours.nearest(&place(class, numbers), least).await.unwrap()
    }

    async fn finds(&self, class: Class, numbers: &[f32]) -> Option<String> {
        self.nearest(class, numbers, 0.9).await.map(|found| name_of(&found))
    }
}

pub(crate) fn place(class: Class, numbers: &[f32]) -> Place {
    Place { class, vector: Vector::of(numbers).unwrap() }
}

/// A key, of which a test says the last letters.
pub(crate) fn named(letters: &str) -> Key {
    Key::parse(&format!("{letters:f>64}")).unwrap()
}

fn name_of(found: &Neighbour) -> String {
    found.key.text.trim_start_matches('f').to_owned()
}

pub(crate) fn class(name: &str) -> Class {
    Class::of([name.as_bytes()])
}

pub(crate) fn entry(key: &str) -> Arc<Entry> {
    // Any bytes, not only text.
    let data = Bytes::from([key.as_bytes(), &[0, 13, 10, 255]].concat());
    let frame = Frame { data: data.clone(), content: 3, ..Frame::default() };
    let last = Frame { last: true, usage: Some(Usage { input: 1, ..Usage::default() }), ..frame.clone() };
    let served_by = ServedBy {
        deployment: "d".into(),
        group: "g".into(),
        model: "p/m".into(),
        api_base: "http://p".into(),
        provider: "p".into(),
    };
    let head = EntryHead { streams: true, served_by: Some(served_by.into()), ..EntryHead::default() };
    Arc::new(Entry::of(head, &[frame, last], (1_800_000_000, Money(7))))
}

pub(crate) fn qdrant(fake: &FakeQdrant, clock: Arc<HandClock>) -> Qdrant {
    let settings = QdrantSettings {
        base: format!("{}/", fake.base),
        api_key: Some("key".into()),
        collection: "answers".to_owned(),
        quantization: Quantization::Binary,
        dimensions: None,
        largest_entry: 4096,
        usual: TTL,
    };
    Qdrant::new(settings, Transport::new(Settings::default()).unwrap(), clock).unwrap()
}

pub(crate) fn redis(fake: &FakeRedis, version: &str, clock: Arc<HandClock>) -> RedisSearch {
    redis_within(fake, version, clock, PATIENCE)
}

pub(crate) fn redis_within(
    fake: &FakeRedis,
    version: &str,
    clock: Arc<HandClock>,
    patience: Duration,
) -> RedisSearch {
    RedisSearch::new(link(fake, version, clock.clone()), "answers", (TTL, patience), clock)
}

pub(crate) fn link(fake: &FakeRedis, version: &str, clock: Arc<HandClock>) -> Link {
    let url = format!("{}{version}", fake.url);
    Link::new(Server::One(Box::new(::redis::Client::open(url).unwrap())), clock)
}

/// All back ends, each empty; the fakes behave as `mood` says.
async fn stages(mood: Mood) -> Vec<Stage> {
    let clocks = [HandClock::new(), HandClock::new(), HandClock::new(), HandClock::new()];
    let [here, there, second, third] = clocks;
    let local = Local::new(LocalLimits::default(), here.clone());
    let at_qdrant = FakeQdrant::start().await;
    at_qdrant.is(mood);
    let (in_second, in_third) =
        (FakeRedis::start(second.clone()).await, FakeRedis::start(third.clone()).await);
    in_second.is(mood);
    in_third.is(mood);
    vec![
        Stage { name: "local", clock: here, neighbours: Box::new(local) },
        Stage { name: "qdrant", clock: there.clone(), neighbours: Box::new(qdrant(&at_qdrant, there)) },
        Stage { name: "redis", clock: second.clone(), neighbours: Box::new(redis(&in_second, "", second)) },
        Stage {
            name: "redis 3",
            clock: third.clone(),
            neighbours: Box::new(redis(&in_third, "?protocol=resp3", third)),
        },
    ]
}

pub(crate) fn run<T>(play: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, play)
}

fn check(scenario: impl AsyncFn(&Stage)) {
    run(async {
        for stage in stages(Mood::Well).await {
            scenario(&stage).await;
        }
    });
}

#[test]
fn what_is_alike_is_found_and_what_is_not_is_not() {
    check(async |stage| {
        let one = class("one");
        assert_eq!(stage.finds(one, &[1.0, 0.0, 0.0]).await, None, "{}: nothing is kept", stage.name);
        stage.keep(one, &[1.0, 0.0, 0.0], "a").await;
        stage.keep(one, &[0.0, 2.0, 0.0], "b").await;
        let found = stage.nearest(one, &[0.1, 0.9, 0.0], 0.9).await.unwrap();
        assert_eq!((&*name_of(&found), found.class), ("b", one), "{}", stage.name);
        assert_eq!(found.entry, entry("b"), "{}", stage.name);
        assert!((found.similarity - 0.9938).abs() < 1e-3, "{}: {}", stage.name, found.similarity);
        assert_eq!(stage.finds(one, &[0.7, 0.7, 0.1]).await, None, "{}", stage.name);
    });
}

#[test]
fn the_same_name_is_kept_once() {
    check(async |stage| {
        let one = class("one");
        stage.keep(one, &[1.0, 0.0, 0.0], "a").await;
        stage.keep(one, &[0.0, 1.0, 0.0], "a").await;
        assert_eq!(stage.finds(one, &[1.0, 0.0, 0.0]).await, None, "{}", stage.name);
        assert_eq!(stage.finds(one, &[0.0, 1.0, 0.0]).await.as_deref(), Some("a"), "{}", stage.name);
    });
}

#[test]
fn what_is_over_is_not_found() {
    check(async |stage| {
        let one = class("one");
        stage.keep(one, &[1.0, 0.0, 0.0], "a").await;
        stage.clock.forward(TTL - Duration::from_secs(1));
        assert!(stage.finds(one, &[1.0, 0.0, 0.0]).await.is_some(), "{}", stage.name);
        stage.clock.forward(Duration::from_secs(1));
        assert_eq!(stage.finds(one, &[1.0, 0.0, 0.0]).await, None, "{}", stage.name);
    });
}

#[test]
fn what_is_forgotten_is_not_found() {
    check(async |stage| {
        let one = class("one");
        for (key, numbers) in [("a", [1.0, 0.0, 0.0]), ("b", [0.0, 1.0, 0.0]), ("c", [0.0, 0.0, 1.0])] {
            stage.keep(one, &numbers, key).await;
        }
        stage.neighbours.forget(&[named("a").text, "nobody".into()]).await.unwrap();
        assert_eq!(stage.finds(one, &[1.0, 0.0, 0.0]).await, None, "{}", stage.name);
        assert!(stage.finds(one, &[0.0, 1.0, 0.0]).await.is_some(), "{}", stage.name);
        stage.neighbours.forget_all().await.unwrap();
        assert_eq!(stage.finds(one, &[0.0, 1.0, 0.0]).await, None, "{}", stage.name);
        assert_eq!(stage.finds(one, &[0.0, 0.0, 1.0]).await, None, "{}", stage.name);
        stage.keep(one, &[0.0, 1.0, 0.0], "b").await;
        assert!(stage.finds(one, &[0.0, 1.0, 0.0]).await.is_some(), "{}: kept anew", stage.name);
    });
}

/// What is kept, and asked for: a class and a direction each.
fn questions() -> impl Strategy<Value = Vec<(u8, [f32; 3])>> {
    let number = || -1.0_f32..1.0;
    let direction = [number(), number(), number()].prop_filter("a direction", |numbers| {
        numbers.iter().map(|number| number * number).sum::<f32>() > 0.01
    });
    prop::collection::vec((0_u8..3, direction), 1..12)
}

/// Plays with back ends that heed what they are asked for, or do not.
fn nearest_of_its_class(mood: Mood) {
    let mut runner = TestRunner::new(Config { cases: 20, failure_persistence: None, ..Config::default() });
    let played = runner.run(&(questions(), questions(), 0.0_f32..1.0), |(kept, asked, least)| {
        run(async {
            for stage in stages(mood).await {
                for (at, (of, numbers)) in kept.iter().enumerate() {
                    stage.keep(class(&of.to_string()), numbers, &at.to_string()).await;
                }
                for (of, numbers) in &asked {
                    let found = stage.nearest(class(&of.to_string()), numbers, least).await;
                    let alike = |other: &[f32; 3]| {
                        let wide = |numbers: &[f32; 3]| numbers.map(f64::from);
                        crate::fake_qdrant::cosine(&wide(numbers), &wide(other))
                    };
                    if let Some(found) = &found {
                        let at: usize = name_of(found).parse().unwrap();
                        prop_assert_eq!(kept[at].0, *of, "{}: of another class", stage.name);
                        prop_assert!(found.similarity >= least, "{}", stage.name);
                        prop_assert!((alike(&kept[at].1) - f64::from(found.similarity)).abs() < 1e-4);
                    }
                    let own = kept.iter().filter(|(class, _)| class == of);
                    let best = own.map(|(_, numbers)| alike(numbers)).fold(-1.0, f64::max);
                    // At the threshold itself rounding decides.
                    if mood == Mood::Well && (best - f64::from(least)).abs() > 1e-4 {
                        let got = found.map(|found| f64::from(found.similarity));
                        prop_assert_eq!(got.is_some(), best > f64::from(least), "{}", stage.name);
                        prop_assert!(got.is_none_or(|got| (got - best).abs() < 1e-4), "{}", stage.name);
                    }
                }
            }
            Ok(())
        })
    });
    played.unwrap_or_else(|err| panic!("{err}"));
}

#[test]
fn the_nearest_of_its_class_is_found_where_it_is_alike_enough() {
    nearest_of_its_class(Mood::Well);
}

#[test]
fn nothing_of_another_class_is_found_even_where_the_back_end_heeds_no_filter() {
    nearest_of_its_class(Mood::HeedsNoFilter);
}
