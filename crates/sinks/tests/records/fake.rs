//! A sink that does what a test says, and calls whose records it gets.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use gatewright_core::{
    Body, Call, Dialect, Error, Frame, Frames, Json, JsonLimits, Middleware, Operation, Reply, Result,
    SystemClock, Usage,
};
use gatewright_sinks::{
    Delivered, Pace, Parcel, QueueLimits, Recorded, Registered, Retries, Settings, Sink, Sinks, Undelivered,
};
use tower::service_fn;

/// What a sink does with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    Take,
    NotNow,
    NotFor(Duration),
    Never,
    Hang,
}

/// A sink that does what the script says, and then always the same.
pub(crate) struct Fake {
    name: &'static str,
    script: Mutex<VecDeque<Does>>,
    then: Mutex<Does>,
    pub(crate) got: Mutex<Vec<Parcel>>,
    /// Ids of every delivery, taken or not.
    pub(crate) asked: Mutex<Vec<Vec<String>>>,
}

impl Fake {
    pub(crate) fn new(name: &'static str, then: Does) -> Arc<Self> {
        Arc::new(Self {
            name,
            script: Mutex::default(),
            then: Mutex::new(then),
            got: Mutex::default(),
            asked: Mutex::default(),
        })
    }

    pub(crate) fn then(&self, does: Does) {
        *self.then.lock().unwrap() = does;
    }

    pub(crate) fn first(&self, script: &[Does]) {
        self.script.lock().unwrap().extend(script);
    }

    /// The ids of what it took.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.got.lock().unwrap().iter().map(|parcel| parcel.id().to_owned()).collect()
    }

    pub(crate) fn deliveries(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    pub(crate) fn registered(self: &Arc<Self>) -> Registered {
        let pace = Pace { batch: 10, every: Duration::from_secs(5) };
        Registered { sink: self.clone(), success: true, failure: true, content: true, pace }
    }
}

impl Sink for Fake {
    fn name(&self) -> &str {
        self.name
    }

    fn deliver<'a>(&'a self, parcels: &'a [Parcel]) -> BoxFuture<'a, Result<Delivered, Undelivered>> {
        let does = self.script.lock().unwrap().pop_front().unwrap_or(*self.then.lock().unwrap());
        self.asked.lock().unwrap().push(parcels.iter().map(|parcel| parcel.id().to_owned()).collect());
        Box::pin(async move {
            match does {
                Does::Take => {
                    self.got.lock().unwrap().extend_from_slice(parcels);
                    Ok(Delivered::default())
                }
                Does::NotNow => Err(Undelivered::later("away")),
                Does::NotFor(after) => Err(Undelivered::Later { why: "busy".into(), after: Some(after) }),
                Does::Never => Err(Undelivered::never("no")),
                Does::Hang => pending().await,
            }
        })
    }
}

/// Settings whose waits hold nothing of chance.
pub(crate) fn settings() -> Settings {
    Settings {
        retries: Retries { first: Duration::from_secs(1), longest: Duration::from_secs(30), jitter: || 1.0 },
        queue: QueueLimits { records: 100, bytes: 1 << 20 },
        deadline: Duration::from_secs(15),
        ..Settings::default()
    }
}

pub(crate) fn start(settings: Settings, fakes: &[&Arc<Fake>]) -> Sinks {
    let registered = fakes.iter().map(|fake| fake.registered()).collect();
    Sinks::start(settings, registered, None, Arc::new(SystemClock))
}

pub(crate) const ASKED: &str =
    r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0.5,"user":"u"}"#;

pub(crate) const ANSWERED: &str = r#"{"id":"chatcmpl-7","object":"chat.completion","created":1,"model":"gpt","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;

pub(crate) fn call() -> Call {
    let body = Json::parse(ASKED.into(), JsonLimits::default()).unwrap();
    Call::new(Operation::Chat, gatewright_dialects::of(Dialect::OpenAiChat), "m", Body::Json(body))
}

pub(crate) fn answer() -> Reply {
    let usage = Usage { input: 3, output: 2, cache_in_input: true, ..Usage::default() };
    let frame =
        Frame { data: Bytes::from_static(ANSWERED.as_bytes()), usage: Some(usage), content: 5, last: true };
    Reply { head: Box::default(), frames: Frames::one(frame) }
}

/// Makes a call to its end; answers its id.
pub(crate) async fn make(sinks: &Sinks, call: Call, reply: fn() -> Result<Reply>) -> String {
    let id = call.id.to_string();
    let next = service_fn(move |_: Call| async move { reply() });
    if let Ok(mut reply) = Recorded::new(sinks.clone()).handle(call, &next).await {
        while reply.frames.next().await.is_some() {}
    }
    id
}

/// Makes so many that succeed.
pub(crate) async fn succeed(sinks: &Sinks, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(make(sinks, call(), || Ok(answer())).await);
    }
    ids
}

pub(crate) fn refused() -> Result<Reply> {
    Err(Error::new(gatewright_core::ErrorKind::RateLimited, "too fast for: hi"))
}
