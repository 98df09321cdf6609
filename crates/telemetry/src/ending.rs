//! The end of a span: what the reply's head told, how the call ended, what was used, what it cost.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use gatewright_core::{
    Cached, Decisions, End, Error, Frame, Head, Money, Notes, Observer, Operation, Outcome, ReplyFacts,
    ServedBy, TraceContext, Usage,
};
use http::StatusCode;

use crate::attributes::Attributes;
use crate::content::Captured;
use crate::described::{self, dollars};
use crate::open_inference::Asked;
use crate::span::Span;
use crate::traced::{Level, Pricing};
use crate::{Tracer, decided, open_inference, semconv};

/// Ends the span with what is known at the end.
pub(crate) struct Ending {
    pub(crate) span: Span,
    pub(crate) level: Level,
    pub(crate) stream: bool,
    pub(crate) pricing: Option<Pricing>,
    /// What the reply's head told.
    pub(crate) facts: Option<Facts>,
    /// What is decided on the call's way, where the span tells of it.
    pub(crate) decisions: Option<Arc<Decisions>>,
    /// What only the call's own span tells.
    pub(crate) whole: Option<Box<Whole>>,
}

/// What only the call's own span tells.
pub(crate) struct Whole {
    pub(crate) tracer: Tracer,
    /// The place of the span, below which limits are told.
    pub(crate) above: Option<Arc<TraceContext>>,
    /// When a stream was asked for.
    pub(crate) started: Option<Instant>,
    pub(crate) operation: Operation,
    pub(crate) model: Arc<str>,
    /// What is said, where somebody asked for it.
    pub(crate) captured: Option<Captured>,
}

/// What the reply's head tells.
pub(crate) struct Facts {
    status: StatusCode,
    streams: bool,
    notes: Option<Notes>,
    cost: Option<Money>,
    cached: Option<Arc<Cached>>,
    retries: u32,
    fallbacks: u32,
}

// === impl Ending ===

impl Observer for Ending {
    fn head(&mut self, head: &Head) {
        self.facts = Some(Facts::of(head));
    }

    fn frame(&mut self, frame: &Frame) -> ControlFlow<Error> {
        if let Some(captured) = self.whole.as_mut().and_then(|whole| whole.captured.as_mut()) {
            captured.take(frame);
        }
        ControlFlow::Continue(())
    }

    fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
        let Self { mut span, level, stream, pricing, facts, decisions, whole } = *self;
        let facts = facts.as_ref();
        if let Some(facts) = facts {
            facts.tell((level, outcome.served_by), &mut span.told);
        }
        let end = match outcome.end {
            End::Complete => "complete",
            End::Abandoned => "abandoned",
            End::Failed(err) => {
                span.fail(&err.kind().word());
                "failed"
            }
        };
        span.told.put(semconv::END, end);
        let first = outcome.first_content.filter(|_| stream);
        if let Some(first) = first.filter(|_| level != Level::Route) {
            span.event(semconv::FIRST_CONTENT, first, |_| {});
        }
        let cost = facts.zip(outcome.usage.as_ref()).and_then(|(facts, usage)| {
            let priced = || pricing.as_ref()?(&outcome.served_by?.deployment, usage);
            facts.cost.or_else(priced).map(dollars)
        });
        match (level, whole) {
            (Level::Attempt, _) => tell_try(&mut span.told, outcome, cost),
            (Level::Route, _) => decisions.iter().for_each(|decisions| decided::tell(&mut span, decisions)),
            (_, Some(whole)) => {
                if let (Some(above), Some(decisions)) = (&whole.above, &decisions) {
                    decided::tell_limits(&whole.tracer, above, decisions);
                }
                if let Some((first, started)) = first.zip(whole.started) {
                    let wait = first.saturating_duration_since(started).as_secs_f64();
                    span.told.put(semconv::TIME_TO_FIRST_CHUNK, wait);
                }
                let streams = facts.map_or(stream, |facts| facts.streams);
                whole.tell(&mut span.told, (outcome, streams), facts, cost);
            }
            (Level::Call | Level::Cache, None) => {}
        }
        span.end_at(outcome.ended());
    }
}

