//! The deployments that are in force: everything that is made of them, replaced together when they change.

use std::sync::Arc;

use arc_swap::ArcSwap;
use gatewright_catalogue::Catalogue;
use gatewright_core::Clock;
use gatewright_providers::{Names, Registry};
use gatewright_routing::{LiveTable, Table};
use gatewright_transport::Trust;
use parking_lot::Mutex;

use crate::adapters::{DeploymentRules, Known, Models, PriceList, provider_of};
use crate::config::{Config, Deployment, Environment};
use crate::serve::StartError;

/// What the layers ask about deployments.
pub(crate) struct Live {
    pub(crate) table: LiveTable,
    pub(crate) registry: Arc<ArcSwap<Registry>>,
    pub(crate) prices: Arc<PriceList>,
    pub(crate) rules: Arc<DeploymentRules>,
    pub(crate) models: Arc<Models>,
    /// Those of the configuration, which stay.
    pub(crate) configured: Vec<Deployment>,
    settings: gatewright_routing::Settings,
    /// What reads the environment.
    pub(crate) env: Environment,
    catalogue: &'static Catalogue,
    /// Held while they are replaced.
    current: Mutex<Vec<Deployment>>,
}

// === impl Live ===

impl Live {
    /// Puts the deployments of the configuration into force.
    pub(crate) fn new(
        config: &Config,
        env: Environment,
        known: Known,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let catalogue = config.catalogue;
        let settings =
            gatewright_routing::Settings { provider_of: provider_of(catalogue), ..config.router.clone() };
        let empty = Table::build(Vec::new(), settings.clone()).map_err(|problems| lines(&problems))?;
        let table = LiveTable::new(empty);
        let live = Self {
            registry: Arc::default(),
            prices: Arc::new(PriceList::new(catalogue)),
            rules: Arc::new(DeploymentRules::new(config.money.clone(), known, clock)),
            models: Arc::new(Models::new(table.clone(), catalogue)),
            table,
            configured: config.deployments.clone(),
            settings,
            env,
            catalogue,
            current: Mutex::default(),
        };
        live.replace(config.deployments.clone())?;
        Ok(live)
    }

    /// Puts these into force in place of those that were, all or none. What stays keeps its health and its counts.
    pub(crate) fn replace(&self, deployments: Vec<Deployment>) -> Result<(), StartError> {
        let mut current = self.current.lock();
        let routing = deployments.iter().map(|deployment| deployment.routing.clone()).collect();
        let rebuilt = self.table.load().rebuild(routing, self.settings.clone());
        let table = rebuilt.map_err(|problems| lines(&problems))?;
        // A call on its way holds the old table: what it names there is found until the next change.
        let stays = |old: &&Deployment| deployments.iter().any(|new| new.routing.id == old.routing.id);
        let leaving = current.iter().filter(|old| !stays(old)).cloned();
        let all: Vec<Deployment> = deployments.iter().cloned().chain(leaving).collect();
        self.registry.store(Arc::new(Registry::new(all.iter().map(|deployment| self.callable(deployment)))));
        self.prices.replace(&all);
        self.rules.replace(&all);
        self.models.replace(&all, deployments.len());
        self.table.swap(table);
        *current = deployments;
        Ok(())
    }

    /// The half of a deployment that makes requests.
    pub(crate) fn callable(&self, deployment: &Deployment) -> gatewright_providers::Deployment {
        let routing = &deployment.routing;
        let names = Names { id: &routing.id, group: &routing.group, label: &routing.target };
        let nothing = |_: &str| None;
        let env: &dyn Fn(&str) -> Option<String> = match deployment.params.trust {
            Trust::Operator => &*self.env,
            // A key of the operator's must not go where somebody else says.
            Trust::Untrusted => &nothing,
        };
        gatewright_providers::Deployment::new(names, deployment.params.clone(), self.catalogue, env)
    }
}

fn lines(problems: &[gatewright_routing::Problem]) -> StartError {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    StartError::told(lines.join("\n"))
}
