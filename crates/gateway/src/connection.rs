//! One connection's deadlines: a head must come in time, an idle connection is closed, and a client must read its answers.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// How long a connection may take.
#[derive(Clone, Copy)]
pub(crate) struct Deadlines {
    /// For a request's head, from its first byte.
    pub(crate) head: Duration,
    /// Between two requests.
    pub(crate) idle: Duration,
    /// Until the peer takes more of an answer.
    pub(crate) write: Duration,
}

/// What a connection is doing, shared between its reader and its answers.
#[derive(Clone, Default)]
pub(crate) struct Phase(Arc<Requests>);

#[derive(Default)]
struct Requests {
    begun: AtomicU32,
    ended: AtomicU32,
}

/// Held while a request is being answered.
pub(crate) struct Busy(Arc<Requests>);

/// A socket that ends with an error when the peer says nothing while nobody is being answered, or takes nothing while
/// there is something to take.
pub(crate) struct Guarded {
    stream: TokioIo<TcpStream>,
    deadlines: Deadlines,
    phase: Phase,
    waiting: Waiting,
    /// Requests that had begun when the silence was last a new one.
    begun: u32,
    silence: Alarm,
    /// Runs while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

/// What the next byte would be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// The rest of a head.
    Head,
    /// The first byte of the next request.
    Idle,
}

/// A deadline that moves with every request and hardly ever passes. The runtime's timer is only touched when it rings
/// too early or would ring too late.
struct Alarm {
    /// Runs from the next time that somebody waits, for so long.
    unset: Option<Duration>,
    at: Instant,
    timer: Pin<Box<Sleep>>,
}

// === impl Phase ===

impl Phase {
    /// A request has been read and is being answered.
    pub(crate) fn busy(&self) -> Busy {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        Busy(self.0.clone())
    }
}

impl Busy {
    /// Stays busy until `body` has left or is dropped.
    pub(crate) fn until_end_of(self, body: Body) -> BusyBody {
        BusyBody { body, _busy: self }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// An answer's body that keeps its connection busy.
pub(crate) struct BusyBody {
    body: Body,
    _busy: Busy,
}

impl http_body::Body for BusyBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// === impl Guarded ===

impl Guarded {
    pub(crate) fn new(stream: TcpStream, deadlines: Deadlines, phase: Phase) -> Self {
        // A client that connects and says nothing is as slow as one that stops in the middle of a head.
        let silence = Alarm::after(deadlines.head);
        let stream = TokioIo::new(stream);
        Self { stream, deadlines, phase, waiting: Waiting::Head, begun: 0, silence, stalled: None }
    }

    fn wait_for(&mut self, next: Waiting) {
        self.waiting = next;
        self.silence.unset = Some(match next {
            Waiting::Head => self.deadlines.head,
            Waiting::Idle => self.deadlines.idle,
        });
    }

    /// Ready when the peer has been silent for too long while nobody is being answered.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (begun, ended) =
            (self.phase.0.begun.load(Ordering::Relaxed), self.phase.0.ended.load(Ordering::Relaxed));
        if begun != ended {
            return Poll::Pending;
        }
        if begun != self.begun {
            self.begun = begun;
            self.wait_for(Waiting::Idle);
        }
        self.silence.poll(cx)
    }

    /// What came of a write; an error when none came of any for too long.
    fn written(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.deadlines.write;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

// === impl Alarm ===

impl Alarm {
    fn after(patience: Duration) -> Self {
        let timer = Box::pin(tokio::time::sleep(patience));
        Self { unset: None, at: timer.deadline(), timer }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(patience) = self.unset.take() {
            self.at = Instant::now() + patience;
            if self.timer.deadline() > self.at {
                self.timer.as_mut().reset(self.at);
            }
        }
        loop {
            ready!(self.timer.as_mut().poll(cx));
            if self.timer.deadline() >= self.at {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(self.at);
        }
    }
}

impl Read for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Ready(read) => {
                // The first bytes after a silence start the clock of a head; later ones do not prolong it.
                if this.waiting == Waiting::Idle && this.begun == this.phase.0.begun.load(Ordering::Relaxed) {
                    this.wait_for(Waiting::Head);
                }
                Poll::Ready(read)
            }
            Poll::Pending => this.poll_silence(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl Write for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, data);
        self.written(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.written(cx, written)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const HEAD: Duration = Duration::from_secs(5);
    const IDLE: Duration = Duration::from_secs(75);

    #[tokio::test(start_paused = true)]
    async fn an_alarm_rings_when_it_was_last_set_to_whether_that_is_sooner_or_later() {
        for waits in [&[HEAD] as &[_], &[HEAD, IDLE], &[HEAD, IDLE, HEAD], &[HEAD, IDLE, IDLE]] {
            let mut alarm = Alarm::after(HEAD);
            let mut set = Instant::now();
            for wait in waits {
                (alarm.unset, set) = (Some(*wait), Instant::now());
                for _ in 0..2 {
                    let rings = poll_fn(|cx| Poll::Ready(alarm.poll(cx).is_ready())).await;
                    assert!(!rings, "{waits:?}");
                    tokio::time::advance(*wait / 3).await;
                }
            }
            poll_fn(|cx| alarm.poll(cx)).await;
            let last = waits.last().copied().unwrap_or_default();
            let late = set.elapsed().saturating_sub(last);
            assert!(set.elapsed() >= last && late < Duration::from_millis(5), "{waits:?} {late:?}");
        }
    }
}
