//! The policy that makes a record of every call.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gatewright_core::{
    Armed, Body, Cached, Call, CallId, CallService, Codec, End, Error, Frame, Head, Json, Middleware, Notes,
    Observer, Operation, Origin, Outcome, Reply, Result, Tab, arm,
};
use gatewright_dialects::Transcript;
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::Sinks;
use crate::record::{Content, Ending, Record};

/// Makes a record of every call that a sink wants. Stands outermost, so that calls that are refused have records too; a
/// call of which nobody wants one passes without a lock or an allocation.
#[derive(Clone)]
pub struct Recorded(Sinks);

/// Makes the record once the call has ended.
struct Recorder {
    sinks: Sinks,
    id: CallId,
    operation: Operation,
    codec: &'static dyn Codec,
    origin: Arc<Origin>,
    model: Arc<str>,
    stream: bool,
    tab: Arc<Tab>,
    known: Option<Known>,
    content: Option<(Option<Json>, Transcript)>,
}

/// What the reply's head tells.
struct Known {
    cached: Option<Arc<Cached>>,
    notes: Option<Notes>,
    rate_limits: Vec<(&'static str, HeaderValue)>,
    overhead: Duration,
    streams: bool,
}

/// What upstreams tell of their rate limits, and how the payload names it. LiteLLM's.
const RATE_LIMITS: [(&str, &str); 6] = [
    ("x-ratelimit-limit-requests", "x_ratelimit_limit_requests"),
    ("x-ratelimit-limit-tokens", "x_ratelimit_limit_tokens"),
    ("x-ratelimit-remaining-requests", "x_ratelimit_remaining_requests"),
    ("x-ratelimit-remaining-tokens", "x_ratelimit_remaining_tokens"),
    ("x-ratelimit-reset-requests", "x_ratelimit_reset_requests"),
    ("x-ratelimit-reset-tokens", "x_ratelimit_reset_tokens"),
];

/// What stands in the names of headers that carry keys.
const KEYS: [&str; 7] = ["key", "token", "auth", "secret", "cookie", "credential", "signature"];

// === impl Recorded ===

impl Recorded {
    /// Gives records to these.
    pub fn new(sinks: Sinks) -> Self {
        Self(sinks)
    }

    /// Those.
    pub fn sinks(&self) -> &Sinks {
        &self.0
    }

    fn recorder(&self, call: &mut Call) -> Recorder {
        let tab = Tab::itemised(call.tab.take());
        call.tab = Some(Arc::clone(&tab));
        let limits = self.0.content_limits();
        let content = self.0.wants_content(call).then(|| {
            let asked = match &call.body {
                Body::Json(json) if json.source_len() <= limits.asked => Some(json.clone()),
                Body::Json(_) | Body::Form(_) | Body::Opaque(_) => None,
            };
            (asked, Transcript::new(limits.answered))
        });
        Recorder {
            sinks: self.0.clone(),
            id: call.id,
            operation: call.operation,
            codec: call.codec,
            origin: Arc::clone(&call.origin),
            model: Arc::clone(&call.model),
            stream: call.stream,
            tab,
            known: None,
            content,
        }
    }
}

impl Middleware for Recorded {
    async fn handle(&self, mut call: Call, next: &impl CallService) -> Result<Reply> {
        let armed = match self.0.want(&call) {
            true => arm(self.recorder(&mut call)),
            false => Armed::default(),
        };
        armed.follow(next.answer(call).await)
    }
}

// === impl Recorder ===

impl Observer for Recorder {
    fn head(&mut self, head: &Head) {
        let all = self.sinks.clock().now().saturating_duration_since(self.origin.received);
        self.known = Some(Known::of(head, all.saturating_sub(head.waited)));
    }

    fn frame(&mut self, frame: &Frame) -> ControlFlow<Error> {
        if let Some((_, told)) = &mut self.content {
            told.take(frame);
        }
        ControlFlow::Continue(())
    }

    fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
        let sinks = self.sinks.clone();
        sinks.take((*self).into_record(outcome));
    }
}

impl Recorder {
    fn into_record(self, outcome: &Outcome<'_>) -> Record {
        let clock = self.sinks.clock();
        let (now, ended) = (clock.now(), clock.wall());
        let wall = |at: Instant| ended.checked_sub(now.saturating_duration_since(at)).unwrap_or(ended);
        let known = self.known.as_ref();
        let ending = match outcome.end {
            End::Complete => Ending::Complete,
            End::Failed(err) => Ending::Failed(err.clone()),
            End::Abandoned => Ending::Abandoned,
        };
        let (refused, joined) = match outcome.end {
            End::Failed(err) => {
                let refused = Some(rate_limits(err.headers())).filter(|limits| !limits.is_empty());
                (refused, err.cached().cloned())
            }
            End::Complete | End::Abandoned => (None, None),
        };
        let streams = known.is_some_and(|known| known.streams);
        let (origin, sender) = (&self.origin, self.origin.sender.as_ref());
        Record {
            id: self.id,
            operation: self.operation,
            codec: self.codec,
            caller: Arc::clone(&origin.caller),
            controls: origin.controls.clone(),
            model: self.model,
            stream: self.stream,
            address: sender.map(|sender| sender.address),
            path: sender.map(|sender| sender.path().into()),
            user_agent: origin.headers.get(USER_AGENT).and_then(alone),
            own_headers: own_headers(&origin.headers, self.sinks.key_header()),
            began: wall(origin.received),
            first_content: outcome.first_content.map(wall),
            ended,
            ending,
            served_by: outcome.served_by.cloned(),
            cached: known.and_then(|known| known.cached.clone()).or(joined),
            notes: known.and_then(|known| known.notes.clone()),
            rate_limits: refused.or_else(|| Some(known?.rate_limits.clone())).unwrap_or_default(),
            overhead: known.map(|known| known.overhead),
            usage: outcome.usage,
            // What is below has settled first: the ledger has added all attempts.
            cost: self.tab.total(),
            parts: self.tab.parts().unwrap_or_default(),
            content: self.content.map(|(asked, told)| Content { asked, told, streams }),
        }
    }
}

// === impl Known ===

impl Known {
    fn of(head: &Head, overhead: Duration) -> Self {
        Self {
            rate_limits: rate_limits(&head.headers),
            overhead,
            cached: head.cached.clone(),
            notes: head.notes.clone(),
            streams: head.streams,
        }
    }
}

/// What the client says in headers of its own. A key is none of a record's business, wherever the operator has it sent.
fn own_headers(headers: &HeaderMap, key: Option<&HeaderName>) -> Vec<(HeaderName, HeaderValue)> {
    let own = |name: &HeaderName| {
        let text = name.as_str();
        text.starts_with("x-") && !KEYS.iter().any(|word| text.contains(word)) && Some(name) != key
    };
    let own = headers.iter().filter(|(name, _)| own(name));
    own.filter_map(|(name, value)| Some((name.clone(), alone(value)?))).collect()
}

/// The same value in memory of its own: one that was read from a connection holds all that was read with it.
fn alone(value: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_bytes(value.as_bytes()).ok()
}

fn rate_limits(headers: &HeaderMap) -> Vec<(&'static str, HeaderValue)> {
    RATE_LIMITS.iter().filter_map(|(header, name)| Some((*name, alone(headers.get(*header)?)?))).collect()
}
