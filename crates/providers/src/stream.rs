//! An upstream's streamed answer as frames: framing, relay, and the clocks of an attempt.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use gatewright_core::{Error, Frame, Framing, Notes, Peek, RawEvent, Relay, Result, Target, Usage};
use gatewright_dialects::{Splitter, check_depth};
use gatewright_telemetry::UpstreamSpan;
use gatewright_transport::Body;
use tokio::time::Sleep;

use crate::endpoint::Endpoint;
use crate::fault;
use crate::room::Room;
use crate::upstream::Bounds;

/// What arrives together leaves together, up to this much.
const GATHER: usize = 64 * 1024;

/// Reads events from an upstream and yields what the client gets for them.
pub(crate) struct UpstreamStream {
    body: Body,
    splitter: Splitter,
    /// Gone when the stream has failed: what it keeps for another attempt is left when it is dropped.
    relay: Option<Box<dyn Relay>>,
    exchange: Exchange,
    clocks: Clocks,
    room: Room,
    /// How long an event that has room may get nothing more.
    large_event_idle: Duration,
    /// An error met behind events that were whole: they leave first.
    failed: Option<Error>,
    done: bool,
}

/// The exchange that the stream belongs to.
pub(crate) struct Exchange {
    pub(crate) provider: Arc<str>,
    /// When the request was sent.
    pub(crate) at: Instant,
    pub(crate) span: UpstreamSpan,
    pub(crate) endpoint: Arc<Endpoint>,
    /// Where the answer's facts are noted, if anybody will read them.
    pub(crate) notes: Option<Notes>,
}

/// The waits of an attempt: until the first content, then between events, and for all of it.
struct Clocks {
    first_content: Instant,
    idle: Duration,
    deadline: Instant,
    started: bool,
    /// When the wait that runs is over.
    until: Instant,
    /// Rings then or earlier: it follows when it rings, not with every event.
    timer: Pin<Box<Sleep>>,
}

/// Hands bytes on as they come: sound.
pub(crate) struct Flow {
    /// What it is billed by, known from the request.
    pub(crate) usage: Usage,
}

// === impl Flow ===

impl Relay for Flow {
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        out.extend_from_slice(event.data);
        // Sound is no text: what counts is that something came.
        Ok(Peek { usage: Some(self.usage), content: 1, last: false })
    }

    fn close(&mut self, _out: &mut BytesMut) -> Result<Peek> {
        Ok(Peek { usage: Some(self.usage), content: 0, last: true })
    }
}

// === impl UpstreamStream ===

impl UpstreamStream {
    pub(crate) fn new(
        body: Body,
        (framing, relay): (Framing, Box<dyn Relay>),
        exchange: Exchange,
        (target, bounds): (&Target, &Bounds),
    ) -> Self {
        let first_content = (exchange.at + target.first_content).min(target.deadline);
        let clocks = Clocks {
            first_content,
            idle: target.idle,
            deadline: target.deadline,
            started: false,
            until: first_content,
            timer: Box::pin(tokio::time::sleep_until(first_content.into())),
        };
        let splitter = Splitter::new(framing, bounds.settings.max_event_bytes);
        let room = Room::new(bounds.large_events.clone());
        let large_event_idle = bounds.settings.large_event_idle;
        let relay = Some(relay);
        Self { body, splitter, relay, exchange, clocks, room, large_event_idle, failed: None, done: false }
    }

