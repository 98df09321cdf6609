//! A router over an upstream that does what a script says.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gatewright_core::chat::{Answer, Chat, Event};
use gatewright_core::{
    Body, Call, CallId, CallService, Codec, Decode, Dialect, Encode, Error, ErrorKind, Frame, Frames, Head,
    Json, Losses, ModelFacts, Operation, RawEvent, Relay, Reply, ReplyStyle, Result, Shared, Target,
    UpstreamFault, layer,
};
use http::StatusCode;
use tokio::time::Instant;
use tower::Service;
use tower_layer::Layer;

use crate::pick::{Fit, Pool};
use crate::screen::Shortlist;
use crate::{Deployment, Dice, LiveTable, Mirrors, Router, Settings, Table};

/// What the upstream does with one attempt.
#[derive(Clone)]
pub(super) enum Step {
    Answer,
    Fail(Error),
    /// A stream of these frames.
    Stream(Vec<Result<Frame>>),
    /// Takes this long, then answers.
    Slow(Duration),
    /// Never says anything.
    Hang,
}

/// One attempt, as the upstream saw it.
#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) target: Target,
    pub(super) after: Duration,
    /// How many hold the call's first tag.
    pub(super) holders: usize,
    /// The call that it is a copy of.
    pub(super) mirror_of: Option<CallId>,
    /// Whether anything is held for the call.
    pub(super) held: bool,
}

/// The scripted upstream. A deployment without a script answers; the last step of a script repeats.
#[derive(Clone)]
pub(super) struct Upstream {
    scripts: Arc<HashMap<&'static str, Vec<Step>>>,
    log: Arc<Mutex<Vec<Attempt>>>,
    start: Instant,
}

/// A router and its upstream.
pub(super) struct World {
    pub(super) table: LiveTable,
    pub(super) upstream: Upstream,
    pub(super) mirrors: Mirrors,
    roll: f64,
}

impl World {
    pub(super) fn new(
        deployments: Vec<Deployment>,
        settings: Settings,
        scripts: impl IntoIterator<Item = (&'static str, Vec<Step>)>,
    ) -> Self {
        let table = LiveTable::new(Table::build(deployments, settings).unwrap());
        let scripts = Arc::new(scripts.into_iter().collect());
        let upstream = Upstream { scripts, log: Arc::default(), start: Instant::now() };
        Self { table, upstream, mirrors: Mirrors::default(), roll: 0.0 }
    }

    pub(super) fn with_roll(self, roll: f64) -> Self {
        Self { roll, ..self }
    }

    pub(super) fn send(&self, call: Call) -> impl Future<Output = Result<Reply>> + Send + 'static {
        let router = Router::new(self.table.clone()).with_dice(Loaded(self.roll));
        let router = router.mirroring(self.mirrors.clone(), Shared::new(self.upstream.clone()));
        let stack = layer(router).layer(self.upstream.clone());
        async move { stack.answer(call).await }
    }

    /// Asks for this model, waits for the end, and answers who was tried.
    pub(super) async fn ask(&self, model: &str) -> (Result<Head>, Vec<String>) {
        self.ask_with(call(model)).await
    }

    pub(super) async fn ask_with(&self, call: Call) -> (Result<Head>, Vec<String>) {
        let before = self.upstream.attempts().len();
        let reply = self.send(call).await.map(|reply| reply.head);
        (
            reply,
            self.upstream.attempts().iter().skip(before).map(|a| a.target.deployment.to_string()).collect(),
        )
    }
}

impl Upstream {
    pub(super) fn attempts(&self) -> Vec<Attempt> {
        self.log.lock().unwrap().clone()
    }

    /// When each attempt came, in milliseconds.
    pub(super) fn times(&self) -> Vec<u128> {
        self.attempts().iter().map(|attempt| attempt.after.as_millis()).collect()
    }

    fn step(&self, call: &Call) -> Step {
        let target = call.target.as_deref().unwrap().clone();
        let attempt = Attempt {
            target: target.clone(),
            after: self.start.elapsed(),
            holders: Arc::strong_count(&call.controls),
            mirror_of: call.mirror_of,
            held: call.tab.is_some() || call.output_cap.is_some(),
        };
        let mut log = self.log.lock().unwrap();
        let nth = log.iter().filter(|seen| seen.target.deployment == target.deployment).count();
        let script = self.scripts.get(&*target.deployment);
        let step = script.and_then(|steps| steps.get(nth).or(steps.last())).cloned();
        log.push(attempt);
        step.unwrap_or(Step::Answer)
    }
}

