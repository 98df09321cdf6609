//! Observers of a reply, and the promise that each settles exactly once, however the call ended.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use pin_project_lite::pin_project;
use smallvec::SmallVec;

use crate::{Error, Frame, Head, Reply, Result, Usage};

/// Sees every frame of a reply, may end it, and settles exactly once: however the call ended.
pub trait Observer: Send {
    /// The answer's head has come. Whatever fails before it has none.
    fn head(&mut self, _head: &Head) {}

    /// One more frame is about to leave; breaking ends the reply with that error.
    fn frame(&mut self, _frame: &Frame) -> ControlFlow<Error> {
        ControlFlow::Continue(())
    }

    /// The end. Runs before the last frame reaches the client; does no I/O but the journal's append.
    fn settle(self: Box<Self>, outcome: &Outcome<'_>);
}

/// How a call or an attempt ended.
pub struct Outcome<'a> {
    /// Which end it took.
    pub end: End<'a>,
    /// The last usage that the provider reported.
    pub usage: Option<Usage>,
    /// Bytes of model output that were seen; an estimate of the output where the provider reported none.
    pub content: u64,
    /// When the first content came.
    pub first_content: Option<Instant>,
}

/// The ends there are.
#[derive(Clone, Copy)]
pub enum End<'a> {
    /// The reply is whole.
    Complete,
    /// It failed, before or after its first frame.
    Failed(&'a Error),
    /// Whoever asked went away: the future or the reply was dropped.
    Abandoned,
}

/// Arms `observer` before `reply` is asked for: a future that is dropped, an error, a finished and an abandoned
/// stream each settle it once.
pub fn watch<F>(observer: impl Observer + 'static, reply: F) -> Watch<F>
where
    F: Future<Output = Result<Reply>>,
{
    Watch { reply, armed: Watchers::of(observer) }
}

/// The same where there may be nobody who watches: whoever does not costs the room of one pointer.
pub fn watch_where<F>(observer: Option<Box<dyn Observer>>, reply: F) -> WatchWhere<F>
where
    F: Future<Output = Result<Reply>>,
{
    let armed = observer.map(|observer| {
        let mut armed = Box::<Watchers>::default();
        armed.list.push(observer);
        armed
    });
    WatchWhere { reply, armed }
}

pin_project! {
    /// A reply that may be watched.
    #[must_use = "nothing is asked for until it is polled"]
    pub struct WatchWhere<F> {
        #[pin]
        reply: F,
        armed: Option<Box<Watchers>>,
    }
}

impl<F: Future<Output = Result<Reply>>> Future for WatchWhere<F> {
    type Output = Result<Reply>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut result = ready!(this.reply.poll(cx));
        if let Some(armed) = this.armed {
            armed.follow(&mut result);
        }
        Poll::Ready(result)
    }
}

pin_project! {
    /// A reply that is watched. Not an `async fn`: those keep their arguments twice, and a stack of them doubles with
    /// every layer (110 KB a call, measured).
    #[must_use = "nothing is asked for until it is polled"]
    pub struct Watch<F> {
        #[pin]
        reply: F,
        armed: Watchers,
    }
}

impl<F: Future<Output = Result<Reply>>> Future for Watch<F> {
    type Output = Result<Reply>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut result = ready!(this.reply.poll(cx));
        this.armed.follow(&mut result);
        Poll::Ready(result)
    }
}

/// The observers of one reply and what they need to know at the end. Dropped unsettled, it settles as abandoned.
#[derive(Default)]
pub(crate) struct Watchers {
    list: SmallVec<[Box<dyn Observer>; 4]>,
    usage: Option<Usage>,
    content: u64,
    first_content: Option<Instant>,
}

impl Watchers {
    /// One observer, armed.
    pub(crate) fn of(observer: impl Observer + 'static) -> Self {
        let mut armed = Self::default();
        armed.list.push(Box::new(observer));
        armed
    }

    /// Joins those of the reply, or settles where there is none.
    fn follow(&mut self, result: &mut Result<Reply>) {
        match result {
            Ok(reply) => {
                self.head(&reply.head);
                reply.frames.watchers().join(self);
            }
            Err(err) => self.settle(End::Failed(err)),
        }
    }

    fn head(&mut self, head: &Head) {
        self.list.iter_mut().for_each(|observer| observer.head(head));
    }

    /// Shows a frame to every observer, the innermost first.
    pub(crate) fn frame(&mut self, frame: &Frame) -> Result<()> {
        if let Some(usage) = frame.usage {
            self.usage = Some(usage);
        }
        if frame.content > 0 && self.first_content.is_none() {
            self.first_content = Some(Instant::now());
        }
        self.content += u64::from(frame.content);
        for observer in &mut self.list {
            if let ControlFlow::Break(err) = observer.frame(frame) {
                return Err(err);
            }
        }
        Ok(())
    }

    /// Settles every observer, the innermost first; a second call finds none.
    pub(crate) fn settle(&mut self, end: End<'_>) {
        let outcome =
            Outcome { end, usage: self.usage, content: self.content, first_content: self.first_content };
        for observer in std::mem::take(&mut self.list) {
            observer.settle(&outcome);
        }
    }

    pub(crate) fn join(&mut self, outer: &mut Self) {
        self.list.append(&mut outer.list);
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        if !self.list.is_empty() {
            self.settle(End::Abandoned);
        }
    }
}
