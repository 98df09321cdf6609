//! What is sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use http_body::{Frame, SizeHint};
use smallvec::SmallVec;

/// The pieces of a body, written one after the other without joining them.
pub type Pieces = SmallVec<[Bytes; 4]>;

/// One request. `host` and `content-length` are set from the URL and the body.
#[derive(Clone, Debug)]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// Where: an absolute `http` or `https` URL, without a password.
    pub uri: Uri,
    /// Everything else about it.
    pub headers: HeaderMap,
    /// The body.
    pub body: Pieces,
    /// Who chose the URL.
    pub trust: Trust,
}

/// Who chose the URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trust {
    /// The operator, in the configuration: any address may be reached.
    #[default]
    Operator,
    /// Someone else: the egress guard decides on the resolved address.
    Untrusted,
}

/// The body as hyper wants it: small, because hyper keeps room for many of them in every connection.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    first: Bytes,
    rest: std::vec::IntoIter<Bytes>,
    left: u64,
}

// === impl Request ===

impl Request {
    /// A request to a URL of the operator's.
    pub fn new(method: Method, uri: Uri, body: Pieces) -> Self {
        Self { method, uri, headers: HeaderMap::new(), body, trust: Trust::Operator }
    }

    /// A request without a body to a URL of the operator's.
    pub fn fetch(uri: Uri) -> Self {
        Self::new(Method::GET, uri, Pieces::new())
    }
}

// === impl Outgoing ===

impl From<Pieces> for Outgoing {
    fn from(pieces: Pieces) -> Self {
        let left = pieces.iter().map(|piece| piece.len() as u64).sum();
        let mut pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
        let first = pieces.next().unwrap_or_default();
        Self { first, rest: pieces.collect::<Vec<_>>().into_iter(), left }
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match self.first.is_empty() {
            true => self.rest.next(),
            false => Some(std::mem::take(&mut self.first)),
        };
        self.left -= piece.as_ref().map_or(0, Bytes::len) as u64;
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
