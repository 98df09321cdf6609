//! Every attempt as the program is told of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gatewright_core::{
    Call, CallService, End, ErrorKind, Middleware, Money, Observer, Outcome, Reply, Result, Usage, arm,
};

use crate::builder::Prices;

/// One attempt at one deployment, at its end.
#[derive(Clone, Debug)]
pub struct Attempted {
    /// The model's name as it was asked for, or the fallback's.
    pub group: Arc<str>,
    /// The deployment's id.
    pub deployment: Arc<str>,
    /// What it used, where the provider said so.
    pub usage: Option<Usage>,
    /// What that costs; `None` where no price is known.
    pub cost: Option<Money>,
    /// How it failed; `None` where it is whole or was abandoned.
    pub failed: Option<ErrorKind>,
    /// Whether it came to its end: neither failed nor abandoned.
    pub is_whole: bool,
    /// How long it took.
    pub took: Duration,
}

/// Whom attempts are told to.
pub(crate) type Listener = Arc<dyn Fn(&Attempted) + Send + Sync>;

/// Tells the program of attempts; stands below the router.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) listener: Option<Listener>,
    pub(crate) prices: Arc<Prices>,
}

struct Watching {
    listener: Listener,
    prices: Arc<Prices>,
    group: Arc<str>,
    deployment: Arc<str>,
    model: Option<Arc<str>>,
    since: Instant,
}

impl Middleware for Told {
    async fn handle(&self, call: Call, next: &impl CallService) -> Result<Reply> {
        let Some(listener) = self.listener.clone() else { return next.answer(call).await };
        let target = call.target()?;
        let watching = Watching {
            listener,
            prices: self.prices.clone(),
            group: target.group.clone(),
            deployment: target.deployment.clone(),
            model: target.model.clone(),
            since: Instant::now(),
        };
        arm(watching).follow(next.answer(call).await)
    }
}

impl Observer for Watching {
    fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
        let price = |usage: Usage| self.prices.cost(&self.deployment, self.model.as_deref(), &usage);
        let attempted = Attempted {
            group: self.group.clone(),
            deployment: self.deployment.clone(),
            usage: outcome.usage,
            cost: outcome.usage.and_then(price),
            failed: match outcome.end {
                End::Failed(err) => Some(err.kind()),
                End::Complete | End::Abandoned => None,
            },
            is_whole: matches!(outcome.end, End::Complete),
            took: self.since.elapsed(),
        };
        (self.listener)(&attempted);
    }
}
