//! A router over an upstream that does what a script says.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use gatewright_core::{
    Body, Call, CallId, CallService, Dialect, Error, ErrorKind, Frame, Frames, Head, Observer, Operation,
    Outcome, Reply, Result, Said, Shared, SoFar, Target, Usage, arm, layer,
};
use tokio::time::Instant;
use tower::Service;
use tower_layer::Layer;

use super::mute::Mute;
use crate::pick::{Fit, Pool};
use crate::screen::Shortlist;
use crate::{Deployment, Dice, LiveTable, Mirrors, Router, Settings, Table};

/// What the upstream does with one attempt.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Answer,
    Fail(Error),
    /// A stream of these frames.
    Stream(Vec<Result<Frame>>),
    /// Takes this long, then answers.
    Slow(Duration),
    /// Takes this long, then answers with so many tokens of output.
    Whole(Duration, u64),
    /// Takes this long, then fails.
    Late(Duration, Error),
    /// A stream of these frames, each so long after the one before.
    Flow(Vec<(Duration, Result<Frame>)>),
    /// Never says anything.
    Hang,
    /// Refuses where so many are on their way, with this `Retry-After`; else takes this long, then answers.
    Limited {
        slots: usize,
        takes: Duration,
        retry_after: Duration,
    },
}

/// One attempt, as the upstream saw it.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) target: Target,
    pub(super) after: Duration,
    /// How many hold the call's first tag.
    pub(super) holders: usize,
    /// The call's first tag.
    pub(super) tag: Option<Arc<str>>,
    /// What is done with it.
    pub(super) step: Step,
    /// The call that it is a copy of.
    pub(super) mirror_of: Option<CallId>,
    /// Whether anything is held for the call.
    pub(super) held: bool,
    /// Whether it goes on with what another one said.
    pub(super) goes_on: bool,
}

/// The scripted upstream. A deployment without a script answers; the last step of a script repeats.
#[derive(Clone)]
pub(super) struct Upstream {
    scripts: Arc<HashMap<Arc<str>, Vec<Step>>>,
    log: Arc<Mutex<Vec<Attempt>>>,
    served: Arc<Mutex<Vec<Served>>>,
    busy: Arc<Mutex<HashMap<Arc<str>, usize>>>,
    start: Instant,
}

/// A call that a deployment with limits let in.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) caller: Arc<str>,
    pub(super) deployment: Arc<str>,
}

/// One of a deployment's slots, as long as an answer is on its way.
struct Slot(Arc<Mutex<HashMap<Arc<str>, usize>>>, Arc<str>);

/// A router and its upstream.
pub(super) struct World {
    pub(super) table: LiveTable,
    pub(super) upstream: Upstream,
    pub(super) mirrors: Mirrors,
    dice: Arc<dyn Dice>,
}

impl World {
    pub(super) fn new(
        deployments: Vec<Deployment>,
        settings: Settings,
        scripts: impl IntoIterator<Item = (&'static str, Vec<Step>)>,
    ) -> Self {
        Self::of(deployments, settings, scripts.into_iter().map(|(id, steps)| (id.into(), steps)).collect())
    }

    pub(super) fn of(
        deployments: Vec<Deployment>,
        settings: Settings,
        scripts: HashMap<Arc<str>, Vec<Step>>,
    ) -> Self {
        let table = LiveTable::new(Table::build(deployments, settings).unwrap());
        let upstream = Upstream {
            scripts: Arc::new(scripts),
            log: Arc::default(),
            served: Arc::default(),
            busy: Arc::default(),
            start: Instant::now(),
        };
        Self { table, upstream, mirrors: Mirrors::default(), dice: Arc::new(Loaded(0.0)) }
    }

    pub(super) fn with_roll(self, roll: f64) -> Self {
        self.with_dice(Loaded(roll))
    }

    pub(super) fn with_dice(self, dice: impl Dice) -> Self {
        Self { dice: Arc::new(dice), ..self }
    }

    pub(super) fn router(&self) -> Router {
        Router::new(self.table.clone()).with_dice(OneDice(self.dice.clone()))
    }

    pub(super) fn send(&self, call: Call) -> impl Future<Output = Result<Reply>> + Send + 'static {
        let below = Shared::new(self.upstream.clone());
        let router = self.router().mirroring(self.mirrors.clone(), below.clone()).going_on(below);
        let stack = layer(router).layer(self.upstream.clone());
        async move { stack.answer(call).await }
    }

    /// Asks for this model, waits for the end, and answers who was tried.
    pub(super) async fn ask(&self, model: &str) -> (Result<Head>, Vec<String>) {
        self.ask_with(call(model)).await
    }

