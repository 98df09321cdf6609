//! Observers of a reply, and the promise that each settles exactly once, however the call ended.

use std::cell::OnceCell;
use std::ops::ControlFlow;
use std::time::Instant;

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
    /// When it ended, once somebody has asked.
    ended: OnceCell<Instant>,
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

/// Arms `observer` before a reply is asked for: a future that is dropped, an error, a finished and an abandoned stream each
/// settle it once. `arm(observer).follow(next.answer(call).await)` is all that a policy does.
pub fn arm(observer: impl Observer + 'static) -> Armed {
    Armed(Some(Box::new(observer)))
}

/// An observer of a reply that has not come. It stands beside the future of the reply: one around it would move that, and the
/// rest of the stack with it, for every call.
#[derive(Default)]
#[must_use = "dropped, it settles"]
pub struct Armed(Option<Box<dyn Observer>>);

// === impl Armed ===

impl Armed {
    /// Joins those who watch the reply, or settles where there is none.
    pub fn follow(mut self, mut result: Result<Reply>) -> Result<Reply> {
        if let Some(mut observer) = self.0.take() {
            match &mut result {
                Ok(reply) => {
                    observer.head(&reply.head);
                    reply.frames.watchers().add(observer);
                }
                Err(err) => observer.settle(&Outcome::without_frames(End::Failed(err))),
            }
        }
        result
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        if let Some(observer) = self.0.take() {
            observer.settle(&Outcome::without_frames(End::Abandoned));
        }
    }
}

// === impl Outcome ===

impl<'a> Outcome<'a> {
    fn without_frames(end: End<'a>) -> Self {
        Self { end, usage: None, content: 0, first_content: None, ended: OnceCell::new() }
    }

    /// When it ended: one moment for all who ask, for the clock is read once.
    pub fn ended(&self) -> Instant {
        *self.ended.get_or_init(Instant::now)
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
    /// One more, outside of those that there are.
    pub(crate) fn add(&mut self, observer: Box<dyn Observer>) {
        self.list.push(observer);
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
        let outcome = Outcome {
            usage: self.usage,
            content: self.content,
            first_content: self.first_content,
            ..Outcome::without_frames(end)
        };
        for observer in std::mem::take(&mut self.list) {
            observer.settle(&outcome);
        }
    }
}

impl Drop for Watchers {
    fn drop(&mut self) {
        if !self.list.is_empty() {
            self.settle(End::Abandoned);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    struct Noting(Arc<Mutex<Vec<Instant>>>);

    impl Observer for Noting {
        fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
            self.0.lock().unwrap().push(outcome.ended());
        }
    }

    #[test]
    fn a_reply_ended_at_one_moment_for_all_observers() {
        let (ends, before) = (Arc::default(), Instant::now());
        let mut watchers = Watchers::default();
        (0..3).for_each(|_| watchers.add(Box::new(Noting(Arc::clone(&ends)))));
        watchers.settle(End::Complete);
        let ends = ends.lock().unwrap();
        assert!(matches!(ends[..], [one, two, three] if one >= before && one == two && two == three));
    }
}
