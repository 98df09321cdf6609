//! Counts calls: the outermost layer, so that those which limits refuse are counted too.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use gatewright_core::{
    Cached, Call, CallService, Caller, Controls, Dialect, End, Error, ErrorKind, Head, Middleware, Observer,
    Operation, Outcome, Reply, Result, ServedBy, watch,
};
use http::{HeaderMap, StatusCode};

use super::label::Label;
use super::meter::Kept;
use super::series::Adding;
use super::standing::{self, Left, Standing};
use super::table::Metric;
use super::words::{Words, exception_class};

/// Counts every call once, when it has ended.
#[derive(Clone)]
pub struct MeteredCalls(pub(super) Arc<Kept>);

/// Counted once a request, however it ended.
pub(super) const ENDED: [Metric; 3] = [Metric::ProxyRequests, Metric::CommonRequests, Metric::SelfRequests];

/// Counted once a request that got no whole answer.
pub(super) const FAILED: [Metric; 3] = [Metric::ProxyFailures, Metric::CommonErrors, Metric::SelfFailures];

/// A call on its way.
struct Ending {
    kept: Arc<Kept>,
    caller: Arc<Caller>,
    model: Arc<str>,
    headers: Arc<HeaderMap>,
    controls: Arc<Controls>,
    route: &'static str,
    received: Instant,
    began: Instant,
    heard: Arc<OnceLock<Heard>>,
}

/// What the head of its answer says.
struct Heard {
    served_by: Option<Arc<ServedBy>>,
    cached: Option<Arc<Cached>>,
    overcome: Option<Error>,
    fell_back: bool,
    overhead: Option<Duration>,
    left: Left,
}

/// How it ended, for labels.
struct Ended {
    status: StatusCode,
    class: Option<String>,
}

// === impl MeteredCalls ===

impl Middleware for MeteredCalls {
    async fn handle(&self, call: Call, next: &impl CallService) -> Result<Reply> {
        let received = call.received;
        if !self.0.is_on() {
            let reply = next.answer(call).await?;
            if let Some(overhead) = overhead(&reply.head, received) {
                self.0.note_overhead(overhead);
            }
            return Ok(reply);
        }
        let ending = Ending::of(&self.0, &call);
        let (kept, heard) = (&self.0, ending.heard.clone());
        let limited = !call.caller.allowances.is_empty();
        let answer = async move {
            let reply = next.answer(call).await?;
            let overhead = overhead(&reply.head, received);
            overhead.inspect(|time| kept.note_overhead(*time));
            let left = if limited { standing::read(&reply.head.told) } else { Left::default() };
            let _ = heard.set(Heard::of(&reply.head, overhead, left));
            Ok(reply)
        };
        watch(ending, answer).await
    }
}

// === impl Heard ===

impl Heard {
    fn of(head: &Head, overhead: Option<Duration>, left: Left) -> Self {
        Self {
            served_by: head.served_by.clone(),
            cached: head.cached.clone(),
            overcome: head.overcome.clone(),
            fell_back: head.fallbacks > 0,
            overhead,
            left,
        }
    }
}

// === impl Ended ===

impl Ended {
    fn of(end: End<'_>) -> Self {
        match end {
            End::Complete => Self { status: StatusCode::OK, class: None },
            End::Failed(err) => Self { status: err.status(), class: Some(exception_class(err)) },
            End::Abandoned => {
                let left = ErrorKind::ClientGone;
                Self { status: left.status(), class: Some("CancelledError".to_owned()) }
            }
        }
    }
}

// === impl Ending ===

impl Observer for Ending {
    fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
        let (now, ended) = (Instant::now(), Ended::of(outcome.end));
        let heard = self.heard.get();
        let words = self.words(outcome.end, heard, &ended);
        let adding = self.kept.series.of(&words);
        ENDED.into_iter().for_each(|metric| adding.add(metric, 1));
        adding.took(Metric::CommonDuration, now.saturating_duration_since(self.received));
        adding.took(Metric::QueueTime, self.began.saturating_duration_since(self.received));
        match &ended.class {
            Some(_) => FAILED.into_iter().for_each(|metric| adding.add(metric, 1)),
            None => {
                adding.add(Metric::Requests, 1);
                adding.took(Metric::TotalLatency, now.saturating_duration_since(self.received));
            }
        }
        if let Some(heard) = heard {
            for metric in [Metric::Overhead, Metric::SelfLatency] {
                heard.overhead.inspect(|time| adding.took(metric, *time));
            }
            self.count_cached(heard, outcome, &adding);
            self.count_fallback(heard, &words);
        }
        if !self.caller.allowances.is_empty() {
            let left = heard.map(|heard| heard.left).unwrap_or_default();
            adding.stands(Standing { at: now, caller: self.caller, left });
        }
    }
}

