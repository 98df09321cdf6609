//! What becomes of a call whose client leaves: it is cancelled, or read to its end without the client.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use gatewright_core::{Call, CallService, Frame, Frames, Reply, Result};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::Gateway;

/// What becomes of a call whose client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLeave {
    /// The upstream's connection is closed: what it made until it noticed can only be estimated.
    Cancel,
    /// The upstream is read to its end, so that it is known what the call cost.
    Drain {
        /// The longest that a call goes on without its client.
        within: Duration,
        /// The most calls that do so at the same time; further ones are cancelled.
        most: usize,
    },
}

/// Calls that go on without their clients.
#[derive(Clone)]
pub(crate) struct Drains {
    within: Duration,
    places: Arc<Semaphore>,
    tasks: TaskTracker,
}

/// One call, as long as its client is there.
#[derive(Clone)]
struct Client {
    left: Arc<AtomicBool>,
    drains: Drains,
}

type Answer = Pin<Box<dyn Future<Output = Result<Reply>> + Send>>;

/// The answer is still to come.
struct Asked {
    answer: Option<Answer>,
    client: Client,
}

/// The answer is coming.
struct Followed {
    frames: Option<Frames>,
    client: Client,
}

// === impl Drains ===

impl Drains {
    /// `None` where calls are cancelled. What goes on is known to `tasks`.
    pub(crate) fn new(on_leave: OnLeave, tasks: &TaskTracker) -> Option<Self> {
        match on_leave {
            OnLeave::Cancel => None,
            OnLeave::Drain { within, most } => {
                let places = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
                Some(Self { within, places, tasks: tasks.clone() })
            }
        }
    }

    /// Asks the stack. What is dropped of that, or of the frames that come of it, goes on.
    pub(crate) async fn answer<S: CallService>(
        &self,
        gateway: &Arc<Gateway<S>>,
        mut call: Call,
    ) -> Result<Reply> {
        let client = Client { left: Arc::default(), drains: self.clone() };
        call.left = Some(client.left.clone());
        let gateway = gateway.clone();
        let answer = Box::pin(async move { gateway.stack.answer(call).await });
        let Reply { head, frames } = Asked { answer: Some(answer), client: client.clone() }.await?;
        let frames = match frames.is_one() {
            true => frames,
            false => Frames::many(Followed { frames: Some(frames), client }),
        };
        Ok(Reply { head, frames })
    }
}

// === impl Client ===

impl Client {
    fn leave(&self, rest: impl Future<Output = ()> + Send + 'static) {
        let Drains { within, places, tasks } = &self.drains;
        self.left.store(true, Ordering::Relaxed);
        // Where there is no place, or no runtime any more, the rest is dropped here: that cancels it.
        let (Ok(place), Ok(runtime)) = (places.clone().try_acquire_owned(), Handle::try_current()) else {
            return;
        };
        let rest = timeout(*within, rest);
        let go_on = async move {
            // Cut off, it has settled as abandoned.
            let _ = rest.await;
            drop(place);
        };
        tasks.spawn_on(go_on, &runtime);
    }
}

// === impl Asked ===

impl Future for Asked {
    type Output = Result<Reply>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(answer) = &mut self.answer else { return Poll::Pending };
        let answer = ready!(answer.as_mut().poll(cx));
        self.answer = None;
        Poll::Ready(answer)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let Some(answer) = self.answer.take() else { return };
        self.client.leave(async move {
            if let Ok(reply) = answer.await {
                read(reply.frames).await;
            }
        });
    }
}

// === impl Followed ===

impl Stream for Followed {
    type Item = Result<Frame>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(frames) = &mut self.frames else { return Poll::Ready(None) };
        let next = ready!(frames.poll_frame(cx));
        if !matches!(&next, Some(Ok(frame)) if !frame.last) {
            self.frames = None;
        }
        Poll::Ready(next)
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        if let Some(frames) = self.frames.take() {
            self.client.leave(read(frames));
        }
    }
}

async fn read(mut frames: Frames) {
    while frames.next().await.is_some() {}
}
