//! How a provider's wire differs from its dialect's, where its row cannot say it.

use bytes::Bytes;
use gatewright_core::{Dialect, Framing, Json, Losses, Operation, Relay, Result};
use http::{HeaderMap, StatusCode, Uri};

/// What of a call decides how its answer is written.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) operation: Operation,
    /// Whether the client used OpenAI's older `functions`.
    pub(crate) older_functions: bool,
}

/// What has to be asked before there is an answer.
pub(crate) enum Next {
    /// This, after a moment, for the same as now.
    Again(Uri),
    /// This, for the stream.
    Stream(Uri),
}

/// What stands between a dialect and a provider's wire, for one model.
pub(crate) trait Wire: Send + Sync + 'static {
    /// Edits a request of this dialect for this operation, when it is otherwise final.
    fn request(&self, _body: &mut Json, _asked: (Dialect, Operation), _losses: &mut Losses) -> Result<()> {
        Ok(())
    }

    /// Edits the headers of a request.
    fn head(&self, _headers: &mut HeaderMap, _stream: bool) {}

    /// What has to be asked before there is an answer to a request that was sent to `at`; `None` where this is it.
    fn next(&self, _body: &[u8], _stream: bool, _at: &Uri) -> Result<Option<Next>> {
        Ok(None)
    }

    /// Whether an answer may be one that leads to another.
    fn leads_on(&self) -> bool {
        false
    }

    /// Writes a whole answer as the dialect has it.
    fn reply(&self, body: Bytes, _asked: Asked) -> Result<Bytes> {
        Ok(body)
    }

    /// How a stream is cut into events, where the dialect's are cut so.
    fn framing(&self, dialects: Framing) -> Framing {
        dialects
    }

    /// What takes a stream's events and gives `relay` those of the dialect.
    fn events(&self, relay: Box<dyn Relay>, _asked: Asked) -> Box<dyn Relay> {
        relay
    }

    /// What an error answer is where the provider puts one around it.
    fn refusal(&self, status: StatusCode, _headers: &HeaderMap, body: Bytes) -> (StatusCode, Bytes) {
        (status, body)
    }
}
