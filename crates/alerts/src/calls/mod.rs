//! Calls that are slow, hang, fail, or are answered by another group than the one that was asked.

mod open;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gatewright_core::{
    Call, CallService, Clock, Cooldown, End, Error, ErrorKind, Middleware, Observer, Outcome, Reply, Result,
    arm,
};

use self::open::{Open, Place};
use crate::{Alert, Alerts, Daily, Kind, Severity};

/// What is known of the calls that are open.
pub struct Calls {
    alerts: Alerts,
    clock: Arc<dyn Clock>,
    threshold: Duration,
    open: Open,
    daily: Arc<Daily>,
}

/// The policy that sees them come and go. Where nobody is told of anything it passes them on untouched.
#[derive(Clone, Default)]
pub struct Alerted(Option<Arc<Calls>>);

/// Sees a call end.
struct Ending {
    calls: Arc<Calls>,
    about: About,
    place: Option<Place>,
}

/// What is told of a call.
#[derive(Clone)]
pub(crate) struct About {
    model: Arc<str>,
    operation: &'static str,
    id: String,
    key: Option<Arc<str>>,
    team: Option<Arc<str>>,
    since: Instant,
}

// === impl Calls ===

impl Calls {
    /// Tells of calls that take longer than `threshold`.
    pub fn new(alerts: Alerts, daily: Arc<Daily>, threshold: Duration, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { alerts, clock, threshold, open: Open::default(), daily })
    }

    /// Tells of calls that are open for longer than the threshold, each once: one alert for all of a model.
    pub fn look(&self) {
        for (about, count) in self.open.older_than(self.threshold, self.clock.now()) {
            let title = format!("Calls of {} are hanging", about.model);
            let alert = Alert::new(Kind::LlmRequestsHanging, &*about.model, Severity::Medium, title)
                .fact("Open for longer than", format!("{:?}", self.threshold))
                .fact("Calls", count);
            self.alerts.raise(about.told(alert));
        }
    }

    /// How often to look, so that what hangs is told soon after the threshold.
    pub fn every(&self) -> Duration {
        (self.threshold / 10).clamp(Duration::from_millis(100), Duration::from_secs(10))
    }

    fn ended(&self, about: &About, outcome: &Outcome<'_>) {
        let took = self.clock.now().saturating_duration_since(about.since);
        match outcome.end {
            End::Failed(err) if is_told(err) => self.alerts.raise(failure(about, err)),
            End::Complete if took > self.threshold => {
                let title = format!("Calls of {} are slow", about.model);
                let alert = Alert::new(Kind::LlmTooSlow, &*about.model, Severity::Low, title)
                    .fact("Took", format!("{:.1} s", took.as_secs_f64()))
                    .fact("Threshold", format!("{:?}", self.threshold));
                self.alerts.raise(about.told(alert));
            }
            End::Complete | End::Failed(_) | End::Abandoned => {}
        }
    }
}

// === impl Alerted ===

impl Alerted {
    /// Sees calls for `calls`.
    pub fn new(calls: Arc<Calls>) -> Self {
        Self(Some(calls))
    }
}

impl Middleware for Alerted {
    async fn handle(&self, call: Call, next: &impl CallService) -> Result<Reply> {
        let Some(calls) = &self.0 else { return next.answer(call).await };
        let asked = call.model.clone();
        let ending = Ending::begin(calls, &call);
        let reply = arm(ending).follow(next.answer(call).await)?;
        if let (1.., Some(served_by)) = (reply.head.fallbacks, &reply.head.served_by) {
            calls.daily.fell_back(&asked, &served_by.group);
        }
        Ok(reply)
    }
}

// === impl Ending ===

impl Ending {
    fn begin(calls: &Arc<Calls>, call: &Call) -> Self {
        let about = About {
            model: call.model.clone(),
            operation: call.operation.as_str(),
            id: call.id.to_string(),
            key: call.caller.known_as.key.clone(),
            team: call.caller.known_as.team.clone().or_else(|| call.caller.team.clone()),
            since: call.received,
        };
        let hangs = calls.alerts.wants(Kind::LlmRequestsHanging);
        let place = hangs.then(|| calls.open.enter(about.clone())).flatten();
        Self { calls: calls.clone(), about, place }
    }
}

impl Observer for Ending {
    fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
        if let Some(place) = self.place {
            self.calls.open.leave(place);
        }
        self.calls.ended(&self.about, outcome);
    }
}

// === impl About ===

impl About {
    fn told(&self, alert: Alert) -> Alert {
        let alert = alert.fact("Call", &self.id).fact("Operation", self.operation);
        alert.fact_if("Key", self.key.as_ref()).fact_if("Team", self.team.as_ref())
    }
}

/// Whether a failure is one that an operator can do something about: a provider's, or our own.
fn is_told(err: &Error) -> bool {
    let of_provider = err.provider().is_some() && err.kind().cooldown() != Cooldown::Never;
    of_provider || err.kind() == ErrorKind::Internal
}

/// In the words of the table: what a provider says may repeat a prompt.
fn failure(about: &About, err: &Error) -> Alert {
    let word = err.kind().word();
    let (subject, title) = (format!("{} {word}", about.model), format!("Calls of {} fail", about.model));
    let alert = Alert::new(Kind::LlmExceptions, subject, Severity::High, title)
        .fact("Failure", word)
        .fact("Status", err.status().as_u16())
        .fact_if("Provider", err.provider())
        .fact_if("Deployment", err.served_by().map(|served_by| &served_by.deployment));
    about.told(alert)
}
