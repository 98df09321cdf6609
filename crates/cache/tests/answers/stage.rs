//! A stage: an upstream that counts and answers as it is told, a clock that stands still, and each kind of place.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use gatewright_cache::{Cache, Figures, Link, Memory, Redis, RedisSettings, Server, Settings, Tiers};
use gatewright_core::{
    Body, CacheWishes, Call, CallService, Caller, Controls, Dialect, Error, Frame, Frames, HandClock, Head,
    Json, JsonLimits, Middleware, Money, Operation, Reply, Result, Usage,
};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// What the upstream says to a call.
#[derive(Clone)]
pub(crate) enum Say {
    /// One body.
    Whole(&'static str),
    /// These events, and whether the last of them is the end.
    Events(Vec<&'static str>, bool),
    /// A body in several pieces.
    Pieces(Vec<&'static str>),
    /// It fails.
    Fail(Error),
    /// It fails after these events.
    Break(Vec<&'static str>, Error),
    /// Vectors for what it is asked for.
    Vectors,
    /// It was answered by a fallback.
    Fallback(&'static str),
}

/// An upstream that counts what it is asked.
#[derive(Default)]
pub(crate) struct Upstream {
    pub(crate) asked: AtomicUsize,
    pub(crate) inputs: Mutex<Vec<String>>,
    says: Mutex<VecDeque<Say>>,
    /// Answers wait for a permit each, where there is one.
    gate: Option<Arc<Semaphore>>,
    /// Each frame of a stream does.
    pub(crate) frames: Option<Arc<Semaphore>>,
    /// Streams that somebody reads.
    pub(crate) open: Arc<()>,
}

/// One place to keep answers in, behind a policy.
pub(crate) struct Stage {
    pub(crate) cache: Cache<Tiers>,
    pub(crate) tiers: Tiers,
    pub(crate) figures: Arc<Figures>,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) up: Upstream,
}

// === impl Upstream ===

impl Upstream {
    /// Says these in turn, and the last one for ever.
    pub(crate) fn saying(says: impl IntoIterator<Item = Say>) -> Self {
        Self { says: Mutex::new(says.into_iter().collect()), ..Self::default() }
    }

    /// Answers no call without a permit.
    pub(crate) fn behind(self, gate: &Arc<Semaphore>) -> Self {
        Self { gate: Some(gate.clone()), ..self }
    }

    /// Gives no frame without a permit.
    pub(crate) fn dripping(self, frames: &Arc<Semaphore>) -> Self {
        Self { frames: Some(frames.clone()), ..self }
    }

    pub(crate) fn count(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn say(&self) -> Say {
        let mut says = self.says.lock();
        match says.len() {
            0 => Say::Whole("{}"),
            1 => says[0].clone(),
            _ => says.pop_front().unwrap(),
        }
    }

    fn events(&self, events: Vec<&'static str>, end: Result<bool>) -> Reply {
        let whole = matches!(end, Ok(true));
        let last = events.len() - 1;
        let frames = events.into_iter().enumerate().map(move |(at, text)| {
            let usage = (at == last).then_some(Usage { input: 3, output: 2, ..Usage::default() });
            Ok(Frame { data: text.into(), usage, content: 1, last: whole && at == last })
        });
        let all: Vec<Result<Frame>> = frames.chain(end.err().map(Err)).collect();
        let (open, permits) = (self.open.clone(), self.frames.clone());
        let frames = stream::unfold((all.into_iter(), open), move |(mut rest, open)| {
            let permits = permits.clone();
            async move {
                if let Some(permits) = permits {
                    permits.acquire().await.unwrap().forget();
                }
                Some((rest.next()?, (rest, open)))
            }
        });
        Reply { head: Box::new(Head { streams: true, ..head() }), frames: Frames::many(frames) }
    }
}

fn head() -> Head {
    Head { cost: Some(Money(1000)), ..Head::default() }
}

impl CallService for Upstream {
    async fn answer(&self, call: Call) -> Result<Reply> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let input = call.body.json().and_then(|json| json.raw("input")).unwrap_or_default();
        self.inputs.lock().push(String::from_utf8_lossy(input).into_owned());
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        if let Some(tab) = &call.tab {
            tab.add(Money(1000));
        }
        let one = |data: Bytes, usage| {
            Ok(Reply {
                head: Box::new(head()),
                frames: Frames::one(Frame { data, usage, content: 1, last: true }),
            })
        };
        let usage = Some(Usage { input: 3, output: 2, ..Usage::default() });
        match self.say() {
            Say::Whole(text) => one(text.into(), usage),
            Say::Events(events, whole) => Ok(self.events(events, Ok(whole))),
            Say::Pieces(pieces) => {
                let Reply { frames, .. } = self.events(pieces, Ok(true));
                Ok(Reply { head: Box::new(head()), frames })
            }
            Say::Break(events, err) => Ok(self.events(events, Err(err))),
            Say::Fail(err) => Err(err),
            Say::Fallback(text) => {
                let mut reply = one(text.into(), usage)?;
                reply.head.fallbacks = 1;
                Ok(reply)
            }
            Say::Vectors => {
                let input = serde_json::from_slice(input).unwrap();
                let texts: Vec<String> = match input {
                    serde_json::Value::String(one) => vec![one],
                    list => serde_json::from_value(list).unwrap(),
                };
                let data: Vec<_> = texts
                    .iter()
                    .enumerate()
                    .map(|(at, text)| {
                        serde_json::json!({"object": "embedding", "index": at, "embedding": [text.len(), 0.50]})
                    })
                    .collect();
                let input: usize = texts.iter().map(String::len).sum();
                let body = serde_json::json!({
                    "object": "list", "data": data, "model": call.model,
                    "usage": {"prompt_tokens": input, "total_tokens": input},
                });
                one(body.to_string().into(), Some(Usage { input: input as u64, ..Usage::default() }))
            }
        }
    }
}

// === impl Stage ===

impl Stage {
    /// Memory of this many bytes.
    pub(crate) fn local(settings: Settings, up: Upstream) -> Self {
        let clock = HandClock::at(1_000_000);
        let memory = Memory::new(8 << 20, Duration::from_secs(60), clock.clone());
        Self::on(Tiers::local(memory), settings, (Arc::default(), clock), up)
    }

    /// A Redis, with memory in front of it or not. Runs on the runtime of whoever asks.
    pub(crate) fn redis(server: Server, memory: bool, settings: Settings, up: Upstream) -> Self {
        let clock = HandClock::at(1_000_000);
        let figures: Arc<Figures> = Arc::default();
        // No test depends on how quick the machine is.
        let of = RedisSettings { deadline: Duration::from_secs(5), ..RedisSettings::default() };
        let link = Link::new(server, clock.clone());
        let (redis, writing) = Redis::open(link, of, figures.clone(), clock.clone());
        tokio_util::task::TaskTracker::new().spawn(writing);
        let front = Memory::new(8 << 20, Duration::from_secs(60), clock.clone());
        Self::on(Tiers::shared(redis, memory.then_some(front)), settings, (figures, clock), up)
    }

    fn on(
        tiers: Tiers,
        settings: Settings,
        (figures, clock): (Arc<Figures>, Arc<HandClock>),
        up: Upstream,
    ) -> Self {
        let cache = Cache::new(tiers.clone(), settings, figures.clone(), clock.clone());
        Self { cache, tiers, figures, clock, up }
    }

    /// One that lives as long as the process: whoever asks is spawned.
    pub(crate) fn leak(self) -> &'static Self {
        Box::leak(Box::new(self))
    }

    pub(crate) async fn ask(&'static self, call: Call) -> Result<Reply> {
        self.cache.handle(call, &self.up).await
    }

    /// The answer as its client gets it, and whether it was a hit.
    pub(crate) async fn told(&'static self, call: Call) -> (String, bool) {
        let reply = self.ask(call).await.unwrap();
        let hit = reply.head.cached.as_ref().is_some_and(|cached| cached.hit);
        (read(reply.frames).await, hit)
    }
}

/// All that a client gets; `!` where it ends with an error.
pub(crate) async fn read(mut frames: Frames) -> String {
    let mut all = String::new();
    while let Some(next) = frames.next().await {
        match next {
            Ok(frame) => all.push_str(std::str::from_utf8(&frame.data).unwrap()),
            Err(_) => all.push('!'),
        }
    }
    all
}

/// A server at this address.
pub(crate) fn one(url: String) -> Server {
    Server::One(Box::new(redis::Client::open(url).unwrap()))
}

/// A call of a key with this body.
pub(crate) fn call(key: &str, body: &str) -> Call {
    call_in(Dialect::OpenAiChat, Operation::Chat, key, body)
}

pub(crate) fn call_in(dialect: Dialect, operation: Operation, key: &str, body: &str) -> Call {
    let json = Json::parse(body.to_owned().into(), JsonLimits::default()).unwrap();
    let mut call = Call::new(operation, gatewright_dialects::of(dialect), "m", Body::Json(json));
    call.stream = call.body.json().unwrap().raw("stream") == Some(b"true");
    call.caller = Arc::new(Caller::new(key));
    call
}

/// The same with wishes of the cache.
pub(crate) fn wishing(call: Call, wishes: CacheWishes) -> Call {
    let controls = Controls { cache: wishes, ..call.controls.clone() };
    with(call, |call| call.controls = controls)
}

/// The same, changed.
pub(crate) fn with(mut call: Call, change: impl FnOnce(&mut Call)) -> Call {
    change(&mut call);
    call
}