    pub(super) async fn ask_with(&self, call: Call) -> (Result<Head>, Vec<String>) {
        let before = self.upstream.attempts().len();
        let reply = self.send(call).await.map(|reply| *reply.head);
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

    /// Who was let in by deployments with limits, in this order.
    pub(super) fn served(&self) -> Vec<Served> {
        self.served.lock().unwrap().clone()
    }

    fn slot(&self, call: &mut Call, slots: usize) -> Option<Slot> {
        let deployment = call.target.as_ref().unwrap().deployment.clone();
        let mut busy = self.busy.lock().unwrap();
        let taken = busy.entry(deployment.clone()).or_default();
        if *taken >= slots {
            return None;
        }
        *taken += 1;
        drop(busy);
        if let Some(turn) = call.turn.take() {
            turn.taken();
        }
        let caller = call.caller.id.clone();
        self.served.lock().unwrap().push(Served { caller, deployment: deployment.clone() });
        Some(Slot(self.busy.clone(), deployment))
    }

    fn step(&self, call: &Call) -> Step {
        // The way of its fallbacks holds it too.
        let (target, holders) =
            (call.target.as_deref().unwrap().clone(), Arc::strong_count(&call.origin) - 1);
        let mut log = self.log.lock().unwrap();
        let nth = log.iter().filter(|seen| seen.target.deployment == target.deployment).count();
        let script = self.scripts.get(&*target.deployment);
        let step = script.and_then(|steps| steps.get(nth).or(steps.last())).cloned();
        let (step, tag) = (step.unwrap_or(Step::Answer), call.controls.tags.first().cloned());
        log.push(Attempt {
            target,
            after: self.start.elapsed(),
            holders,
            tag,
            step: step.clone(),
            mirror_of: call.mirror_of,
            held: call.tab.is_some() || call.output_cap.is_some(),
            goes_on: call.so_far.as_ref().is_some_and(|so_far| so_far.is_left()),
        });
        step
    }
}

impl Service<Call> for Upstream {
    type Response = Reply;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Reply>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut call: Call) -> Self::Future {
        let step = self.step(&call);
        let upstream = self.clone();
        let so_far = call.so_far.clone();
        Box::pin(async move {
            let reply = match step {
                Step::Answer => Ok(whole()),
                Step::Fail(err) => Err(err),
                Step::Stream(frames) => Ok(Reply {
                    head: Box::default(),
                    frames: Frames::many(futures_util::stream::iter(frames)),
                }),
                Step::Slow(duration) => {
                    tokio::time::sleep(duration).await;
                    Ok(whole())
                }
                Step::Whole(duration, output) => {
                    tokio::time::sleep(duration).await;
                    let usage = Some(Usage { output, ..Usage::default() });
                    Ok(Reply { head: Box::default(), frames: Frames::one(Frame { usage, ..frame(1, true) }) })
                }
                Step::Late(duration, err) => {
                    tokio::time::sleep(duration).await;
                    Err(err)
                }
                Step::Flow(frames) => {
                    let timed = futures_util::stream::iter(frames).then(|(pause, frame)| async move {
                        tokio::time::sleep(pause).await;
                        frame
                    });
                    Ok(Reply { head: Box::default(), frames: Frames::many(timed) })
                }
                Step::Hang => std::future::pending().await,
                Step::Limited { slots, takes, retry_after } => {
                    let refused =
                        || Error::new(ErrorKind::LimitReached, "full").with_retry_after(retry_after);
                    let slot = upstream.slot(&mut call, slots).ok_or_else(refused)?;
                    let frames = async move {
                        tokio::time::sleep(takes).await;
                        Ok(whole())
                    };
                    arm(slot).follow(frames.await)
                }
            };
            reply.map(|reply| Reply { frames: followed(reply.frames, so_far), ..reply })
        })
    }
}

/// Keeps what frames say, as providers do, and leaves it when they break off.
fn followed(mut frames: Frames, so_far: Option<Arc<SoFar>>) -> Frames {
    let Some(so_far) = so_far else { return frames };
    let mut said = so_far.take();
    let next = move |cx: &mut Context<'_>| {
        let next = std::task::ready!(frames.poll_frame(cx));
        match &next {
            Some(Ok(frame)) if frame.content > 0 => {
                let said = said.get_or_insert_with(nothing_said);
                said.text.push('x');
                said.used.output += u64::from(frame.content);
            }
            Some(Err(_)) => said.take().into_iter().for_each(|said| so_far.leave(said)),
            _ => {}
        }
        Poll::Ready(next)
    };
    Frames::many(futures_util::stream::poll_fn(next))
}

fn nothing_said() -> Said {
    let encoder = Box::new(Mute(Dialect::OpenAiChat));
    Said { text: String::new(), used: Usage::default(), encoder, open: None, next: 0 }
}

impl Observer for Slot {
    fn settle(self: Box<Self>, _: &Outcome<'_>) {}
}

impl Drop for Slot {
    fn drop(&mut self) {
        *self.0.lock().unwrap().get_mut(&self.1).unwrap() -= 1;
    }
}

pub(super) struct Loaded(pub(super) f64);

impl Dice for Loaded {
    fn roll(&self) -> f64 {
        self.0
    }
}

struct OneDice(Arc<dyn Dice>);

impl Dice for OneDice {
    fn roll(&self) -> f64 {
        self.0.roll()
    }
}

/// Chance that is the same in every run of a seed (SplitMix64).
pub(super) struct Seeded(AtomicU64);

impl Seeded {
    pub(super) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub(super) fn next(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let state = self.0.fetch_add(STEP, Relaxed).wrapping_add(STEP);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(super) fn below(&self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Whether something happens that happens so many times in a hundred.
    pub(super) fn hits(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub(super) fn one<T: Clone>(&self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()].clone()
    }
}

impl Dice for Seeded {
    fn roll(&self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
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
    Reply { head: Box::default(), frames: Frames::one(frame(1, true)) }
}
