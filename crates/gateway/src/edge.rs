//! The edge: a reply's frames as the body of an HTTP answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use gatewright_core::{Codec, Frames};
use http_body::Frame;
use memchr::memmem;
use tracing::warn;

use crate::admission::Place;

/// Frames as they come.
pub(crate) struct EdgeBody {
    frames: Frames,
    /// Whose last events tell an error after the first byte; without them the connection breaks off, for sound has no
    /// words.
    codec: Option<&'static dyn Codec>,
    /// It broke off, and what came before is on its way.
    broken: bool,
    _place: Place,
}

impl EdgeBody {
    pub(crate) fn events(frames: Frames, codec: &'static dyn Codec, place: Place) -> Self {
        Self { frames, codec: Some(codec), broken: false, _place: place }
    }

    pub(crate) fn bytes(frames: Frames, place: Place) -> Self {
        Self { frames, codec: None, broken: false, _place: place }
    }
}

impl http_body::Body for EdgeBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.broken {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        loop {
            let data = match self.frames.poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frame.data,
                Poll::Ready(Some(Err(err))) => {
                    warn!(kind = ?err.kind(), detail = err.detail(), "a stream failed after its first byte");
                    match self.codec {
                        Some(codec) => codec.encode_error_event(&err),
                        None => {
                            // A pause lets the connection send what it has before it breaks off.
                            self.broken = true;
                            cx.waker().wake_by_ref();
                            return Poll::Pending;
                        }
                    }
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            };
            // A frame may only carry usage that the client did not ask for.
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }
}

/// The same as one JSON list, an event an item.
pub(crate) struct ListBody {
    events: EdgeBody,
    begun: bool,
    ended: bool,
}

impl ListBody {
    pub(crate) fn new(events: EdgeBody) -> Self {
        Self { events, begun: false, ended: false }
    }

    /// Events in server-sent form as items. A frame holds whole events, and JSON's line breaks are escaped.
    fn items(&mut self, events: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(events.len());
        let mut rest = events;
        while let Some(end) = memmem::find(rest, b"\n\n") {
            let (event, more) = rest.split_at(end);
            rest = more.get(2..).unwrap_or_default();
            let Some(item) = event.strip_prefix(b"data: ") else { continue };
            let joint: &[u8] = if std::mem::replace(&mut self.begun, true) { b",\r\n" } else { b"[" };
            out.put_slice(joint);
            out.put_slice(item);
        }
        out.freeze()
    }
}

impl http_body::Body for ListBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        loop {
            let data = match Pin::new(&mut self.events).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
                Poll::Ready(Some(Err(err))) => return Poll::Ready(Some(Err(err))),
                Poll::Ready(None) => {
                    self.ended = true;
                    let last: &[u8] = if self.begun { b"]" } else { b"[]" };
                    return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(last)))));
                }
                Poll::Pending => return Poll::Pending,
            };
            let items = self.items(&data);
            if !items.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(items))));
            }
        }
    }
}
