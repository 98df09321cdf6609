//! Counts calls: the outermost layer, so that those which limits refuse are counted too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gatewright_core::{
    Cached, Call, CallService, Caller, Controls, Dialect, End, Error, ErrorKind, Head, Middleware, Observer,
    Operation, Outcome, Reply, Result, ServedBy, arm,
};
use http::{HeaderMap, StatusCode};

use super::marks::{Failed, Marks};
use super::meter::{Handle, Keeper};
use super::series::Adding;
use super::standing::{self, Left, Standing};
use super::table::Metric;

/// Counts every call once, when it has ended.
#[derive(Clone)]
pub struct MeteredCalls(pub(super) Keeper);

/// Counted once a request, however it ended.
pub(super) const ENDED: [Metric; 3] = [Metric::ProxyRequests, Metric::CommonRequests, Metric::SelfRequests];

/// Counted once a request that got no whole answer.
pub(super) const FAILED: [Metric; 3] = [Metric::ProxyFailures, Metric::CommonErrors, Metric::SelfFailures];

/// A call on its way.
struct Ending {
    kept: Arc<Handle>,
    caller: Arc<Caller>,
    model: Arc<str>,
    headers: Arc<HeaderMap>,
    controls: Arc<Controls>,
    route: (Operation, Dialect),
    received: Instant,
    began: Instant,
    heard: Option<Heard>,
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
        let overhead = overhead(head, self.received);
        overhead.inspect(|time| self.kept.note_overhead(*time));
        let limited = !self.caller.allowances.is_empty();
        self.heard = Some(Heard {
            served_by: head.served_by.clone(),
            cached: head.cached.clone(),
            overcome: head.overcome.clone(),
            fell_back: head.fallbacks > 0,
            overhead,
            left: if limited { standing::read(&head.told) } else { Left::default() },
        });
    }

    fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
        let now = outcome.ended();
        let failed = self.failed(outcome.end);
        let marks = self.marks(outcome.end, self.answered().or(failed.as_ref()));
        let adding = self.kept.series.of(&marks, now);
        ENDED.into_iter().for_each(|metric| adding.add(metric, 1));
        adding.took(Metric::CommonDuration, now.saturating_duration_since(self.received));
        adding.took(Metric::QueueTime, self.began.saturating_duration_since(self.received));
        match marks.rest.failed {
            Some(_) => FAILED.into_iter().for_each(|metric| adding.add(metric, 1)),
            None => {
                adding.add(Metric::Requests, 1);
                adding.took(Metric::TotalLatency, now.saturating_duration_since(self.received));
            }
        }
        if let Some(heard) = &self.heard {
            for metric in [Metric::Overhead, Metric::SelfLatency] {
                heard.overhead.inspect(|time| adding.took(metric, *time));
            }
            self.count_cached(heard, outcome, &adding);
            self.count_fallback(heard, &marks, now);
        }
        if !self.caller.allowances.is_empty() {
            let left = self.heard.as_ref().map(|heard| heard.left).unwrap_or_default();
            adding.stands(Standing { at: now, caller: self.caller, left });
        }
    }
}

impl Ending {
    fn of(kept: Arc<Handle>, call: &Call) -> Self {
        Self {
            kept,
            caller: call.caller.clone(),
            model: call.model.clone(),
            headers: call.headers.clone(),
            controls: call.controls.clone(),
            route: (call.operation, call.codec.dialect()),
            received: call.received,
            began: Instant::now(),
            heard: None,
        }
    }

    /// Who answered. All workers count who holds on to it, so nobody does who need not.
    fn answered(&self) -> Option<&Arc<ServedBy>> {
        self.heard.as_ref()?.served_by.as_ref()
    }

    /// Who failed to, where nobody answered.
    fn failed(&self, end: End<'_>) -> Option<Arc<ServedBy>> {
        match end {
            End::Failed(err) if self.answered().is_none() => err.served_by().cloned().map(Arc::new),
            End::Failed(_) | End::Complete | End::Abandoned => None,
        }
    }

    fn marks<'a>(&'a self, end: End<'_>, by: Option<&'a Arc<ServedBy>>) -> Marks<'a> {
        let mut marks = self.kept.marks();
        marks.origin(&self.caller, &self.headers, &self.controls, &self.kept.settings);
        marks.served_by = by;
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
        let (true, Some(by)) = (heard.fell_back, heard.served_by.as_deref()) else { return };
        let mut marks = *marks;
        marks.fell_back(&by.group);
        if let Some(err) = &heard.overcome {
            marks.rest.failed = Some(Failed::of(err));
        }
        self.kept.series.of(&marks, now).add(Metric::SuccessfulFallbacks, 1);
    }
}

/// Time until the head that was no wait for an upstream. Of a call with several attempts only the last one's wait is known.
fn overhead(head: &Head, received: Instant) -> Option<Duration> {
    (head.retries == 0 && head.fallbacks == 0).then(|| received.elapsed().saturating_sub(head.waited))
}
