//! Reads a request's body within its limits.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gatewright_core::{Error, ErrorKind, Result};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;

/// What is reserved at once on a client's word; a longer body grows as it comes.
const RESERVED: usize = 1 << 20;

/// How much of a refused body is still taken, and how long it may pause meanwhile.
const DRAINED: usize = 8 << 20;
const DRAIN_IDLE: Duration = Duration::from_millis(250);

/// A request's body, from the connection itself or by way of axum.
pub(crate) trait ClientBody: Body<Data = Bytes, Error: fmt::Display + Send> + Send + Unpin {}

impl<B: Body<Data = Bytes, Error: fmt::Display + Send> + Send + Unpin> ClientBody for B {}

/// The whole body, if it has at most `limit` bytes and never pauses for longer than `idle`.
pub(crate) async fn read(
    mut body: impl ClientBody,
    headers: &HeaderMap,
    limit: usize,
    idle: Duration,
) -> Result<Bytes> {
    let announced =
        headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let mut first: Option<Bytes> = None;
    let mut whole: Option<BytesMut> = None;
    while let Some(data) = piece(&mut body, idle).await? {
        let have = whole.as_ref().map(BytesMut::len).or(first.as_ref().map(Bytes::len)).unwrap_or(0);
        if have + data.len() > limit {
            drain(&mut body).await;
            return Err(too_large(limit));
        }
        match (&mut whole, first.take()) {
            (Some(whole), _) => whole.extend_from_slice(&data),
            // The common case, a body in one piece, is not copied.
            (None, None) => first = Some(data),
            (None, Some(before)) => {
                let room = announced.unwrap_or(0).min(RESERVED).max(before.len() + data.len());
                let whole = whole.insert(BytesMut::with_capacity(room));
                whole.extend_from_slice(&before);
                whole.extend_from_slice(&data);
            }
        }
    }
    Ok(whole.map(BytesMut::freeze).or(first).unwrap_or_default())
}

/// A body that is text, as JSON is.
pub(crate) fn text(body: Bytes) -> Result<Bytes> {
    match simdutf8::basic::from_utf8(&body) {
        Ok(_) => Ok(body),
        Err(_) => Err(Error::new(ErrorKind::InvalidRequest, "the request's body is not UTF-8")),
    }
}

/// Takes a little more of a body that is refused: a connection that is closed with unread data in it is reset, and the
/// client would never read the answer.
pub(crate) async fn drain(body: &mut impl ClientBody) {
    let mut left = DRAINED;
    while let Ok(Some(data)) = piece(body, DRAIN_IDLE).await {
        left = left.saturating_sub(data.len());
        if left == 0 {
            return;
        }
    }
}

async fn piece(body: &mut impl ClientBody, idle: Duration) -> Result<Option<Bytes>> {
    loop {
        let next = std::pin::pin!(body.frame());
        let frame = match ready_or_timeout(next, idle).await? {
            Some(Ok(frame)) => frame,
            Some(Err(err)) => {
                return Err(Error::new(ErrorKind::InvalidRequest, "the request's body broke off")
                    .with_detail(err.to_string()));
            }
            None => return Ok(None),
        };
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
}

/// Polls once before it makes a timer: the body is usually there with the head.
async fn ready_or_timeout<F: Future + Unpin>(mut next: F, idle: Duration) -> Result<F::Output> {
    let now = std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut next).poll(cx))).await;
    match now {
        std::task::Poll::Ready(output) => Ok(output),
        std::task::Poll::Pending => tokio::time::timeout(idle, next)
            .await
            .map_err(|_| Error::new(ErrorKind::Timeout, "the request's body did not come in time")),
    }
}

/// Why a body cannot be read, where its head tells more than its bytes.
pub(crate) fn explained(err: Error, headers: &HeaderMap) -> Error {
    let coding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    match coding.filter(|coding| !coding.eq_ignore_ascii_case("identity")) {
        None => err,
        Some(coding) => {
            let words = format!("a request's body must not be compressed; its content-encoding is {coding}");
            Error::new(ErrorKind::InvalidRequest, words).with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        }
    }
}

fn too_large(limit: usize) -> Error {
    Error::new(ErrorKind::TooLarge, format!("the request's body is larger than {limit} bytes"))
}
