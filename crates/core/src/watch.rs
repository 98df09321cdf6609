//! Observers of a reply, and the promise that each settles exactly once, however the call ended.

use std::cell::OnceCell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use crate::{Error, Frame, Head, Reply, Result, ServedBy, Usage};

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
    /// Who failed, where the error names it; else who answered.
    pub served_by: Option<&'a Arc<ServedBy>>,
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
                    reply.frames.watchers().follow(observer, reply.head.served_by.as_ref());
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
        let served_by = match end {
            End::Failed(err) => err.served_by(),
            End::Complete | End::Abandoned => None,
        };
        Self { end, served_by, usage: None, content: 0, first_content: None, ended: OnceCell::new() }
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
    /// Held once for all: whoever counts its holders waits for the other threads that do.
    served_by: Option<Arc<ServedBy>>,
    usage: Option<Usage>,
    content: u64,
    first_content: Option<Instant>,
}

impl Watchers {
    /// One more, outside of those that there are, of an answer of this deployment.
    pub(crate) fn follow(&mut self, observer: Box<dyn Observer>, served_by: Option<&Arc<ServedBy>>) {
        if self.served_by.is_none() {
            self.served_by = served_by.cloned();
        }
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
        let list = std::mem::take(&mut self.list);
        let outcome = Outcome::without_frames(end);
        let outcome = Outcome {
            served_by: outcome.served_by.or(self.served_by.as_ref()),
            usage: self.usage,
            content: self.content,
            first_content: self.first_content,
            ..outcome
        };
        for observer in list {
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
    use std::sync::Mutex;

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
        (0..3).for_each(|_| watchers.follow(Box::new(Noting(Arc::clone(&ends))), None));
        watchers.settle(End::Complete);
        let ends = ends.lock().unwrap();
        assert!(matches!(ends[..], [one, two, three] if one >= before && one == two && two == three));
    }
}
