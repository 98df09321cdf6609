//! How attempts went, for whoever is told of outages, rests and days.

use std::sync::Arc;

use gatewright_alerts::{Alert, Alerts, Daily, Kind, Outages, Place, Seen, Severity};
use gatewright_core::{Clock, Error};
use gatewright_routing::{Deployment, Trial, Witness};

/// Turns what the router sees into alerts.
pub(crate) struct Witnessed {
    pub(crate) alerts: Alerts,
    pub(crate) outages: Outages,
    pub(crate) daily: Arc<Daily>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Witness for Witnessed {
    fn ended(&self, deployment: &Deployment, trial: &Trial, failure: Option<&Error>) {
        if self.alerts.wants(Kind::DailyReports) {
            let seen = Seen { took: trial.whole, output: trial.output, failed: trial.failed };
            self.daily.ended(|| place(deployment), &deployment.id, seen);
        }
        let Some(err) = failure else { return };
        let status = err.status().as_u16();
        for alert in self.outages.failed(&place(deployment), status, self.clock.now()) {
            self.alerts.raise(alert);
        }
    }

    fn rests(&self, deployment: &Deployment, rest: std::time::Duration, failure: &Error) {
        let title = format!("A deployment of {} rests", deployment.group);
        let alert = Alert::new(Kind::CooldownDeployment, &*deployment.id, Severity::Medium, title)
            .fact("Model", &deployment.target)
            .fact("Deployment", &deployment.id)
            .fact("Rests for", format!("{rest:?}"))
            .fact("Failure", failure.kind().word())
            .fact("Status", failure.status().as_u16());
        self.alerts.raise(alert);
    }
}

fn place(deployment: &Deployment) -> Place {
    let Deployment { id, group, target, provider, region, .. } = deployment;
    Place {
        deployment: id.clone(),
        model: target.clone(),
        group: group.clone(),
        provider: provider.clone(),
        region: region.clone(),
    }
}
