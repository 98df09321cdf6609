//! Why a request failed, and whether the peer may have seen it.

use std::borrow::Cow;
use std::fmt;

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub kind: FailureKind,
    /// Whether the peer may have seen the request.
    pub sent: bool,
    /// The cause in words, for the log.
    pub source: Cow<'static, str>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The name could not be resolved.
    Dns,
    /// No address took the connection, or the proxy refused it.
    Connect,
    /// The connection was not there in time.
    ConnectTimeout,
    /// The TLS handshake failed.
    Tls,
    /// The egress guard forbids the address.
    Refused,
    /// The connection broke.
    Closed,
    /// The URL, or what the peer sent, is not HTTP as we speak it.
    Protocol,
    /// The answer is larger than the limit.
    TooLarge,
    /// The answer could not be decompressed.
    Decompression,
}

// === impl Failure ===

impl Failure {
    /// Before anything was sent.
    pub(crate) fn unsent(kind: FailureKind, source: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, sent: false, source: source.into() }
    }

    /// When the peer may have seen the request.
    pub(crate) fn sent(kind: FailureKind, source: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, sent: true, source: source.into() }
    }

    /// What hyper says, once the request may have left.
    pub(crate) fn from_hyper(error: &hyper::Error) -> Self {
        let kind = match error {
            e if e.is_parse_too_large() => FailureKind::TooLarge,
            e if e.is_parse() => FailureKind::Protocol,
            _ => FailureKind::Closed,
        };
        Self { kind, sent: !is_unprocessed(error), source: with_causes(error).into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.source)
    }
}

impl std::error::Error for Failure {}

// === impl FailureKind ===

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "the name could not be resolved",
            Self::Connect => "could not connect",
            Self::ConnectTimeout => "the connection was not there in time",
            Self::Tls => "the TLS handshake failed",
            Self::Refused => "the address is forbidden",
            Self::Closed => "the connection broke",
            Self::Protocol => "not HTTP as we speak it",
            Self::TooLarge => "the answer is too large",
            Self::Decompression => "the answer could not be decompressed",
        })
    }
}

/// Whether an HTTP/2 peer promises that it did nothing with the request: it refused the stream, or it goes away and names
/// an earlier one as its last.
fn is_unprocessed(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| {
        let refused = cause.is_reset() && cause.reason() == Some(h2::Reason::REFUSED_STREAM);
        cause.is_remote() && (refused || cause.is_go_away())
    })
}

/// An error and what caused it, on one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
