//! A finished call, as the sinks need to know it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gatewright_core::{
    Cached, CallId, Caller, Codec, Controls, CostParts, Error, Json, Money, Notes, Operation, ServedBy, Usage,
};
use gatewright_dialects::Transcript;
use http::{HeaderName, HeaderValue};

/// A finished call. What is dear to read is kept as it came; whoever renders the record reads it.
pub struct Record {
    /// Names the call.
    pub id: CallId,
    /// What was asked for.
    pub operation: Operation,
    /// The client's dialect.
    pub codec: &'static dyn Codec,
    /// Who called.
    pub caller: Arc<Caller>,
    /// What the client asked of the gateway.
    pub controls: Controls,
    /// The public model name that was asked for.
    pub model: Arc<str>,
    /// Whether the client wanted a stream.
    pub stream: bool,
    /// The client's address; nothing where no client sent it.
    pub address: Option<IpAddr>,
    /// The path that it called; nothing where no client did.
    pub path: Option<Box<str>>,
    /// The client's name for itself.
    pub user_agent: Option<HeaderValue>,
    /// Headers of the client's own, `x-…`, none of which says that it is a key.
    pub own_headers: Vec<(HeaderName, HeaderValue)>,
    /// When the request's head was read.
    pub began: SystemTime,
    /// When the first content came.
    pub first_content: Option<SystemTime>,
    /// When it was over.
    pub ended: SystemTime,
    /// How it ended.
    pub ending: Ending,
    /// Who served it, or failed last.
    pub served_by: Option<Arc<ServedBy>>,
    /// What the cache said of it.
    pub cached: Option<Arc<Cached>>,
    /// What the upstream said of its answer.
    pub notes: Option<Notes>,
    /// What it used, where that is known.
    pub usage: Option<Usage>,
    /// What the upstream tells of its rate limits, by the payload's names.
    pub rate_limits: Vec<(&'static str, HeaderValue)>,
    /// What the gateway itself took until it had an answer's head; nothing where none came.
    pub overhead: Option<Duration>,
    /// What all its attempts cost.
    pub cost: Money,
    /// What that is made of.
    pub parts: CostParts,
    /// What was asked and answered; `None` where no sink gets that.
    pub content: Option<Content>,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub enum Ending {
    /// The answer is whole.
    Complete,
    /// It failed.
    Failed(Error),
    /// The client left.
    Abandoned,
}

/// What was asked and answered.
#[derive(Clone)]
pub struct Content {
    /// The client's request; `None` where it is a form with files, or too large.
    pub asked: Option<Json>,
    /// What the client was told.
    pub told: Transcript,
    /// Whether that is a stream of events.
    pub streams: bool,
}

/// What a record takes besides its content, about.
const BARE: usize = 1024;

// === impl Record ===

impl Record {
    /// Whether the call succeeded.
    pub fn succeeded(&self) -> bool {
        matches!(self.ending, Ending::Complete)
    }

    /// The memory that it holds, in bytes, about.
    pub fn weight(&self) -> usize {
        let asked = |content: &Content| content.asked.as_ref().map_or(0, Json::source_len);
        let content = self.content.as_ref().map_or(0, |content| asked(content) + content.told.held());
        let sent = |(name, value): &(HeaderName, HeaderValue)| name.as_str().len() + value.len();
        let path = self.path.as_deref().map_or(0, str::len);
        BARE + content + path + self.own_headers.iter().map(sent).sum::<usize>()
    }
}