impl Ending {
    fn of(kept: &Arc<Kept>, call: &Call) -> Self {
        Self {
            kept: kept.clone(),
            caller: call.caller.clone(),
            model: call.model.clone(),
            headers: call.headers.clone(),
            controls: call.controls.clone(),
            route: route(call.operation, call.codec.dialect()),
            received: call.received,
            began: Instant::now(),
            heard: Arc::default(),
        }
    }

    fn words<'a>(&'a self, end: End<'a>, heard: Option<&'a Heard>, ended: &'a Ended) -> Words<'a> {
        let mut words = self.kept.words();
        words.caller(&self.caller);
        words.client(&self.headers);
        words.controls(&self.caller, &self.controls, &self.kept.settings);
        words.put(Label::Route, self.route);
        words.put(Label::StatusCode, ended.status.as_str());
        let failed = match end {
            End::Failed(err) => Some(err),
            End::Complete | End::Abandoned => None,
        };
        // Any text can be asked for as a model.
        if failed.is_none_or(|err| err.kind() != ErrorKind::UnknownModel) {
            words.put(Label::RequestedModel, &self.model);
        }
        let by = heard.and_then(|heard| heard.served_by.as_deref());
        if let Some(by) = by.or_else(|| failed?.served_by()) {
            words.served_by(by);
        }
        if let Some(class) = &ended.class {
            words.exception(&ended.status, class);
        }
        words
    }

    fn count_cached(&self, heard: &Heard, outcome: &Outcome<'_>, adding: &Adding<'_>) {
        let Some(cached) = &heard.cached else { return };
        if !cached.hit {
            return adding.add(Metric::CacheMisses, 1);
        }
        adding.add(Metric::CacheHits, 1);
        adding.add(Metric::CommonCacheHits, 1);
        adding.add(Metric::CachedTokens, outcome.usage.map_or(0, |usage| usage.total()));
    }

    /// A call that another group answered has words of its own: what had failed is told by nothing else of it.
    fn count_fallback(&self, heard: &Heard, words: &Words<'_>) {
        let (true, Some(by)) = (heard.fell_back, heard.served_by.as_deref()) else { return };
        let failed = heard.overcome.as_ref().map(|err| (err.status(), exception_class(err)));
        let mut words: Words<'_> = *words;
        words.put(Label::FallbackModel, &by.group);
        if let Some((status, class)) = &failed {
            words.exception(status, class);
        }
        self.kept.series.of(&words).add(Metric::SuccessfulFallbacks, 1);
    }
}

/// Time until the head that was no wait for an upstream. Of a call with several attempts only the last one's wait is known.
fn overhead(head: &Head, received: Instant) -> Option<Duration> {
    (head.retries == 0 && head.fallbacks == 0).then(|| received.elapsed().saturating_sub(head.waited))
}

/// The path of a call in its usual form, whichever of its forms was called.
pub(super) fn route(operation: Operation, dialect: Dialect) -> &'static str {
    match operation {
        Operation::Chat => chat_route(dialect),
        Operation::CountTokens => "/v1/messages/count_tokens",
        Operation::Embeddings => "/v1/embeddings",
        Operation::Rerank => "/v1/rerank",
        Operation::Moderations => "/v1/moderations",
        Operation::ImageGenerations => "/v1/images/generations",
        Operation::ImageEdits => "/v1/images/edits",
        Operation::ImageVariations => "/v1/images/variations",
        Operation::Speech => "/v1/audio/speech",
        Operation::Transcriptions => "/v1/audio/transcriptions",
        Operation::Translations => "/v1/audio/translations",
    }
}

fn chat_route(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat => "/v1/chat/completions",
        Dialect::OpenAiCompletions => "/v1/completions",
        Dialect::OpenAiResponses => "/v1/responses",
        Dialect::AnthropicMessages => "/v1/messages",
        Dialect::Gemini => "/v1beta/models/{model}:generateContent",
        Dialect::BedrockConverse => "/model/{model}/converse",
        Dialect::CohereChat => "/v2/chat",
        Dialect::OllamaChat => "/api/chat",
    }
}
