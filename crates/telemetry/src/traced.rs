//! The spans of a call as layers: one around the call, one around the router, one around each attempt.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use gatewright_core::{
    Call, CallService, Decisions, End, Head, Middleware, Money, Notes, Observer, Outcome, Reply, ReplyFacts,
    Result, ServedBy, TraceContext, Usage, watch,
};
use opentelemetry::trace::{SpanKind, SpanRef};
use opentelemetry::{Array, KeyValue, StringValue, Value};

use crate::tracer::Span;
use crate::upstream::fail;
use crate::{Tracer, context, decided, semconv};

/// What an answer of a deployment costs; `None` where no price is known.
pub type Pricing = Arc<dyn Fn(&str, &Usage) -> Option<Money> + Send + Sync>;

/// Opens a span around whatever it wraps. The span ends with the reply's last frame, not with its head.
#[derive(Clone)]
pub struct Traced {
    tracer: Tracer,
    level: Level,
    pricing: Option<Pricing>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Call,
    Route,
    Attempt,
}

/// Ends the span with what is known at the end.
struct Ending {
    span: Span,
    level: Level,
    pricing: Option<Pricing>,
    started: Instant,
    stream: bool,
    known: Arc<Known>,
    /// What the router decides, where the span is around it.
    decisions: Option<Arc<Decisions>>,
}

/// What the reply's head tells the observer, which was armed before there was one.
#[derive(Default)]
struct Known {
    served_by: OnceLock<Arc<ServedBy>>,
    notes: OnceLock<Notes>,
    cost: OnceLock<Money>,
}

// === impl Traced ===

impl Traced {
    /// The outermost layer of a call: its span continues the client's trace.
    pub fn call(tracer: &Tracer) -> Self {
        Self::new(tracer, Level::Call)
    }

    /// The layer around the router.
    pub fn route(tracer: &Tracer) -> Self {
        Self::new(tracer, Level::Route)
    }

    /// The outermost layer of an attempt.
    pub fn attempt(tracer: &Tracer) -> Self {
        Self::new(tracer, Level::Attempt)
    }

    /// Also tells what an attempt cost; without it only a cost that the reply's head names is told.
    pub fn priced_by(mut self, pricing: Pricing) -> Self {
        self.pricing = Some(pricing);
        self
    }

    fn new(tracer: &Tracer, level: Level) -> Self {
        Self { tracer: tracer.clone(), level, pricing: None }
    }

    fn open(&self, call: &mut Call) -> Option<Span> {
        match self.level {
            Level::Call => {
                if self.tracer.propagates() && call.trace.is_none() {
                    call.trace = context::read(&call.headers).map(Arc::new);
                }
                let span = self.tracer.descend(call, SpanKind::Server, call_name)?;
                span.recording().inspect(|span| describe_call(span, call));
                Some(span)
            }
            Level::Route => {
                let span = self.tracer.descend(call, SpanKind::Internal, |_| "route".into())?;
                span.say(|| [KeyValue::new(semconv::GROUP, call.model.clone())]);
                Some(span)
            }
            Level::Attempt => {
                let number = call.trace.as_deref().map(TraceContext::next_child);
                let span = self.tracer.descend(call, SpanKind::Internal, |_| "attempt".into())?;
                span.recording().inspect(|span| describe_attempt(span, call, number));
                Some(span)
            }
        }
    }

    async fn follow(&self, span: Span, mut call: Call, next: &impl CallService) -> Result<Reply> {
        if self.level == Level::Route && span.recording().is_some() {
            call.decisions.get_or_insert_default();
        }
        let ending = self.ending(&span, &call);
        let (level, known) = (self.level, ending.known.clone());
        let answer = async move {
            let reply = next.answer(call).await?;
            known.learn(&reply.head);
            span.recording().inspect(|span| describe_head(span, level, &reply.head));
            Ok(reply)
        };
        watch(ending, answer).await
    }

    fn ending(&self, span: &Span, call: &Call) -> Ending {
        Ending {
            span: span.clone(),
            level: self.level,
            pricing: self.pricing.clone(),
            started: Instant::now(),
            stream: call.stream,
            known: Arc::default(),
            decisions: call.decisions.clone().filter(|_| self.level == Level::Route),
        }
    }
}

impl Middleware for Traced {
    async fn handle(&self, mut call: Call, next: &impl CallService) -> Result<Reply> {
        match self.open(&mut call) {
            None => next.answer(call).await,
            // In a box of its own: a call that nobody traces does not pay for the room.
            Some(span) => Box::pin(self.follow(span, call, next)).await,
        }
    }
}

// === impl Ending ===

impl Observer for Ending {
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
        match self.level {
            Level::Call => self.describe_whole(&span, outcome),
            Level::Attempt => self.describe_try(&span, outcome),
            Level::Route => self.decisions.iter().for_each(|decisions| decided::tell(&span, decisions)),
        }
        span.end();
    }
}

impl Ending {
    fn describe_whole(&self, span: &SpanRef<'_>, outcome: &Outcome<'_>) {
        if let Some(first) = outcome.first_content.filter(|_| self.stream) {
            let wait = first.saturating_duration_since(self.started).as_secs_f64();
            span.set_attribute(KeyValue::new(semconv::TIME_TO_FIRST_CHUNK, wait));
        }
        self.describe_answer(span);
        let Some(usage) = outcome.usage else { return };
        span.set_attributes([
            count(semconv::INPUT_TOKENS, usage.total_input()),
            count(semconv::OUTPUT_TOKENS, usage.output),
        ]);
        let cached = [
            (semconv::CACHE_READ_TOKENS, usage.cache_read),
            (semconv::CACHE_WRITE_TOKENS, usage.cache_write()),
            (semconv::CACHE_CREATION_TOKENS, usage.cache_write()),
            (semconv::REASONING_TOKENS, usage.reasoning),
        ];
        let told = cached.into_iter().filter(|(_, tokens)| *tokens > 0);
        span.set_attributes(told.map(|(name, tokens)| count(name, tokens)));
        self.describe_cost(span, semconv::COST, &usage);
    }