    /// Takes what arrived; `None` where it made nothing for the client yet.
    fn take(&mut self, chunk: Option<&Bytes>) -> Result<Option<Frame>> {
        let mut out = BytesMut::with_capacity(chunk.map_or(256, |c| c.len() + c.len() / 4 + 64));
        let mut seen = Peek::default();
        let (Some(relay), exchange) = (&mut self.relay, &self.exchange) else { return Ok(None) };
        let mut each = |event: RawEvent<'_>| -> Result<()> {
            if !seen.last {
                check_depth(event.data)?;
                if let Some(notes) = &exchange.notes {
                    notes.note(exchange.endpoint.codec.facts(event.data));
                }
                join(&mut seen, relay.event(event, &mut out)?);
            }
            Ok(())
        };
        let fed = match chunk {
            Some(chunk) => self.splitter.feed(chunk, &mut each),
            None => self.splitter.close(&mut each),
        };
        let fed = match fed {
            Ok(()) if chunk.is_none() && !seen.last => {
                relay.close(&mut out).map(|peek| join(&mut seen, peek))
            }
            other => other,
        };
        if let Err(err) = fed {
            let err = fault::inside(&self.exchange.provider, err);
            if out.is_empty() {
                return Err(err);
            }
            self.failed = Some(err);
        }
        self.done = seen.last;
        self.clocks.advance(seen.content > 0);
        let Peek { usage, content, last } = seen;
        let usage = usage.map(|usage| self.exchange.endpoint.billed(usage));
        let empty = out.is_empty() && usage.is_none() && !last;
        Ok((!empty).then(|| Frame { data: out.freeze(), usage, content, last }))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        loop {
            if let Some(err) = self.failed.take() {
                self.done = true;
                self.relay = None;
                self.exchange.span.failed(err.kind());
                return Poll::Ready(Some(Err(err)));
            }
            if self.done {
                return Poll::Ready(None);
            }
            let next = match self.room.poll(self.splitter.held(), cx) {
                Poll::Ready(()) => self.body.poll_ready_chunks(GATHER, cx),
                Poll::Pending => Poll::Pending,
            };
            let taken = match next {
                Poll::Ready(Some(Ok(chunk))) => self.take(Some(&chunk)),
                Poll::Ready(Some(Err(failure))) => Err(fault::broken(&self.exchange.provider, &failure)),
                Poll::Ready(None) => self.take(None),
                Poll::Pending => match self.clocks.poll(self.room.until(self.large_event_idle), cx) {
                    Poll::Ready(waited_for) => Err(fault::timed_out(&self.exchange.provider, waited_for)),
                    Poll::Pending => return Poll::Pending,
                },
            };
            match taken {
                Ok(None) => {}
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Err(err) => self.failed = Some(err),
            }
        }
    }
}

impl Stream for UpstreamStream {
    type Item = Result<Frame>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll(cx)
    }
}

// === impl Clocks ===

impl Clocks {
    /// Something came: from the first content on, only silence counts.
    fn advance(&mut self, content: bool) {
        self.started |= content;
        if self.started {
            self.until = (Instant::now() + self.idle).min(self.deadline);
            if self.timer.deadline() > self.until.into() {
                self.timer.as_mut().reset(self.until.into());
            }
        }
    }

    /// Ready when the wait is over, with what was waited for: at the latest when an event in the way of others must have `grown`.
    fn poll(&mut self, grown: Option<Instant>, cx: &mut Context<'_>) -> Poll<&'static str> {
        let until = grown.map_or(self.until, |grown| grown.min(self.until));
        if self.timer.deadline() > until.into() {
            self.timer.as_mut().reset(until.into());
        }
        loop {
            ready!(self.timer.as_mut().poll(cx));
            if self.timer.deadline() >= until.into() {
                break;
            }
            self.timer.as_mut().reset(until.into());
        }
        if until < self.until {
            return Poll::Ready("the rest of a large event");
        }
        let late = Instant::now() >= self.deadline;
        Poll::Ready(match self.started {
            _ if late => "the whole answer",
            true => "the next event",
            false if self.first_content <= self.deadline => "the first content",
            false => "the whole answer",
        })
    }
}

fn join(seen: &mut Peek, more: Peek) {
    seen.usage = more.usage.or(seen.usage);
    seen.content = seen.content.saturating_add(more.content);
    seen.last |= more.last;
}
