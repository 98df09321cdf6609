//! One HTTP/1 connection, driven by the task that uses it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};
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
    /// The thread that opened it, whose runtime hears from its socket.
    home: ThreadId,
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
    /// The peer has not seen it: it may be sent again.
    Unsent(Box<http::Request<Outgoing>>, Failure),
    /// It is gone with its connection; the failure says whether the peer may have seen it.
    Gone(Failure),
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
        Ok(Box::new(Self {
            sender,
            driver,
            waker,
            host: Some(host),
            rested: Instant::now(),
            home: thread::current().id(),
        }))
    }

    /// Sends a request and waits for the head of the answer. Dropping the future closes the connection.
    pub(crate) async fn send(
        self: &mut Box<Self>,
        request: http::Request<Outgoing>,
    ) -> Result<http::Response<Incoming>, Lost> {
        self.driver.link.forget_writes();
        let mut reply = pin!(self.sender.try_send_request(request));
        let answer = poll_fn(|cx| {
            self.watch(cx, |driver, cx| {
                driver.dry = false;
                driver.advance(cx);
                reply.as_mut().poll(cx)
            })
        })
        .await;
        answer.map_err(|error| match Lost::from(error) {
            Lost::Gone(failure) if !self.driver.link.has_written() => {
                Lost::Gone(Failure { sent: false, ..failure })
            }
            lost => lost,
        })
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

    /// Whether this thread opened it.
    pub(crate) fn is_at_home(&self) -> bool {
        self.home == thread::current().id()
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
            None => Self::Gone(Failure::from_hyper(error.error())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpStream;

    use super::*;
    use crate::dial::Dialler;
    use crate::host::{Limits, Origin};
    use crate::{Http2, Pieces, Settings, Trust};

    /// One thread: the runtime cannot learn of the reset before the request is written.
    #[tokio::test]
    async fn a_connection_that_took_no_byte_saw_no_request() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let tcp = TcpStream::connect(address).await.unwrap();
        let (peer, _) = listener.accept().unwrap();
        socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        drop(peer);

        let origin = Origin::of(&format!("http://{address}/").parse().unwrap(), Trust::Operator).unwrap();
        let dialler = Arc::new(Dialler::new(&Settings::default()).unwrap());
        let limits = Limits { idle_timeout: Duration::from_secs(1), max_idle: 1, http2: Http2::Off };
        let host = Arc::new(Host::new(origin, dialler, limits).unwrap());
        let mut line = Line::open(Stream::Plain(tcp), host).await.unwrap();
        let request =
            http::Request::post("/").body(Outgoing::from(Pieces::from_iter(["{}".into()]))).unwrap();
        match line.send(request).await {
            Err(Lost::Gone(failure)) => assert!(!failure.sent, "{failure}"),
            Err(Lost::Unsent(..)) => panic!("hyper gave it back: this test shows nothing"),
            Ok(response) => panic!("{response:?}"),
        }
    }
}
