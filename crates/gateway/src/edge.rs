//! The edge: a reply's frames as the body of an HTTP answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use gatewright_core::{Codec, Frames};
use http_body::Frame;
use tracing::warn;

/// Frames as they come; an error after the first byte becomes the dialect's last events.
pub(crate) struct EdgeBody {
    frames: Frames,
    codec: &'static dyn Codec,
}

impl EdgeBody {
    pub(crate) fn new(frames: Frames, codec: &'static dyn Codec) -> Self {
        Self { frames, codec }
    }
}

impl http_body::Body for EdgeBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            let data = match self.frames.poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frame.data,
                Poll::Ready(Some(Err(err))) => {
                    warn!(kind = ?err.kind(), detail = err.detail(), "a stream failed after its first byte");
                    self.codec.encode_error_event(&err)
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
