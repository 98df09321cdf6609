//! The policy that journals the answers of the cache, and the failures that calls share: they are nobody's attempt, and cost
//! nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gatewright_core::{
    AttemptId, Cached, Call, CallId, CallService, Clock, Middleware, Money, Observer, Origin, Outcome, Reply,
    Result, ServedBy, TraceContext, Usage, arm,
};

use crate::bill::believable;
use crate::journal::Journal;
use crate::ledgered::account;
use crate::record::{Begin, Certainty, Ending, Hit, Settle, Spared};

/// Journals what the cache answers: stands right above it. An answer is one record, written when it ends. So is the failure of a
/// call that waited for another one's answer: its client got it, and no attempt of its own tells of it.
#[derive(Clone)]
pub struct Hits(Option<(Journal, Arc<dyn Clock>)>);

/// Whose call it is, and when it came.
struct Asked {
    call: CallId,
    model: Arc<str>,
    origin: Arc<Origin>,
    trace: Option<Arc<TraceContext>>,
    began: Instant,
}

/// One answer on its way.
struct Given {
    journal: Journal,
    clock: Arc<dyn Clock>,
    asked: Asked,
    attempt: AttemptId,
    cached: Arc<Cached>,
}

// === impl Hits ===

impl Hits {
    /// Writes to `journal`.
    pub fn new(journal: Journal, clock: Arc<dyn Clock>) -> Self {
        Self(Some((journal, clock)))
    }

    /// There is no cache, and nothing to write.
    pub fn none() -> Self {
        Self(None)
    }
}

impl Middleware for Hits {
    async fn handle(&self, call: Call, next: &impl CallService) -> Result<Reply> {
        let Some((journal, clock)) = &self.0 else { return next.answer(call).await };
        let asked = Asked::of(&call, clock.now());
        let result = next.answer(call).await;
        let cached = match &result {
            Ok(reply) => reply.head.cached.as_ref().filter(|cached| cached.hit),
            Err(err) => err.cached(),
        };
        let Some(cached) = cached.cloned() else { return result };
        arm(Given::of(asked, cached, (journal, clock))).follow(result)
    }
}

// === impl Asked ===

impl Asked {
    fn of(call: &Call, began: Instant) -> Self {
        Self {
            call: call.id,
            model: Arc::clone(&call.model),
            origin: Arc::clone(&call.origin),
            trace: call.trace.clone(),
            began,
        }
    }
}

// === impl Given ===

impl Given {
    fn of(asked: Asked, cached: Arc<Cached>, (journal, clock): (&Journal, &Arc<dyn Clock>)) -> Self {
        Self {
            journal: journal.clone(),
            clock: Arc::clone(clock),
            asked,
            attempt: AttemptId::fresh(),
            cached,
        }
    }

    fn begin(&self, served_by: Option<&Arc<ServedBy>>) -> Begin {
        let Self { asked, cached, .. } = self;
        let nobody: Arc<str> = Arc::from("");
        let [group, deployment, provider, model] = match served_by {
            Some(by) => [by.group.clone(), by.deployment.clone(), by.provider.clone(), at_provider(by)],
            None => [asked.model.clone(), nobody.clone(), nobody.clone(), nobody],
        };
        let saved = cached.saved.unwrap_or(Money::ZERO);
        Begin {
            attempt: self.attempt,
            call: asked.call,
            caller: Arc::clone(&asked.origin.caller.id),
            tenant: account(&asked.origin.caller, &asked.origin.controls, asked.trace.as_deref()),
            group,
            deployment,
            provider,
            model,
            started: 0,
            input_estimate: 0,
            output_cap: 0,
            floor: Money::ZERO,
            bound: Money::ZERO,
            spared: Some(Spared { key: Arc::clone(&cached.key), saved, whole: true }),
        }
    }
}

impl Observer for Given {
    fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
        let since = |at: Instant| -> Duration { at.saturating_duration_since(self.asked.began) };
        let settle = Settle {
            attempt: self.attempt,
            ending: Ending::at(outcome.end),
            certainty: Certainty::Exact,
            usage: tokens(outcome.usage),
            cost: Money::ZERO,
            first_content: outcome.first_content.map(since),
            duration: since(self.clock.now()),
            response: None,
        };
        self.journal.hit(&Hit { begin: self.begin(outcome.served_by), settle });
    }
}

/// What the client got, in tokens: whatever else the provider counted once, it was not asked for now.
fn tokens(usage: Option<Usage>) -> Usage {
    let usage = believable(usage.unwrap_or_default());
    Usage { input: usage.total_input(), output: usage.output, cache_in_input: true, ..Usage::default() }
}

/// The model's name at the provider, of `provider/model`.
fn at_provider(by: &ServedBy) -> Arc<str> {
    let name = by.model.strip_prefix(&*by.provider).and_then(|rest| rest.strip_prefix('/'));
    name.map_or_else(|| Arc::clone(&by.model), Arc::from)
}
