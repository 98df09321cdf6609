//! The deployments that are in force: everything that is made of them, replaced together when they change.

use std::sync::Arc;

use arc_swap::ArcSwap;
use gatewright_catalogue::{Catalogue, CostMap};
use gatewright_core::Clock;
use gatewright_providers::{Names, Registry};
use gatewright_routing::{LiveTable, Table, Witness};
use gatewright_transport::Trust;
use parking_lot::Mutex;

use crate::adapters::{DeploymentRules, Knowledge, Known, Models, PriceList, knowledge, provider_of};
use crate::config::{Config, Deployment, Entries, Environment};
use crate::serve::StartError;

/// What the layers ask about deployments.
pub(crate) struct Live {
    pub(crate) table: LiveTable,
    pub(crate) registry: Arc<ArcSwap<Registry>>,
    pub(crate) prices: Arc<PriceList>,
    pub(crate) rules: Arc<DeploymentRules>,
    pub(crate) models: Arc<Models>,
    /// What the configuration says, as it was read last.
    pub(crate) configured: ArcSwap<Configured>,
    /// What is known of providers and models.
    pub(crate) catalogue: &'static Catalogue,
    /// Who hears how attempts went, where somebody wants to know.
    witness: Option<Arc<dyn Witness>>,
    /// Held while they are replaced.
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    /// Those in force, then those that calls on their way may still name.
    all: Vec<Deployment>,
    in_force: usize,
}

/// What is taken anew when the configuration is read again.
pub(crate) struct Configured {
    /// Its deployments, beside those that are stored.
    pub(crate) deployments: Vec<Deployment>,
    /// What further entries are read with.
    pub(crate) entries: Entries,
    /// What reads the environment.
    pub(crate) env: Environment,
    settings: gatewright_routing::Settings,
}

// === impl Configured ===

impl Configured {
    fn of(
        config: &Config,
        env: Environment,
        catalogue: &'static Catalogue,
        prices: &Arc<PriceList>,
        witness: &Option<Arc<dyn Witness>>,
    ) -> Self {
        let settings = gatewright_routing::Settings {
            witness: witness.clone(),
            provider_of: provider_of(catalogue),
            know: Arc::new(Knowledge { catalogue, prices: prices.clone() }),
            ..config.router.clone()
        };
        // One that was read again has a catalogue of its own, which no price map reaches.
        let entries = config.entries.clone().knowing(catalogue);
        Self { deployments: config.deployments.clone(), entries, env, settings }
    }
}

// === impl Live ===

impl Live {
    /// Puts the deployments of the configuration into force.
    pub(crate) fn new(
        config: &Config,
        env: Environment,
        known: Known,
        clock: Arc<dyn Clock>,
        witness: Option<Arc<dyn Witness>>,
    ) -> Result<Self, StartError> {
        let catalogue = config.catalogue;
        let prices = Arc::new(PriceList::new(catalogue));
        let configured = Configured::of(config, env, catalogue, &prices, &witness);
        let empty =
            Table::build(Vec::new(), configured.settings.clone()).map_err(|problems| lines(&problems))?;
        let table = LiveTable::new(empty);
        let live = Self {
            registry: Arc::default(),
            prices,
            rules: Arc::new(DeploymentRules::new(config.money.clone(), known, clock)),
            models: Arc::new(Models::new(table.clone(), catalogue)),
            table,
            configured: ArcSwap::from_pointee(configured),
            catalogue,
            witness,
            current: Mutex::default(),
        };
        live.replace(config.deployments.clone())?;
        Ok(live)
    }

    /// Takes a configuration that was read again in place of the one before, all or nothing. What is stored stays.
    pub(crate) fn reconfigure(&self, config: &Config, env: Environment) -> Result<(), StartError> {
        let new = Arc::new(Configured::of(config, env, self.catalogue, &self.prices, &self.witness));
        let old = self.configured.swap(new.clone());
        let has = |all: &[Deployment], one: &Deployment| all.iter().any(|d| d.routing.id == one.routing.id);
        let stored = |one: &Deployment| !has(&old.deployments, one) && !has(&new.deployments, one);
        let stored: Vec<Deployment> =
            self.current.lock().in_force().iter().filter(|one| stored(one)).cloned().collect();
        let all = new.deployments.iter().cloned().chain(stored).collect();
        self.replace(all).inspect_err(|_| self.configured.store(old))
    }

    /// Puts these into force in place of those that were, all or none. What stays keeps its health and its counts.
    pub(crate) fn replace(&self, deployments: Vec<Deployment>) -> Result<(), StartError> {
        let mut current = self.current.lock();
        let table = self.rebuilt(&deployments)?;
        // A call on its way holds the old table: what it names there is found until the next change.
        let stays = |old: &&Deployment| deployments.iter().any(|new| new.routing.id == old.routing.id);
        let leaving = current.in_force().iter().filter(|old| !stays(old)).cloned();
        let all: Vec<Deployment> = deployments.iter().cloned().chain(leaving).collect();
        self.describe(&all);
        self.rules.replace(&all);
        self.models.replace(&all, deployments.len());
        self.table.swap(table);
        *current = Current { all, in_force: deployments.len() };
        Ok(())
    }

    /// A table of these, with what is known of their models.
    fn rebuilt(&self, deployments: &[Deployment]) -> Result<Table, StartError> {
        let known = |deployment: &Deployment| gatewright_routing::Deployment {
            model: knowledge::of(self.catalogue, deployment),
            ..deployment.routing.clone()
        };
        let routing = deployments.iter().map(known).collect();
        let settings = self.configured.load().settings.clone();
        self.table.load().rebuild(routing, settings).map_err(|problems| lines(&problems))
    }

    /// Lays a price map over the catalogue, all or nothing, and prices the deployments by it from the next attempt on.
    pub(crate) fn reprice(&self, map: &CostMap) -> Result<(), String> {
        let current = self.current.lock();
        self.catalogue.put(map)?;
        self.describe(&current.all);
        let table = self.rebuilt(current.in_force()).map_err(|err| err.to_string())?;
        self.table.swap(table);
        Ok(())
    }

    /// Takes from the catalogue what is kept of it for each deployment.
    fn describe(&self, all: &[Deployment]) {
        self.registry.store(Arc::new(Registry::new(all.iter().map(|deployment| self.callable(deployment)))));
        self.prices.replace(all);
        self.models.anew();
    }

    /// What is asked of each that is in force.
    pub(crate) fn in_force<T>(&self, of: impl FnMut(&Deployment) -> T) -> Vec<T> {
        self.current.lock().in_force().iter().map(of).collect()
    }

    /// The half of a deployment that makes requests.
    pub(crate) fn callable(&self, deployment: &Deployment) -> gatewright_providers::Deployment {
        let routing = &deployment.routing;
        let names = Names { id: &routing.id, group: &routing.group, label: &routing.target };
        let nothing = |_: &str| None;
        let configured = self.configured.load();
        let env: &dyn Fn(&str) -> Option<String> = match deployment.params.trust {
            Trust::Operator => &*configured.env,
            // A key of the operator's must not go where somebody else says.
            Trust::Untrusted => &nothing,
        };
        gatewright_providers::Deployment::new(names, deployment.params.clone(), self.catalogue, env)
    }
}

// === impl Current ===

impl Current {
    fn in_force(&self) -> &[Deployment] {
        self.all.get(..self.in_force).unwrap_or_default()
    }
}

fn lines(problems: &[gatewright_routing::Problem]) -> StartError {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    StartError::told(lines.join("\n"))
}
