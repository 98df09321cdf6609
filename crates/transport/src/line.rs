//! One HTTP/1 connection, driven by the task that uses it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use crate::host::Host;
use crate::link::Link;
use crate::request::Outgoing;
use crate::stream::{Probed, Stream};
use crate::{Failure, FailureKind};

/// The most that the head of an answer may have.
const MAX_HEAD: usize = 64 * 1024;
/// The most that is buffered on one connection in either direction.
const MAX_BUFFER: usize = 256 * 1024;
/// A connection that rested longer is looked at in the kernel before it is used: the runtime may not know yet that the
/// peer closed it. One that was just used has been polled a moment ago.
const PROBE_AFTER: Duration = Duration::from_millis(10);

/// One HTTP/1 connection. Nobody drives it but its user; dropping it closes it.
pub(crate) struct Line {
    sender: http1::SendRequest<Outgoing>,
    driver: Driver,
    waker: Waker,
    /// Where it goes when its answer is read; a resting connection has none, or it would keep its host alive.
    host: Option<Arc<Host>>,
    /// When it was last used.
    pub(crate) rested: Instant,
}

/// The connection's own future.
pub(crate) struct Driver {
    /// Gone once it has ended.
    connection: Option<http1::Connection<TokioIo<Probed>, Outgoing>>,
    link: Arc<Link>,
    /// Whether it found nothing to do when last polled: then it has nothing to do until its waker is called.
    dry: bool,
}

/// A request that got no answer.
pub(crate) enum Lost {
    /// Nothing of it was written: it may be sent again.
    Unsent(Box<http::Request<Outgoing>>, Failure),
    /// The peer may have seen it.
    Sent(Failure),
}

// === impl Line ===

impl Line {
    pub(crate) async fn open(stream: Stream, host: Arc<Host>) -> Result<Box<Self>, Failure> {
        let link = Link::new();
        let io = TokioIo::new(Probed { stream, link: link.clone() });
        let (sender, connection) = http1::Builder::new()
            .max_header_size(MAX_HEAD)
            .max_buf_size(MAX_BUFFER)
            .handshake(io)
            .await
            .map_err(|error| Failure::unsent(FailureKind::Connect, error.to_string()))?;
        let waker = Waker::from(link.clone());
        let driver = Driver { connection: Some(connection), link, dry: false };
        Ok(Box::new(Self { sender, driver, waker, host: Some(host), rested: Instant::now() }))
    }

    /// Sends a request and waits for the head of the answer. Dropping the future closes the connection.
    pub(crate) async fn send(
        self: &mut Box<Self>,
        request: http::Request<Outgoing>,
    ) -> Result<http::Response<Incoming>, Lost> {
        let mut reply = pin!(self.sender.try_send_request(request));
        let answer = poll_fn(|cx| {
            self.watch(cx, |driver, cx| {
                driver.dry = false;
                driver.advance(cx);
                reply.as_mut().poll(cx)
            })
        })
        .await;
        answer.map_err(Lost::from)
    }

    /// Polls it and whatever hangs on it, so that their wake-ups reach the task once.
    pub(crate) fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Driver, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.driver.enter(cx.waker());
        let outcome = poll(&mut self.driver, &mut Context::from_waker(&self.waker));
        if outcome.is_pending() {
            self.driver.link.wait(cx.waker());
        }
        outcome
    }

    /// Whether the last answer is fully read and the next request may be sent.
    pub(crate) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Goes back to the idle connections of its host.
    pub(crate) fn release(mut self: Box<Self>) {
        self.driver.link.rest();
        self.rested = Instant::now();
        if let Some(host) = self.host.take() {
            host.keep(self);
        }
    }

    /// Goes back once its answer is read to the end; closes where that takes more than a moment.
    pub(crate) fn finish(mut self: Box<Self>, cx: &mut Context<'_>) {
        if !self.is_ready() {
            self.driver.enter(cx.waker());
            self.driver.advance(&mut Context::from_waker(&self.waker));
        }
        if self.is_ready() {
            self.release();
        }
    }

    /// Before it is used again at `now`.
    pub(crate) fn wake(&mut self, now: Instant, host: Arc<Host>) {
        self.host = Some(host);
        if now.duration_since(self.rested) > PROBE_AFTER {
            self.driver.link.ask_probe();
        }
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("ready", &self.is_ready()).finish_non_exhaustive()
    }
}

// === impl Driver ===

impl Driver {
    fn enter(&mut self, waker: &Waker) {
        if self.link.enter(waker) {
            self.dry = false;
        }
    }

    /// Reads and writes as far as it goes now. An error is told to the request or the body that it hits.
    pub(crate) fn advance(&mut self, cx: &mut Context<'_>) {
        self.link.settle();
        let ended =
            self.connection.as_mut().is_some_and(|connection| Pin::new(connection).poll(cx).is_ready());
        if ended {
            self.connection = None;
        }
    }

    /// Whether polling it again is idle. What hangs on it may say so once it found nothing after `advance`.
    pub(crate) fn is_dry(&self) -> bool {
        self.dry
    }

    /// Nothing came of the last `advance`.
    pub(crate) fn run_dry(&mut self) {
        self.dry = true;
    }
}

// === impl Lost ===

impl From<hyper::client::conn::TrySendError<http::Request<Outgoing>>> for Lost {
    fn from(mut error: hyper::client::conn::TrySendError<http::Request<Outgoing>>) -> Self {
        match error.take_message() {
            Some(request) => {
                let failure = Failure::from_hyper(error.error());
                Self::Unsent(Box::new(request), Failure { sent: false, ..failure })
            }
            None => Self::Sent(Failure::from_hyper(error.error())),
        }
    }
}
