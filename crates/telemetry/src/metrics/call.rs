//! Counts calls: the outermost layer, so that those which limits refuse are counted too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gatewright_core::{
    Cached, Call, CallService, Dialect, End, Error, ErrorKind, Head, Middleware, Observer, Operation, Origin,
    Outcome, Reply, Result, arm,
};
use http::{HeaderMap, StatusCode};

use super::cell::nanos;
use super::marks::{Failed, Marks};
use super::meter::{Handle, Keeper};
use super::series::Adding;
use super::standing::{self, Left, Standing, number};
use super::table::Metric;

/// Counts every call once, when it has ended.
#[derive(Clone)]
pub struct MeteredCalls(pub(super) Keeper);

/// Counted once a request, however it ended.
pub(super) const ENDED: [Metric; 3] = [Metric::ProxyRequests, Metric::CommonRequests, Metric::SelfRequests];

/// Counted once a request that got no whole answer.
pub(super) const FAILED: [Metric; 3] = [Metric::ProxyFailures, Metric::CommonErrors, Metric::SelfFailures];

/// What providers say of their own limits: most of them in OpenAI's words, Anthropic in its own.
const PROVIDERS_LEFT: [(Metric, [&str; 2]); 2] = [
    (Metric::RemainingRequests, ["x-ratelimit-remaining-requests", "anthropic-ratelimit-requests-remaining"]),
    (Metric::RemainingTokens, ["x-ratelimit-remaining-tokens", "anthropic-ratelimit-tokens-remaining"]),
];

/// A call on its way.
struct Ending {
    kept: Arc<Handle>,
    origin: Arc<Origin>,
    model: Arc<str>,
    route: (Operation, Dialect),
    began: Instant,
    heard: Option<Heard>,
}

/// What the head of its answer says.
struct Heard {
    cached: Option<Arc<Cached>>,
    overcome: Option<Error>,
    fell_back: bool,
    overhead: Option<Duration>,
    left: Left,
    providers_left: [Option<u64>; 2],
}

// === impl MeteredCalls ===

impl Middleware for MeteredCalls {
    async fn handle(&self, call: Call, next: &impl CallService) -> Result<Reply> {
        if self.0.is_on() {
            return arm(Ending::of(self.0.handle(), &call)).follow(next.answer(call).await);
        }
        let received = call.received;
        let reply = next.answer(call).await?;
        overhead(&reply.head, received).inspect(|time| self.0.note_overhead(*time));
        Ok(reply)
    }
}

// === impl Ending ===

impl Observer for Ending {
    fn head(&mut self, head: &Head) {
        let overhead = overhead(head, self.origin.received);
        overhead.inspect(|time| self.kept.note_overhead(*time));
        let limited = !self.origin.caller.allowances.is_empty();
        self.heard = Some(Heard {
            cached: head.cached.clone(),
            overcome: head.overcome.clone(),
            fell_back: head.fallbacks > 0,
            overhead,
            left: if limited { standing::read(&head.told) } else { Left::default() },
            providers_left: if self.route.0.is_billed() { providers_left(&head.headers) } else { [None; 2] },
        });
    }

    fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
        let now = outcome.ended();
        let marks = self.marks(outcome);
        let adding = self.kept.series.of(&marks, now);
        ENDED.into_iter().for_each(|metric| adding.add(metric, 1));
        let took = nanos(now.saturating_duration_since(self.origin.received));
        adding.took(Metric::CommonDuration, took);
        adding.took(Metric::QueueTime, nanos(self.began.saturating_duration_since(self.origin.received)));
        match marks.rest.failed {
            Some(_) => FAILED.into_iter().for_each(|metric| adding.add(metric, 1)),
            None => {
                adding.add(Metric::Requests, 1);
                adding.took(Metric::TotalLatency, took);
            }
        }
        if let Some(heard) = &self.heard {
            for metric in [Metric::Overhead, Metric::SelfLatency] {
                heard.overhead.inspect(|time| adding.took(metric, nanos(*time)));
            }
            for ((metric, _), left) in PROVIDERS_LEFT.iter().zip(heard.providers_left) {
                left.inspect(|left| adding.set(*metric, number(*left)));
            }
            self.count_cached(heard, outcome, &adding);
            self.count_fallback(heard, &marks, now);
        }
        if !self.origin.caller.allowances.is_empty() {
            let left = self.heard.as_ref().map(|heard| heard.left).unwrap_or_default();
            adding.stands(Standing { at: now, caller: self.origin.caller.clone(), left });
        }
    }
}

impl Ending {
    fn of(kept: Arc<Handle>, call: &Call) -> Self {
        Self {
            kept,
            origin: call.origin.clone(),
            model: call.model.clone(),
            route: (call.operation, call.codec.dialect()),
            began: Instant::now(),
            heard: None,
        }
    }

    fn marks<'a>(&'a self, &Outcome { end, served_by, .. }: &Outcome<'a>) -> Marks<'a> {
        let mut marks = self.kept.marks();
        marks.origin(&self.origin, &self.kept.settings);
        marks.served_by = served_by;
        marks.rest.route = Some(self.route);
        marks.rest.failed = Failed::at(end);
        marks.rest.status = Some(marks.rest.failed.map_or(StatusCode::OK, |failed| failed.status));
        // Any text can be asked for as a model.
        if !matches!(end, End::Failed(err) if err.kind() == ErrorKind::UnknownModel) {
            marks.asked(&self.model);
        }
        marks
    }

    fn count_cached(&self, heard: &Heard, outcome: &Outcome<'_>, adding: &Adding<'_>) {
        let Some(cached) = &heard.cached else { return };
        if !cached.hit {
            return adding.add(Metric::CacheMisses, 1);
        }
        adding.add(Metric::CacheHits, 1);
        adding.add(Metric::CommonCacheHits, 1);
        // The ledger has them too, and no attempt is counted by its own.
        let usage = outcome.usage.unwrap_or_default();
        for (metric, tokens) in [
            (Metric::CachedTokens, usage.total()),
            (Metric::TotalTokens, usage.total()),
            (Metric::CommonTokens, usage.total()),
            (Metric::InputTokens, usage.total_input()),
            (Metric::OutputTokens, usage.output),
        ] {
            adding.add(metric, tokens);
        }
    }

    /// A call that another group answered has marks of its own: what had failed is told by nothing else of it.
    fn count_fallback(&self, heard: &Heard, marks: &Marks<'_>, now: Instant) {
        let (true, Some(by)) = (heard.fell_back, marks.served_by) else { return };
        let mut marks = *marks;
        marks.fell_back(&by.group);
        if let Some(err) = &heard.overcome {
            marks.rest.failed = Some(Failed::of(err));
        }
        self.kept.series.of(&marks, now).add(Metric::SuccessfulFallbacks, 1);
    }
}

/// Read in one pass: four look-ups by name would cost three times as much.
fn providers_left(headers: &HeaderMap) -> [Option<u64>; 2] {
    let mut left = [None; 2];
    for (name, value) in headers {
        let place = PROVIDERS_LEFT.iter().position(|(_, names)| names.contains(&name.as_str()));
        if let Some(left) = place.and_then(|place| left.get_mut(place)) {
            *left = value.to_str().ok().and_then(|text| text.parse().ok());
        }
    }
    left
}

/// Time until the head that was no wait for an upstream. Of a call with several attempts only the last one's wait is known.
fn overhead(head: &Head, received: Instant) -> Option<Duration> {
    (head.retries == 0 && head.fallbacks == 0).then(|| received.elapsed().saturating_sub(head.waited))
}