    fn describe_answer(&self, span: &SpanRef<'_>) {
        let ReplyFacts { id, model, finish } = self.known.notes.get().map(Notes::facts).unwrap_or_default();
        let asked_for = || self.known.served_by.get().map(|served_by| upstream_model(served_by));
        let told = [(semconv::RESPONSE_MODEL, model.or_else(asked_for)), (semconv::RESPONSE_ID, id)];
        span.set_attributes(told.into_iter().filter_map(|(name, value)| Some(KeyValue::new(name, value?))));
        if !finish.is_empty() {
            let reasons = finish.into_values().map(StringValue::from).collect();
            span.set_attribute(KeyValue::new(semconv::FINISH_REASONS, Value::Array(Array::String(reasons))));
        }
    }

    fn describe_try(&self, span: &SpanRef<'_>, outcome: &Outcome<'_>) {
        let Some(usage) = outcome.usage else { return };
        span.set_attributes([
            count(semconv::ATTEMPT_INPUT_TOKENS, usage.total_input()),
            count(semconv::ATTEMPT_OUTPUT_TOKENS, usage.output),
        ]);
        self.describe_cost(span, semconv::ATTEMPT_COST, &usage);
    }

    fn describe_cost(&self, span: &SpanRef<'_>, name: &'static str, usage: &Usage) {
        let priced = || (self.pricing.as_ref()?)(&self.known.served_by.get()?.deployment, usage);
        if let Some(cost) = self.known.cost.get().copied().or_else(priced) {
            span.set_attribute(KeyValue::new(name, dollars(cost)));
        }
    }
}

// === impl Known ===

impl Known {
    fn learn(&self, head: &Head) {
        if let Some(served_by) = &head.served_by {
            let _ = self.served_by.set(served_by.clone());
        }
        if let Some(notes) = &head.notes {
            let _ = self.notes.set(notes.clone());
        }
        if let Some(cost) = head.cost {
            let _ = self.cost.set(cost);
        }
    }
}

fn call_name(call: &Call) -> Cow<'static, str> {
    format!("{} {}", call.operation.as_str(), call.model).into()
}

fn describe_call(span: &SpanRef<'_>, call: &Call) {
    span.set_attributes([
        KeyValue::new(semconv::OPERATION_NAME, call.operation.as_str()),
        KeyValue::new(semconv::REQUEST_MODEL, call.model.clone()),
        KeyValue::new(semconv::REQUEST_STREAM, call.stream),
        KeyValue::new(semconv::CALL_ID, call.id.to_string()),
        KeyValue::new(semconv::CALLER_ID, call.caller.id.clone()),
    ]);
    if let Some(name) = &call.controls.trace_id {
        span.set_attribute(KeyValue::new(semconv::CLIENT_TRACE, name.clone()));
    }
}

fn describe_attempt(span: &SpanRef<'_>, call: &Call, number: Option<u32>) {
    if let Some(number) = number {
        span.set_attribute(KeyValue::new(semconv::ATTEMPT_NUMBER, i64::from(number)));
    }
    let Some(target) = &call.target else { return };
    span.set_attributes([
        KeyValue::new(semconv::ATTEMPT_ID, target.attempt.to_string()),
        KeyValue::new(semconv::DEPLOYMENT_ID, target.deployment.clone()),
        KeyValue::new(semconv::GROUP, target.group.clone()),
    ]);
}

fn describe_head(span: &SpanRef<'_>, level: Level, head: &Head) {
    match level {
        Level::Call => {}
        Level::Route => span.set_attributes([
            KeyValue::new(semconv::RETRIES, i64::from(head.retries)),
            KeyValue::new(semconv::FALLBACKS, i64::from(head.fallbacks)),
        ]),
        Level::Attempt => {
            span.set_attribute(KeyValue::new(semconv::HTTP_STATUS, i64::from(head.status.as_u16())));
        }
    }
    let Some(served_by) = &head.served_by else { return };
    let provider = semconv::provider_name(&served_by.provider).to_owned();
    span.set_attribute(KeyValue::new(semconv::PROVIDER_NAME, provider));
    // An attempt knew its deployment from the start, and its model is the one that it asks for.
    match level {
        Level::Attempt => {
            span.set_attribute(KeyValue::new(semconv::REQUEST_MODEL, upstream_model(served_by)));
        }
        Level::Call | Level::Route => {
            span.set_attribute(KeyValue::new(semconv::DEPLOYMENT_ID, served_by.deployment.clone()));
        }
    }
}

/// The model's name at the provider.
fn upstream_model(served_by: &ServedBy) -> String {
    served_by.model.split_once('/').map_or(&*served_by.model, |(_, model)| model).to_owned()
}

fn count(name: &'static str, tokens: u64) -> KeyValue {
    KeyValue::new(name, i64::try_from(tokens).unwrap_or(i64::MAX))
}

/// Attributes have no decimals: what must be exact is in the ledger.
#[expect(clippy::cast_precision_loss, reason = "a span's cost is for charts")]
fn dollars(amount: Money) -> f64 {
    amount.0 as f64 / 1e9
}