impl Service<Call> for Upstream {
    type Response = Reply;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Reply>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let step = self.step(&call);
        Box::pin(async move {
            match step {
                Step::Answer => Ok(whole()),
                Step::Fail(err) => Err(err),
                Step::Stream(frames) => Ok(Reply {
                    head: Head::default(),
                    frames: Frames::many(futures_util::stream::iter(frames)),
                }),
                Step::Slow(duration) => {
                    tokio::time::sleep(duration).await;
                    Ok(whole())
                }
                Step::Hang => std::future::pending().await,
            }
        })
    }
}

pub(super) struct Loaded(pub(super) f64);

impl Dice for Loaded {
    fn roll(&self) -> f64 {
        self.0
    }
}

pub(super) fn deployment(group: &str, id: &str) -> Deployment {
    Deployment {
        id: id.into(),
        group: group.into(),
        target: format!("up/{id}").into(),
        ..Deployment::default()
    }
}

pub(super) fn deployments(list: &[(&str, &str)]) -> Vec<Deployment> {
    list.iter().map(|(group, id)| deployment(group, id)).collect()
}

/// The first tier of the first group, with everybody fit who does not rest.
pub(super) fn with_pool<T>(list: Vec<Deployment>, then: impl FnOnce(&Pool<'_>) -> T) -> T {
    let table = Table::build(list, Settings::default()).unwrap();
    with_pool_of(&table, then)
}

/// The same of a table.
pub(super) fn with_pool_of<T>(table: &Table, then: impl FnOnce(&Pool<'_>) -> T) -> T {
    let (route, now) = (table.resolve(&table.names()[0]).unwrap(), Instant::now());
    let list = Shortlist::default();
    let at = route.group.seen[0].health.millis(now);
    let fit = Fit { list: &list, tried: &[], at, resting: false, down: true };
    then(&Pool { route: &route, tier: &route.group.tiers[0], fit, know: &*table.settings.know, now })
}

pub(super) fn call(model: &str) -> Call {
    let mut call = Call::new(Operation::Chat, &Mute(Dialect::OpenAiChat), model, Body::Opaque(Bytes::new()));
    call.received = Instant::now().into_std();
    call
}

pub(super) fn fail(kind: ErrorKind) -> Step {
    Step::Fail(error(kind))
}

pub(super) fn error(kind: ErrorKind) -> Error {
    Error::new(kind, "made to fail").with_provider("up")
}

pub(super) fn frame(content: u32, last: bool) -> Frame {
    Frame { data: Bytes::from_static(b"x"), content, last, usage: None }
}

fn whole() -> Reply {
    Reply { head: Head::default(), frames: Frames::one(frame(1, true)) }
}

/// A codec that routing must never use, but for its dialect.
pub(super) struct Mute(pub(super) Dialect);

#[rustfmt::skip]
impl Codec for Mute {
    fn dialect(&self) -> Dialect { self.0 }
    fn readdress(&self, _: &mut Json, _: &str) { panic!("not routing's") }
    fn relay_reply(&self, _: Bytes, _: &ReplyStyle) -> Result<Frame> { panic!("not routing's") }
    fn relay(&self, _: &ReplyStyle) -> Box<dyn Relay> { panic!("not routing's") }
    fn decode_request(&self, _: &Json) -> Result<Chat> { panic!("not routing's") }
    fn encode_request(&self, _: &Chat, _: &ModelFacts, _: &mut Losses) -> Result<Bytes> { panic!("not routing's") }
    fn decode_reply(&self, _: &[u8]) -> Result<Answer> { panic!("not routing's") }
    fn encode_reply(&self, _: &Answer, _: &ReplyStyle) -> Bytes { panic!("not routing's") }
    fn decoder(&self) -> Box<dyn Decode> { Box::new(Mute(self.0)) }
    fn encoder(&self, _: &ReplyStyle) -> Box<dyn Encode> { Box::new(Mute(self.0)) }
    fn decode_error(&self, _: StatusCode, _: &[u8]) -> UpstreamFault { panic!("not routing's") }
    fn encode_error(&self, _: &Error) -> Bytes { panic!("not routing's") }
    fn encode_error_event(&self, _: &Error) -> Bytes { panic!("not routing's") }
}

#[rustfmt::skip]
impl Decode for Mute {
    fn event(&mut self, _: RawEvent<'_>, _: &mut Vec<Event>) -> Result<()> { panic!("not routing's") }
    fn close(&mut self, _: &mut Vec<Event>) -> Result<()> { panic!("not routing's") }
}

#[rustfmt::skip]
impl Encode for Mute {
    fn event(&mut self, _: &Event, _: &mut BytesMut) { panic!("not routing's") }
}
