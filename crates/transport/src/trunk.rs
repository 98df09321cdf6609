//! One HTTP/2 connection, shared by many requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::line::Lost;
use crate::request::Outgoing;
use crate::stream::Stream;
use crate::{Failure, FailureKind};

/// How many requests one connection carries before another is opened. Servers announce about 100 streams, and what is
/// over is queued without a word.
pub(crate) const STREAMS: usize = 80;
/// How often a connection with open streams is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(30);
/// How long the answer to that may take.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// One HTTP/2 connection. A tracked task drives it.
#[derive(Debug)]
pub(crate) struct Trunk {
    sender: http2::SendRequest<Outgoing>,
    open: AtomicUsize,
    rested: Mutex<Instant>,
}

/// One request's place on a trunk.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Trunk>);

/// Runs what hyper hands out on the tracker.
#[derive(Clone)]
struct Tracked(TaskTracker);

// === impl Trunk ===

impl Trunk {
    pub(crate) async fn open(stream: Stream, tasks: &TaskTracker) -> Result<Arc<Self>, Failure> {
        let (sender, connection) = http2::Builder::new(Tracked(tasks.clone()))
            .timer(TokioTimer::new())
            .adaptive_window(true)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Failure::unsent(FailureKind::Connect, error.to_string()))?;
        // Its errors are told to the requests that it carries.
        tasks.spawn(async move { drop(connection.await) });
        Ok(Arc::new(Self { sender, open: AtomicUsize::new(0), rested: Mutex::new(Instant::now()) }))
    }

    /// How many requests it carries.
    pub(crate) fn load(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Whether it takes no more requests.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether it carries nothing since before `then`.
    pub(crate) fn is_unused_since(&self, then: Instant) -> bool {
        self.load() == 0 && *self.rested.lock() < then
    }

    /// Takes a place on it.
    pub(crate) fn slot(self: &Arc<Self>) -> Slot {
        self.open.fetch_add(1, Ordering::Relaxed);
        Slot(self.clone())
    }
}

// === impl Slot ===

impl Slot {
    /// Sends a request and waits for the head of the answer. Dropping the future resets the stream.
    pub(crate) async fn send(
        &self,
        request: http::Request<Outgoing>,
    ) -> Result<http::Response<Incoming>, Lost> {
        // A server that goes away or is full promises that it did nothing with the request, which hyper has taken by then.
        let copy = Box::new(request.clone());
        let answer = self.0.sender.clone().try_send_request(request).await;
        answer.map_err(|error| match Lost::from(error) {
            Lost::Gone(failure) if !failure.sent => Lost::Unsent(copy, failure),
            lost => lost,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *self.0.rested.lock() = Instant::now();
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Tracked ===

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}
