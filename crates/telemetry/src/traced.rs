//! The spans of a call as layers: around the call, the cache, the router, and each attempt.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use gatewright_core::{
    Cached, Call, CallService, Head, Middleware, Money, Reply, Result, TraceContext, Usage, watch,
};
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanKind, SpanRef};

use crate::content::Captured;
use crate::described::dollars;
use crate::ending::{Ending, upstream_model};
use crate::tracer::{Past, Span};
use crate::{Tracer, context, decided, described, semconv};

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
pub(crate) enum Level {
    Call,
    Cache,
    Route,
    Attempt,
}

/// What is told of a call here.
enum Opened {
    /// All of it.
    Span(Span),
    /// Only how it was looked for, below this.
    LookUp(Arc<TraceContext>),
}

// === impl Traced ===

impl Traced {
    /// The outermost layer of a call: its span continues the client's trace, and begins when the call's head was read.
    pub fn call(tracer: &Tracer) -> Self {
        Self::new(tracer, Level::Call)
    }

    /// The layer right around a cache: its span is the look-up alone, and there is none where no cache was asked.
    pub fn cache(tracer: &Tracer) -> Self {
        Self::new(tracer, Level::Cache)
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

    fn open(&self, call: &mut Call) -> Option<Opened> {
        match self.level {
            Level::Call => self.open_call(call),
            Level::Cache => {
                let recorded = call.trace.as_ref().filter(|above| self.tracer.is_on() && above.sampled);
                return recorded.cloned().map(Opened::LookUp);
            }
            Level::Route => {
                let span = self.tracer.descend(call, SpanKind::Internal, |_| "route".into())?;
                if let Some(recorded) = span.recording() {
                    let group = KeyValue::new(semconv::GROUP, call.model.clone());
                    recorded.set_attributes([group].into_iter().chain(self.tracer.link()));
                }
                Some(span)
            }
            Level::Attempt => {
                let number = call.trace.as_deref().map(TraceContext::next_child);
                let span = self.tracer.descend(call, SpanKind::Internal, |_| "attempt".into())?;
                if let Some(recorded) = span.recording() {
                    describe_attempt(&recorded, call, number);
                    recorded.set_attributes(self.tracer.link());
                }
                Some(span)
            }
        }
        .map(Opened::Span)
    }

    fn open_call(&self, call: &mut Call) -> Option<Span> {
        if self.tracer.propagates() && call.trace.is_none() {
            call.trace = context::read(&call.headers).map(Arc::new);
        }
        let span = self.tracer.descend(call, SpanKind::Server, call_name)?;
        let (Some(recorded), Some(detail)) = (span.recording(), self.tracer.detail()) else {
            return Some(span);
        };
        recorded.set_attributes(described::call(call, detail));
        if let (Some(identified), Some(above)) = (call.identified, &call.trace) {
            let attributes =
                detail.identities.then(|| KeyValue::new(semconv::CALLER_ID, call.caller.id.clone()));
            let past = Past {
                name: "auth",
                began: call.received,
                ended: identified,
                attributes: attributes.into_iter().collect(),
                failed: None,
            };
            self.tracer.tell(above, past);
        }
        Some(span)
    }

    async fn follow(&self, span: Span, mut call: Call, next: &impl CallService) -> Result<Reply> {
        if self.level != Level::Attempt && span.recording().is_some() {
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
        let detail = self.tracer.detail().filter(|_| span.recording().is_some());
        let captured = detail.filter(|_| self.level == Level::Call);
        Ending {
            captured: captured.and_then(|detail| Captured::of(call, detail, span)),
            span: span.clone(),
            level: self.level,
            tracer: self.tracer.clone(),
            above: call.trace.clone(),
            pricing: self.pricing.clone(),
            started: Instant::now(),
            operation: call.operation,
            model: call.model.clone(),
            stream: call.stream,
            known: Arc::default(),
            decisions: call.decisions.clone().filter(|_| self.level != Level::Attempt),
        }
    }

    /// The look-up ends where the call goes on, which the router's first step tells; else with the answer that was kept.
    async fn look_up(&self, above: Arc<TraceContext>, call: Call, next: &impl CallService) -> Result<Reply> {
        let (began, decisions) = (Instant::now(), call.decisions.clone());
        let reply = next.answer(call).await?;
        if let Some(cached) = &reply.head.cached {
            let went_on = decisions.and_then(|decisions| {
                decisions.look(|steps, _| steps.iter().map(|(at, _)| *at).find(|at| *at >= began))
            });
            let ended = went_on.unwrap_or_else(Instant::now);
            let past = Past { name: "cache", began, ended, attributes: told_of_cache(cached), failed: None };
            self.tracer.tell(&above, past);
        }
        Ok(reply)
    }
}

impl Middleware for Traced {
    async fn handle(&self, mut call: Call, next: &impl CallService) -> Result<Reply> {
        match self.open(&mut call) {
            None => next.answer(call).await,
            // In a box of its own: a call that nobody traces does not pay for the room.
            Some(Opened::Span(span)) => Box::pin(self.follow(span, call, next)).await,
            Some(Opened::LookUp(above)) => Box::pin(self.look_up(above, call, next)).await,
        }
    }
}

fn call_name(call: &Call) -> Cow<'static, str> {
    format!("{} {}", semconv::operation_name(call.operation, call.codec.dialect()), call.model).into()
}

fn describe_attempt(span: &SpanRef<'_>, call: &Call, number: Option<u32>) {
    if let Some(number) = number {
        span.set_attribute(KeyValue::new(semconv::ATTEMPT_NUMBER, i64::from(number)));
    }
    span.set_attributes(decided::reason(call));
    let Some(target) = &call.target else { return };
    span.set_attributes([
        KeyValue::new(semconv::ATTEMPT_ID, target.attempt.to_string()),
        KeyValue::new(semconv::DEPLOYMENT_ID, target.deployment.clone()),
        KeyValue::new(semconv::GROUP, target.group.clone()),
    ]);
}

fn describe_head(span: &SpanRef<'_>, level: Level, head: &Head) {
    match level {
        Level::Call => span.set_attributes(head.cached.iter().flat_map(|cached| told_of_cache(cached))),
        Level::Cache => {}
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
        Level::Call | Level::Cache | Level::Route => {
            span.set_attribute(KeyValue::new(semconv::DEPLOYMENT_ID, served_by.deployment.clone()));
        }
    }
}

fn told_of_cache(cached: &Cached) -> Vec<KeyValue> {
    let mut told = vec![
        KeyValue::new(semconv::CACHE_HIT, cached.hit),
        KeyValue::new(semconv::CACHE_KEY, cached.key.clone()),
    ];
    told.extend(cached.similarity.map(|alike| KeyValue::new(semconv::CACHE_SIMILARITY, f64::from(alike))));
    told.extend(cached.saved.map(|saved| KeyValue::new(semconv::CACHE_SAVED, dollars(saved))));
    told
}
