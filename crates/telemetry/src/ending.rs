//! The end of a span: how the call ended, what was used, what it cost.

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use gatewright_core::{
    Decisions, End, Error, Frame, Head, Money, Notes, Observer, Operation, Outcome, ReplyFacts, ServedBy,
    TraceContext, Usage,
};
use opentelemetry::trace::SpanRef;
use opentelemetry::{Array, KeyValue, StringValue, Value};

use crate::content::Captured;
use crate::described::dollars;
use crate::open_inference::Asked;
use crate::traced::{Level, Pricing};
use crate::tracer::{Span, wall};
use crate::upstream::fail;
use crate::{Tracer, decided, open_inference, semconv};

/// Ends the span with what is known at the end.
pub(crate) struct Ending {
    pub(crate) span: Span,
    pub(crate) level: Level,
    pub(crate) tracer: Tracer,
    /// The place of the span, below which limits are told.
    pub(crate) above: Option<Arc<TraceContext>>,
    pub(crate) pricing: Option<Pricing>,
    pub(crate) started: Instant,
    pub(crate) operation: Operation,
    pub(crate) model: Arc<str>,
    pub(crate) stream: bool,
    pub(crate) known: Arc<Known>,
    /// What is decided on the call's way, where the span tells of it.
    pub(crate) decisions: Option<Arc<Decisions>>,
    /// What is said, where somebody asked for it.
    pub(crate) captured: Option<Captured>,
}

/// What the reply's head tells the observer, which was armed before there was one.
#[derive(Default)]
pub(crate) struct Known {
    served_by: OnceLock<Arc<ServedBy>>,
    notes: OnceLock<Notes>,
    cost: OnceLock<Money>,
    streams: OnceLock<bool>,
}

// === impl Ending ===

impl Observer for Ending {
    fn frame(&mut self, frame: &Frame) -> ControlFlow<Error> {
        if let Some(captured) = &mut self.captured {
            captured.take(frame);
        }
        ControlFlow::Continue(())
    }

    fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
        let Some(span) = self.span.recording() else { return };
        let end = match outcome.end {
            End::Complete => "complete",
            End::Abandoned => "abandoned",
            End::Failed(err) => {
                fail(&span, err.kind().word());
                "failed"
            }
        };
        span.set_attribute(KeyValue::new(semconv::END, end));
        if let Some(first) = outcome.first_content.filter(|_| self.stream && self.level != Level::Route) {
            span.add_event_with_timestamp(semconv::FIRST_CONTENT, wall(first), Vec::new());
        }
        match self.level {
            Level::Call => self.describe_whole(&span, outcome),
            Level::Attempt => self.describe_try(&span, outcome),
            Level::Route => self.decisions.iter().for_each(|decisions| decided::tell(&span, decisions)),
            Level::Cache => {}
        }
        span.end();
    }
}

impl Ending {
    fn describe_whole(&self, span: &SpanRef<'_>, outcome: &Outcome<'_>) {
        if let (Some(above), Some(decisions)) = (&self.above, &self.decisions) {
            decided::tell_limits(&self.tracer, above, decisions);
        }
        let mut told = Vec::with_capacity(16);
        if let Some(first) = outcome.first_content.filter(|_| self.stream) {
            let wait = first.saturating_duration_since(self.started).as_secs_f64();
            told.push(KeyValue::new(semconv::TIME_TO_FIRST_CHUNK, wait));
        }
        self.tell_answer(&mut told);
        let detail = self.tracer.detail();
        if let Some(usage) = &outcome.usage {
            tell_usage(usage, detail.is_some_and(|detail| detail.latest), &mut told);
            told.extend(self.cost(usage).map(|cost| KeyValue::new(semconv::COST, cost)));
        }
        let streams = self.known.streams.get().copied().unwrap_or(self.stream);
        let answer = self.captured.as_ref().map(|captured| captured.read(streams, outcome, &mut told));
        if detail.is_some_and(|detail| detail.open_inference) {
            let provider = self.known.served_by.get().map(|served_by| served_by.provider.clone());
            let asked = Asked { operation: self.operation, model: &self.model, provider };
            open_inference::tell_end(asked, outcome.usage.as_ref(), answer.as_ref(), &mut told);
        }
        span.set_attributes(told);
    }

    fn tell_answer(&self, told: &mut Vec<KeyValue>) {
        let ReplyFacts { id, model, finish } = self.known.notes.get().map(Notes::facts).unwrap_or_default();
        let asked_for = || self.known.served_by.get().map(|served_by| upstream_model(served_by));
        told.extend(model.or_else(asked_for).map(|model| KeyValue::new(semconv::RESPONSE_MODEL, model)));
        told.extend(id.map(|id| KeyValue::new(semconv::RESPONSE_ID, id)));
        if !finish.is_empty() {
            let reasons = finish.into_values().map(StringValue::from).collect();
            told.push(KeyValue::new(semconv::FINISH_REASONS, Value::Array(Array::String(reasons))));
        }
    }

    fn describe_try(&self, span: &SpanRef<'_>, outcome: &Outcome<'_>) {
        let Some(usage) = &outcome.usage else { return };
        span.set_attributes([
            count(semconv::ATTEMPT_INPUT_TOKENS, usage.total_input()),
            count(semconv::ATTEMPT_OUTPUT_TOKENS, usage.output),
        ]);
        if let Some(cost) = self.cost(usage) {
            span.set_attribute(KeyValue::new(semconv::ATTEMPT_COST, cost));
        }
    }

    fn cost(&self, usage: &Usage) -> Option<f64> {
        let priced = || (self.pricing.as_ref()?)(&self.known.served_by.get()?.deployment, usage);
        self.known.cost.get().copied().or_else(priced).map(dollars)
    }
}

// === impl Known ===

impl Known {
    pub(crate) fn learn(&self, head: &Head) {
        if let Some(served_by) = &head.served_by {
            let _ = self.served_by.set(served_by.clone());
        }
        if let Some(notes) = &head.notes {
            let _ = self.notes.set(notes.clone());
        }
        if let Some(cost) = head.cost {
            let _ = self.cost.set(cost);
        }
        let _ = self.streams.set(head.streams);
    }
}

fn tell_usage(usage: &Usage, latest: bool, told: &mut Vec<KeyValue>) {
    let written = if latest { semconv::CACHE_WRITE_TOKENS } else { semconv::CACHE_CREATION_TOKENS };
    told.push(count(semconv::INPUT_TOKENS, usage.total_input()));
    told.push(count(semconv::OUTPUT_TOKENS, usage.output));
    let parts = [
        (semconv::CACHE_READ_TOKENS, usage.cache_read),
        (written, usage.cache_write()),
        (semconv::REASONING_TOKENS, usage.reasoning),
    ];
    told.extend(
        parts.into_iter().filter(|(_, tokens)| *tokens > 0).map(|(name, tokens)| count(name, tokens)),
    );
}

/// The model's name at the provider.
pub(crate) fn upstream_model(served_by: &ServedBy) -> String {
    served_by.model.split_once('/').map_or(&*served_by.model, |(_, model)| model).to_owned()
}

pub(crate) fn count(name: &'static str, tokens: u64) -> KeyValue {
    KeyValue::new(name, i64::try_from(tokens).unwrap_or(i64::MAX))
}
