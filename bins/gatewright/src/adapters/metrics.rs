//! What the meter asks of the others, and what it is told by them.

use std::sync::Arc;

use gatewright_core::Money;
use gatewright_gateway::Refusals;
use gatewright_limits::Counts;
use gatewright_routing::LiveTable;
use gatewright_telemetry::{Balances, DeploymentFigures, Meter, Refusal, Tracer};
use tokio::time::Instant;

use crate::config::Config;
use crate::live::Live;

/// Counts and traces requests that never became calls.
pub(crate) struct Uncalled {
    meter: Meter,
    tracer: Tracer,
}

/// Budgets as they are counted in this process. Replicas that share their counts tell what was spent when a key was looked up.
struct Counted(Arc<Counts>);

/// A meter that knows prices, deployments and budgets.
pub(crate) fn meter(config: &Config, live: &Live, counters: &Arc<Counts>) -> Meter {
    let (prices, registry) = (live.prices.clone(), live.registry.clone());
    Meter::new(config.metrics.clone())
        .priced_by(Arc::new(move |deployment, usage| prices.cost(deployment, usage)))
        .knowing(move |target| Some(registry.load().find(&target.deployment)?.served_by(target)))
        .with_balances(Arc::new(Counted(counters.clone())))
}

/// How the deployments do, for the meter.
pub(crate) fn deployments(
    table: &LiveTable,
    registry: &gatewright_providers::Registry,
) -> Vec<DeploymentFigures> {
    let (table, now) = (table.load(), Instant::now());
    let describe = |deployment: &gatewright_routing::Deployment| {
        let health = table.health(&deployment.id)?;
        Some(DeploymentFigures {
            served_by: registry.find(&deployment.id)?.known_as(),
            is_out: health.is_cooling(now) || health.is_down(),
            rests: health.rests(),
            requests: deployment.rpm,
            tokens: deployment.tpm,
        })
    };
    table.deployments().filter_map(describe).collect()
}

// === impl Uncalled ===

impl Uncalled {
    /// Nothing where nobody is told of them.
    pub(crate) fn of(meter: &Meter, tracer: &Tracer) -> Option<Arc<dyn Refusals>> {
        let wanted = meter.is_on() || tracer.is_on();
        wanted.then(|| Arc::new(Self { meter: meter.clone(), tracer: tracer.clone() }) as Arc<dyn Refusals>)
    }
}

impl Refusals for Uncalled {
    fn refused(&self, refusal: &gatewright_gateway::Refusal<'_>) {
        let gatewright_gateway::Refusal { operation, dialect, headers, received, caller, error } = *refusal;
        let told = Refusal { operation, dialect, caller, headers, received, error };
        if self.meter.is_on() {
            self.meter.refused(&told);
        }
        self.tracer.refused(&told);
    }
}

impl Balances for Counted {
    fn spent(&self, scope: &str, id: &str, period: Option<&str>) -> Option<Money> {
        let Counts::Local(local) = &*self.0 else { return None };
        let of = local.spent(scope, id).into_iter().find(|spent| spent.period.as_deref() == period);
        of.map(|spent| spent.settled)
    }
}