impl Whole {
    fn tell(
        &self,
        told: &mut Attributes,
        (outcome, streams): (&Outcome<'_>, bool),
        facts: Option<&Facts>,
        cost: Option<f64>,
    ) {
        if let Some(facts) = facts {
            facts.tell_answer(outcome.served_by, told);
        }
        let detail = self.tracer.detail();
        if let Some(usage) = &outcome.usage {
            tell_usage(usage, detail.is_some_and(|detail| detail.latest), told);
            if let Some(cost) = cost {
                told.put(semconv::COST, cost);
            }
        }
        let answer = self.captured.as_ref().map(|captured| captured.read(streams, outcome, told));
        if detail.is_some_and(|detail| detail.open_inference) {
            let answered_by = facts.and(outcome.served_by);
            let provider = answered_by.map(|served_by| &served_by.provider);
            let asked = Asked { operation: self.operation, model: &self.model, provider };
            open_inference::tell_end(&asked, outcome.usage.as_ref(), answer.as_ref(), told);
        }
    }
}

fn tell_try(told: &mut Attributes, outcome: &Outcome<'_>, cost: Option<f64>) {
    let Some(usage) = &outcome.usage else { return };
    told.put(semconv::ATTEMPT_INPUT_TOKENS, usage.total_input());
    told.put(semconv::ATTEMPT_OUTPUT_TOKENS, usage.output);
    if let Some(cost) = cost {
        told.put(semconv::ATTEMPT_COST, cost);
    }
}

fn tell_usage(usage: &Usage, latest: bool, told: &mut Attributes) {
    let written = if latest { semconv::CACHE_WRITE_TOKENS } else { semconv::CACHE_CREATION_TOKENS };
    told.put(semconv::INPUT_TOKENS, usage.total_input());
    told.put(semconv::OUTPUT_TOKENS, usage.output);
    for (name, tokens) in [
        (semconv::CACHE_READ_TOKENS, usage.cache_read),
        (written, usage.cache_write()),
        (semconv::REASONING_TOKENS, usage.reasoning),
    ] {
        if tokens > 0 {
            told.put(name, tokens);
        }
    }
}

// === impl Facts ===

impl Facts {
    fn of(head: &Head) -> Self {
        Self {
            status: head.status,
            streams: head.streams,
            notes: head.notes.clone(),
            cost: head.cost,
            cached: head.cached.clone(),
            retries: head.retries,
            fallbacks: head.fallbacks,
        }
    }

    fn tell(&self, (level, served_by): (Level, Option<&Arc<ServedBy>>), told: &mut Attributes) {
        match level {
            Level::Call => self.cached.iter().for_each(|cached| described::cached(cached, told)),
            Level::Cache => {}
            Level::Route => {
                told.put(semconv::RETRIES, u64::from(self.retries));
                told.put(semconv::FALLBACKS, u64::from(self.fallbacks));
            }
            Level::Attempt => told.put(semconv::HTTP_STATUS, u64::from(self.status.as_u16())),
        }
        let Some(served_by) = served_by else { return };
        told.put(semconv::PROVIDER_NAME, semconv::provider_name(&served_by.provider));
        // An attempt knew its deployment from the start, and its model is the one that it asks for.
        match level {
            Level::Attempt => told.put(semconv::REQUEST_MODEL, upstream_model(served_by)),
            Level::Call | Level::Cache | Level::Route => {
                told.put(semconv::DEPLOYMENT_ID, &served_by.deployment);
            }
        }
    }

    fn tell_answer(&self, served_by: Option<&Arc<ServedBy>>, told: &mut Attributes) {
        match &self.notes {
            Some(notes) => notes.look(|noted| tell_noted(noted, served_by, told)),
            None => tell_noted(&ReplyFacts::default(), served_by, told),
        }
    }
}

fn tell_noted(noted: &ReplyFacts, served_by: Option<&Arc<ServedBy>>, told: &mut Attributes) {
    let ReplyFacts { id, model, finish } = noted;
    let asked_for = || served_by.map(|served_by| upstream_model(served_by));
    if let Some(model) = model.as_deref().or_else(asked_for) {
        told.put(semconv::RESPONSE_MODEL, model);
    }
    if let Some(id) = id {
        told.put(semconv::RESPONSE_ID, id);
    }
    if !finish.is_empty() {
        told.put_texts(semconv::FINISH_REASONS, finish.values());
    }
}

/// The model's name at the provider.
pub(crate) fn upstream_model(served_by: &ServedBy) -> &str {
    let slash = served_by.model.bytes().position(|byte| byte == b'/');
    slash.and_then(|at| served_by.model.get(at + 1..)).unwrap_or(&served_by.model)
}
