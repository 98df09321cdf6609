//! Builds the layers from a configuration, joins them, and serves.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use gatewright_admin::Admin;
use gatewright_auth::{Authenticator, check_exposure};
use gatewright_catalogue::Catalogue;
use gatewright_core::SystemClock;
use gatewright_gateway::{Gateway, Ports};
use gatewright_limits::{Limits, Local, Rules};
use gatewright_providers::{Deployment, Names, Registry, Upstream};
use gatewright_routing::{LiveTable, Router, Table};
use gatewright_spend::{Journal, Ledgered};
use gatewright_store::Store;
use gatewright_telemetry::Traced;
use gatewright_transport::Transport;
use tokio::net::TcpListener;
use tracing::warn;

use crate::adapters::{
    CallRules, DeploymentRules, Forgetting, Models, Needs, Observed, PriceList, StoredKeys, provider_of,
};
use crate::config::{Config, Env};
use crate::ledger::{LiveLedger, Watched};
use crate::{journal, pipeline};

/// How long a stopping gateway waits for its last spans to be taken.
const FLUSH_SPANS: Duration = Duration::from_secs(5);

/// One a core, as long as their reserved files stay small beside a disk.
const MOST_LANES: usize = 4;

/// Why the gateway did not start.
#[derive(Debug)]
pub struct StartError(String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

impl StartError {
    pub(crate) fn new(what: &str, err: &dyn fmt::Display) -> Self {
        Self(format!("{what}: {err}"))
    }
}

/// Serves `config` on `listener` until `shutdown` is ready; answers when all open calls have ended.
pub async fn serve(
    config: Config,
    env: Env<'_>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let address = listener.local_addr().map_err(|err| StartError::new("cannot listen", &err))?;
    let access = &config.access;
    check_exposure(address.ip(), access.master_key.as_ref(), config.permit_weak_key)
        .map_err(|err| StartError(err.to_string()))?;
    let transport = gatewright_transport::Settings {
        proxies: config.proxies.clone(),
        tls_extra_roots: config.authorities.named.clone(),
        tls_system_roots: config.authorities.system.clone(),
        ..Default::default()
    };
    let transport = Transport::new(transport).map_err(|err| StartError::new("cannot make requests", &err))?;
    let telemetry = gatewright_telemetry::init(&config.telemetry, transport.clone())
        .map_err(|err| StartError::new("cannot trace", &err))?;
    let settings = gatewright_spend::Settings {
        sync: config.journal.sync,
        on_full: config.journal.on_full,
        lanes: std::thread::available_parallelism().map_or(1, usize::from).min(MOST_LANES),
        ..gatewright_spend::Settings::at(config.journal.data_dir.join(journal::FOLDER))
    };
    let journal = Journal::open(settings, Arc::new(SystemClock))
        .map_err(|err: io::Error| StartError::new("cannot open the journal", &err))?;
    let clock = Arc::new(SystemClock);
    let store = Store::open(config.database.clone(), clock.clone())
        .await
        .map_err(|err| StartError::new("cannot open the database", &err))?;
    let ledger = LiveLedger::start(journal.clone(), store.clone(), clock.clone());
    let keys =
        StoredKeys { store: store.clone(), clock: clock.clone(), calendar: config.money.calendar.clone() };
    let authenticator = Authenticator::new(&config.access).with_keys(Arc::new(keys), clock.clone());
    let changes = ledger.follow(vec![Arc::new(Forgetting(authenticator.clone()))]);
    let admin = Admin {
        store,
        authenticator: authenticator.clone(),
        reload: Arc::new(changes),
        credentials: config.access.clone(),
        prices: Arc::new(PriceList::new(&config.deployments, Catalogue::builtin())),
        clock,
        calendar: config.money.calendar.clone(),
    };
    let (policies, ports) = assemble(&config, env, transport, &telemetry, (journal, ledger.watched()))?;
    let ports = Ports { authenticator, ..ports };
    let gateway = Gateway::new(pipeline::build(policies), ports, config.gateway.clone());
    gateway.beside(admin.router()).serve(listener, shutdown).await;
    ledger.stop().await;
    if !telemetry.shutdown(FLUSH_SPANS).await {
        warn!("the last spans did not reach their receiver in time");
    }
    Ok(())
}

fn assemble(
    config: &Config,
    env: Env<'_>,
    transport: Transport,
    telemetry: &gatewright_telemetry::Guard,
    (journal, ledger): (Journal, Watched),
) -> Result<(pipeline::Policies, Ports), StartError> {
    let catalogue = Catalogue::builtin();
    let clock = Arc::new(SystemClock);
    let routing = config.deployments.iter().map(|deployment| deployment.routing.clone()).collect();
    let router =
        gatewright_routing::Settings { provider_of: provider_of(catalogue), ..config.router.clone() };
    let table = Table::build(routing, router).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        StartError(lines.join("\n"))
    })?;
    let table = LiveTable::new(table);
    let registry = Arc::new(ArcSwap::from_pointee(registry(config, env, catalogue)));
    let prices = Arc::new(PriceList::new(&config.deployments, catalogue));
    let tracer = telemetry.tracer();
    let pricing: gatewright_telemetry::Pricing = {
        let prices = prices.clone();
        Arc::new(move |deployment, usage| prices.cost(deployment, usage))
    };
    let money = &config.money;
    let counters = Arc::new(Local::new(clock.clone()).holding(money.mode));
    let needs = Arc::new(Needs::new(table.clone(), prices.clone(), money.least_output));
    let limits = |rules: Arc<dyn Rules>| Limits::new(rules, counters.clone(), needs.clone(), clock.clone());
    let call_rules = CallRules::new(config.limits, money, clock.clone());
    let deployment_rules = DeploymentRules::new(&config.deployments, money, clock.clone());
    let policies = pipeline::Policies {
        call_trace: Traced::call(tracer).priced_by(pricing.clone()),
        call_limits: limits(Arc::new(call_rules)).waiting(money.wait).refusing_budgets_with(money.status),
        route_trace: Traced::route(tracer),
        router: Router::new(table.clone()),
        attempt_trace: Traced::attempt(tracer).priced_by(pricing),
        deployment_limits: limits(Arc::new(deployment_rules)).of_deployments(),
        ledger: Ledgered::new(journal.clone(), prices, clock.clone()),
        upstream: Upstream::new(registry.clone(), transport, tracer.clone(), Default::default()),
    };
    let ports = Ports {
        authenticator: Authenticator::new(&config.access),
        credentials: config.access.clone(),
        directory: Arc::new(Models::new(table.clone(), &config.deployments, catalogue)),
        health: Arc::new(Observed { table, registry, journal, ledger }),
    };
    Ok((policies, ports))
}

fn registry(config: &Config, env: Env<'_>, catalogue: &'static Catalogue) -> Registry {
    Registry::new(config.deployments.iter().map(|deployment| {
        let routing = &deployment.routing;
        let names = Names { id: &routing.id, group: &routing.group, label: &routing.target };
        Deployment::new(names, deployment.params.clone(), catalogue, env)
    }))
}
