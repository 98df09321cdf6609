//! What is asked for a call, and what is believed of the answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use gatewright_cache::similar::{
    Answered, Asking, Class, Embed, Fault, Local, Look, Neighbour, Neighbours, Place, Similar,
    SimilarSettings,
};
use gatewright_cache::{Scope, Settings};
use gatewright_core::{Body, Call, Caller, Dialect, HandClock, Json, JsonLimits, Operation};
use serde_json::{Value, json};

use crate::suite::{class, entry, named, run};

/// Every text means the same.
#[derive(Default)]
struct Same(AtomicU32);

impl Embed for Same {
    fn embed<'a>(&'a self, text: Arc<str>, _: &'a Call) -> Asking<'a, Vec<f32>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            match text.contains("unheard of") {
                true => Err(Fault::refused("no")),
                false => Ok(vec![1.0, 0.0]),
            }
        })
    }
}

/// Answers what it likes.
struct Liar(fn(&Place) -> (Class, f32));

impl Neighbours for Liar {
    fn nearest<'a>(&'a self, place: &'a Place, _: f32) -> Asking<'a, Option<Neighbour>> {
        let (class, similarity) = self.0(place);
        let told = Neighbour { class, key: named("a"), similarity, entry: entry("k") };
        Box::pin(async move { Ok(Some(told)) })
    }

    fn keep(&self, _: Place, _: Answered) -> Asking<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn forget<'a>(&'a self, _: &'a [Arc<str>]) -> Asking<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn forget_all(&self) -> Asking<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

fn call(text: &str, caller: Caller, more: Value) -> Call {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": text}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let body = Body::Json(Json::parse(body.to_string().into(), JsonLimits::default()).unwrap());
    let mut call = Call::new(Operation::Chat, gatewright_dialects::of(Dialect::OpenAiChat), "m", body);
    call.caller = Arc::new(caller);
    call
}

fn of(key: &str, team: Option<&str>) -> Caller {
    Caller { team: team.map(Arc::from), ..Caller::new(key) }
}

fn similar(scope: Scope, embed: Arc<Same>, neighbours: impl Neighbours) -> Similar {
    let same = Settings { scope, ..Settings::default() };
    Similar::new(SimilarSettings::default(), same, embed, Arc::new(neighbours)).0
}

#[test]
fn nothing_is_believed_that_was_not_asked_for() {
    let check = |lie: fn(&Place) -> (Class, f32), believed: bool| {
        run(async {
            let similar = similar(Scope::Team, Arc::default(), Liar(lie));
            let look = similar.look(&call("hi", of("k", None), json!({}))).await;
            assert_eq!(look.neighbour.is_some(), believed);
            look.neighbour.map(|found| found.similarity)
        })
    };
    assert_eq!(check(|place| (place.class, 1.000_001), true), Some(1.0));
    check(|place| (place.class, 0.9), true);
    check(|place| (place.class, 0.899), false);
    check(|place| (place.class, f32::NAN), false);
    check(|_| (class("another"), 1.0), false);
}

#[test]
fn callers_meet_only_in_their_scope() {
    for (scope, mates, colleagues, strangers) in [
        (Scope::Key, false, false, false),
        (Scope::Team, true, false, false),
        (Scope::Organization, true, true, false),
        (Scope::Global, true, true, true),
    ] {
        run(async {
            let local = Arc::new(Local::new(Default::default(), HandClock::new()));
            let similar = similar(scope, Arc::default(), Shared(local.clone()));
            let at = |key, team| {
                let organization = (team != Some("c")).then(|| "o".into());
                Caller { organization, ..of(key, team) }
            };
            let look = async |caller: Caller, more| similar.look(&call("hi", caller, more)).await;
            let Look { question, neighbour } = look(at("1", Some("a")), json!({})).await;
            assert!(neighbour.is_none());
            let place = question.unwrap().place().clone();
            local.keep(place, Answered { key: named("a"), entry: entry("k"), ttl: None }).await.unwrap();
            let meets = async |caller: Caller| look(caller, json!({})).await.neighbour.is_some();
            assert!(meets(at("1", Some("a"))).await);
            assert_eq!(meets(at("2", Some("a"))).await, mates, "{scope:?}");
            assert_eq!(meets(at("3", Some("b"))).await, colleagues, "{scope:?}");
            assert_eq!(meets(at("4", Some("c"))).await, strangers, "{scope:?}");
            let other = look(at("1", Some("a")), json!({"temperature": 1})).await;
            assert!(other.neighbour.is_none(), "{scope:?}");
        });
    }
}

#[test]
fn what_is_not_compared_is_not_embedded() {
    run(async {
        let (clock, embed) = (HandClock::new(), Arc::<Same>::default());
        let similar = similar(Scope::Key, embed.clone(), Local::new(Default::default(), clock));
        let mut embedding = call("hi", of("k", None), json!({}));
        embedding.operation = Operation::Embeddings;
        assert!(similar.look(&embedding).await.question.is_none());
        assert_eq!(embed.0.load(Ordering::Relaxed), 0);
        // A text that is refused says nothing of the next.
        for _ in 0..10 {
            assert!(similar.look(&call("unheard of", of("k", None), json!({}))).await.question.is_none());
        }
        assert!(similar.look(&call("hi", of("k", None), json!({}))).await.question.is_some());
        assert_eq!(embed.0.load(Ordering::Relaxed), 11);
    });
}

/// One that the test has too.
struct Shared(Arc<Local>);

impl Neighbours for Shared {
    fn nearest<'a>(&'a self, place: &'a Place, least: f32) -> Asking<'a, Option<Neighbour>> {
        self.0.nearest(place, least)
    }

    fn keep(&self, place: Place, kept: Answered) -> Asking<'_, ()> {
        self.0.keep(place, kept)
    }

    fn forget<'a>(&'a self, keys: &'a [Arc<str>]) -> Asking<'a, ()> {
        self.0.forget(keys)
    }

    fn forget_all(&self) -> Asking<'_, ()> {
        self.0.forget_all()
    }
}
