//! The spans of a call as layers: around the call, the cache, the router, and each attempt.

use std::sync::Arc;
use std::time::Instant;

use gatewright_core::{
    Armed, Call, CallService, Decisions, Middleware, Money, Reply, Result, TraceContext, Usage, arm,
};

use crate::content::Captured;
use crate::ending::{Ending, Whole};
use crate::span::{Kind, Span};
use crate::tracer::Past;
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

/// A look-up that may be told as a span.
struct LookUp {
    above: Arc<TraceContext>,
    began: Instant,
    decisions: Option<Arc<Decisions>>,
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

    /// Opens the span of a call here, where there is one.
    fn open(&self, call: &mut Call) -> Armed {
        let span = match self.level {
            Level::Call => self.open_call(call),
            Level::Cache => None,
            Level::Route => self.open_route(call),
            Level::Attempt => self.open_attempt(call),
        };
        span.map_or_else(Armed::default, |span| arm(self.ending(span, call)))
    }

    fn open_call(&self, call: &mut Call) -> Option<Span> {
        if self.tracer.propagates() && call.trace.is_none() {
            call.trace = context::read(&call.headers).map(Arc::new);
        }
        let detail = self.tracer.detail()?;
        let model = call.model.clone();
        let operation = semconv::operation_name(call.operation, call.codec.dialect());
        let mut span = self.tracer.descend(call, Kind::Server, &[operation, " ", &model])?;
        described::call(call, detail, &mut span.told);
        if let (Some(identified), Some(above)) = (call.identified, &call.trace) {
            let past = Past { name: "auth", began: call.received, ended: identified, failed: None };
            self.tracer.tell(above, &past, |told| {
                if detail.identities {
                    told.put(semconv::CALLER_ID, &call.caller.id);
                }
            });
        }
        Some(span)
    }

    fn open_route(&self, call: &mut Call) -> Option<Span> {
        let mut span = self.tracer.descend(call, Kind::Internal, &["route"])?;
        span.told.put(semconv::GROUP, &call.model);
        self.tracer.link(&mut span.told);
        Some(span)
    }

    fn open_attempt(&self, call: &mut Call) -> Option<Span> {
        let above = call.trace.clone();
        let mut span = self.tracer.descend(call, Kind::Internal, &["attempt"])?;
        if let Some(above) = above {
            span.told.put(semconv::ATTEMPT_NUMBER, u64::from(above.next_child()));
        }
        decided::tell_reason(call, &mut span.told);
        if let Some(target) = &call.target {
            span.told.put(semconv::ATTEMPT_ID, target.attempt.text(&mut [0; 36]));
            span.told.put(semconv::DEPLOYMENT_ID, &target.deployment);
            span.told.put(semconv::GROUP, &target.group);
        }
        self.tracer.link(&mut span.told);
        Some(span)
    }

    /// How the cache looks for its answer, where that will be told.
    fn look_up(&self, call: &Call) -> Option<Box<LookUp>> {
        let recorded = self.level == Level::Cache && self.tracer.is_on();
        let above = call.trace.as_ref().filter(|above| recorded && above.sampled)?;
        let decisions = call.decisions.clone();
        Some(Box::new(LookUp { above: above.clone(), began: Instant::now(), decisions }))
    }

    fn ending(&self, mut span: Span, call: &mut Call) -> Ending {
        let (level, stream, pricing) = (self.level, call.stream, self.pricing.clone());
        let decisions = match level {
            Level::Attempt => None,
            Level::Call | Level::Cache | Level::Route => Some(call.decisions.get_or_insert_default().clone()),
        };
        let whole = (level == Level::Call).then(|| {
            let captured = self.tracer.detail().and_then(|detail| Captured::of(call, detail, &mut span.told));
            Box::new(Whole {
                tracer: self.tracer.clone(),
                above: call.trace.clone(),
                started: stream.then(Instant::now),
                operation: call.operation,
                model: call.model.clone(),
                captured,
            })
        });
        Ending { span, level, stream, pricing, facts: None, decisions, whole }
    }
}

impl Middleware for Traced {
    async fn handle(&self, mut call: Call, next: &impl CallService) -> Result<Reply> {
        let (look_up, armed) = (self.look_up(&call), self.open(&mut call));
        let reply = armed.follow(next.answer(call).await)?;
        look_up.inspect(|look_up| look_up.tell(&self.tracer, &reply));
        Ok(reply)
    }
}

// === impl LookUp ===

impl LookUp {
    /// It ended where the call went on, which the router's first step tells; else with the answer that was kept.
    fn tell(&self, tracer: &Tracer, reply: &Reply) {
        let Some(cached) = &reply.head.cached else { return };
        let went_on = self.decisions.as_ref().and_then(|decisions| {
            decisions.look(|steps, _| steps.iter().map(|(at, _)| *at).find(|at| *at >= self.began))
        });
        let ended = went_on.unwrap_or_else(Instant::now);
        let past = Past { name: "cache", began: self.began, ended, failed: None };
        tracer.tell(&self.above, &past, |told| described::cached(cached, told));
    }
}
