//! The edge: a reply's frames as the body of an HTTP answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use gatewright_core::{Codec, Frames};
use http_body::Frame;
use tracing::warn;

/// Frames as they come.
pub(crate) struct EdgeBody {
    frames: Frames,
    /// Whose last events tell an error after the first byte; without them the connection breaks off, for sound has no
    /// words.
    codec: Option<&'static dyn Codec>,
    /// It broke off, and what came before is on its way.
    broken: bool,
}

impl EdgeBody {
    pub(crate) fn events(frames: Frames, codec: &'static dyn Codec) -> Self {
        Self { frames, codec: Some(codec), broken: false }
    }

    pub(crate) fn bytes(frames: Frames) -> Self {
        Self { frames, codec: None, broken: false }
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
