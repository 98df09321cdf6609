//! The body of an answer as it arrives.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body as _;
use hyper::body::Incoming;

use crate::line::{Driver, Line};
use crate::trunk::Slot;
use crate::{Failure, FailureKind};

/// The body of an answer as it arrives. Dropping it before its end closes the connection, or resets the stream.
#[derive(Debug)]
pub struct Body {
    incoming: Incoming,
    carrier: Carrier,
    late: Option<Failure>,
    trailers: Option<Box<HeaderMap>>,
}

/// What brings the rest of a body.
#[derive(Debug)]
pub(crate) enum Carrier {
    /// Nothing: it is all there.
    None,
    /// A connection of its own, driven here.
    Line(Box<Line>),
    /// A stream of a shared connection, held until the end.
    Slot(#[expect(dead_code, reason = "held for its drop")] Slot),
}

/// A piece, the end, or what went wrong.
type Piece = Option<Result<Bytes, Failure>>;

// === impl Body ===

impl Body {
    pub(crate) fn new(incoming: Incoming, carrier: Carrier) -> Self {
        Self { incoming, carrier, late: None, trailers: None }
    }

    /// The next piece, as it came from the network.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        self.poll_ready_chunks(1, cx)
    }

    /// The next piece, as it came from the network.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, Failure>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// Everything that is ready now as one buffer, without waiting for more once something is there.
    ///
    /// Once there are `max` bytes no other piece is taken, so the last one may reach beyond. A single piece is not
    /// copied.
    pub fn poll_ready_chunks(
        &mut self,
        max: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Failure>>> {
        if let Some(failure) = self.late.take() {
            return Poll::Ready(Some(Err(failure)));
        }
        let Self { incoming, carrier, late, trailers } = self;
        let piece = ready!(match carrier {
            Carrier::Line(line) => line.watch(cx, |driver, cx| {
                gather(max, late, || next_on_line((incoming, trailers), driver, cx))
            }),
            Carrier::None | Carrier::Slot(_) => gather(max, late, || next((incoming, trailers), cx)),
        });
        match &self.carrier {
            Carrier::Line(line) if piece.is_none() || line.is_ready() => self.end(cx),
            Carrier::None | Carrier::Line(_) | Carrier::Slot(_) => {}
        }
        Poll::Ready(piece)
    }

    /// Everything that is ready, as [`poll_ready_chunks`](Self::poll_ready_chunks) finds it.
    pub async fn ready_chunks(&mut self, max: usize) -> Option<Result<Bytes, Failure>> {
        poll_fn(|cx| self.poll_ready_chunks(max, cx)).await
    }

    /// The whole body, if it has at most `limit` bytes.
    pub async fn collect(self, limit: usize) -> Result<Bytes, Failure> {
        Ok(self.collect_with_trailers(limit).await?.0)
    }

    /// The whole body, if it has at most `limit` bytes, and the fields behind it.
    pub async fn collect_with_trailers(mut self, limit: usize) -> Result<(Bytes, HeaderMap), Failure> {
        let announced = self.incoming.size_hint().lower();
        if announced > limit as u64 {
            return Err(too_large(limit));
        }
        let mut whole = Whole { first: Bytes::new(), joined: BytesMut::new(), announced };
        while let Some(piece) = self.chunk().await {
            whole.push(piece?);
            if whole.len() > limit {
                return Err(too_large(limit));
            }
        }
        Ok((whole.finish(), self.trailers.map(|trailers| *trailers).unwrap_or_default()))
    }

    fn end(&mut self, cx: &mut Context<'_>) {
        if let Carrier::Line(line) = std::mem::replace(&mut self.carrier, Carrier::None) {
            line.finish(cx);
        }
    }
}

/// Pieces on their way to one buffer. The only piece of a body stays as it came.
struct Whole {
    first: Bytes,
    joined: BytesMut,
    announced: u64,
}

// === impl Whole ===

impl Whole {
    fn len(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    fn push(&mut self, piece: Bytes) {
        if self.len() == 0 {
            self.first = piece;
            return;
        }
        if self.joined.is_empty() {
            // What is announced is below the limit, and what is not there yet is not reserved by the megabyte.
            let expected = usize::try_from(self.announced).unwrap_or(0).min(1024 * 1024);
            self.joined.reserve(expected.max(2 * self.first.len() + piece.len()));
            self.joined.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.joined.extend_from_slice(&piece);
    }

    fn finish(self) -> Bytes {
        match self.joined.is_empty() {
            true => self.first,
            false => self.joined.freeze(),
        }
    }
}

/// Takes pieces while there are any and fewer than `max` bytes are there. What fails after the first is told later.
fn gather(max: usize, late: &mut Option<Failure>, mut next: impl FnMut() -> Poll<Piece>) -> Poll<Piece> {
    let first = match ready!(next()) {
        Some(Ok(first)) => first,
        end => return Poll::Ready(end),
    };
    let mut whole = Whole { first, joined: BytesMut::new(), announced: 0 };
    while whole.len() < max {
        match next() {
            Poll::Ready(Some(Ok(piece))) => whole.push(piece),
            Poll::Ready(Some(Err(failure))) => {
                *late = Some(failure);
                break;
            }
            Poll::Ready(None) | Poll::Pending => break,
        }
    }
    Poll::Ready(Some(Ok(whole.finish())))
}

/// What arrives: the body, and the place of the fields behind it.
type Arriving<'a> = (&'a mut Incoming, &'a mut Option<Box<HeaderMap>>);

/// The next piece from a connection that is driven here: what was read before, else what can be read now.
fn next_on_line(
    (incoming, trailers): Arriving<'_>,
    driver: &mut Driver,
    cx: &mut Context<'_>,
) -> Poll<Piece> {
    if driver.is_dry() {
        return Poll::Pending;
    }
    let mut piece = next((incoming, trailers), cx);
    if piece.is_pending() {
        driver.advance(cx);
        piece = next((incoming, trailers), cx);
    }
    if piece.is_pending() {
        driver.run_dry();
    }
    piece
}

fn next((incoming, trailers): Arriving<'_>, cx: &mut Context<'_>) -> Poll<Piece> {
    loop {
        let Some(frame) = ready!(Pin::new(&mut *incoming).poll_frame(cx)) else {
            return Poll::Ready(None);
        };
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) if data.is_empty() => {}
            Ok(Ok(data)) => return Poll::Ready(Some(Ok(data))),
            Ok(Err(frame)) => *trailers = frame.into_trailers().ok().map(Box::new),
            Err(error) => return Poll::Ready(Some(Err(Failure::from_hyper(&error)))),
        }
    }
}

fn too_large(limit: usize) -> Failure {
    Failure::sent(FailureKind::TooLarge, format!("more than {limit} bytes"))
}
