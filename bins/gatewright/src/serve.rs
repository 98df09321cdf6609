//! Builds the layers from a configuration, joins them, and serves.

use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use gatewright_admin::{Admin, Vault};
use gatewright_auth::{Authenticator, Joined, JoinedSettings, check_exposure};
use gatewright_core::SystemClock;
use gatewright_gateway::{Conversations, Gateway, Ports, Remembered, Workers};
use gatewright_limits::{Counts, Limits, Rules};
use gatewright_providers::Upstream;
use gatewright_routing::{Mirrors, Router};
use gatewright_sinks::{Recorded, Sinks};
use gatewright_spend::{Hits, Journal, Ledgered};
use gatewright_store::Store;
use gatewright_telemetry::{Meter, Protocol, Traced};
use gatewright_transport::{Http2, Transport};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use crate::adapters::{
    CallRules, Counted, Forgetting, ForgettingParties, Hearers, Holders, Keepers, Known, Needs, Observed,
    ProviderKeys, Seeds, StoredCache, StoredConversations, StoredKeys, StoredModels, StoredParties, Uncalled,
    meter,
};
use crate::alerts::{Alerting, Known as Told};
use crate::cache::LiveAnswers;
use crate::changes::{ChangeFeed, Follow};
use crate::checkup::{Checkup, Findings};
use crate::config::{Authorities, Config, Environment};
use crate::cost_map::LiveCostMap;
use crate::ledger::{LiveLedger, Watched};
use crate::live::Live;
use crate::replicas::Replicas;
use crate::rotation::Rotation;
use crate::seal::SealedKeys;
use crate::{counts, journal, openapi, pipeline, sinks};

/// How long a stopping gateway waits for its last spans to be taken.
const FLUSH_SPANS: Duration = Duration::from_secs(5);

/// How long a stopping gateway goes on to send records. What is left is kept for the next start.
const SEND_RECORDS: Duration = Duration::from_secs(3);

/// How long a start waits for the models of a database that does not answer.
const FIRST_MODELS: Duration = Duration::from_secs(5);

/// How long a start waits for a price map that does not come.
const FIRST_PRICES: Duration = Duration::from_secs(5);

/// One a core, as long as their reserved files stay small beside a disk.
const MOST_LANES: usize = 4;

/// What is written down, and what is counted.
struct Books {
    store: Store,
    journal: Journal,
    ledger: Watched,
    counters: Arc<Counts>,
}

/// What is seen of the calls, and what is told of it.
struct Seen {
    findings: Findings,
    alerting: Alerting,
    answers: LiveAnswers,
    sinks: Sinks,
    meter: Meter,
}

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
    pub(crate) fn told(words: String) -> Self {
        Self(words)
    }

    pub(crate) fn new(what: &str, err: &dyn fmt::Display) -> Self {
        Self(format!("{what}: {err}"))
    }
}

/// A configuration that was read again, and what reads its environment.
pub type Reread = (Config, Environment);

/// Serves `config` on `listener` until `shutdown` is ready; answers when all open calls have ended. Calls are answered by
/// `workers`, everything else happens on the runtime of whoever asks.
pub async fn serve(
    mut config: Config,
    env: Environment,
    (workers, listener): (&Workers, TcpListener),
    reread: impl Stream<Item = Reread> + Send + 'static,
    shutdown: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let address = listener.local_addr().map_err(|err| StartError::new("cannot listen", &err))?;
    check_exposure(address.ip(), config.access.master_key.as_ref(), config.permit_weak_key)
        .map_err(|err| StartError(err.to_string()))?;
    let transport = transport(&config, Http2::Auto)?;
    let telemetry = gatewright_telemetry::init(&config.telemetry, way_for_spans(&config, &transport)?)
        .map_err(|err| StartError::new("cannot trace", &err))?;
    // Whoever makes connections has read them: the text of some hundred certificates need not stay.
    config.authorities = Authorities::default();
    let journal = open_journal(&config)?;
    let clock = Arc::new(SystemClock);
    let store = Store::open(config.database.clone(), clock.clone())
        .await
        .map_err(|err| StartError::new("cannot open the database", &err))?;
    let mut ledger = LiveLedger::start(journal.clone(), store.clone(), clock.clone());
    let authenticator = authenticator(&config, &store, &clock, &transport);
    seal(&config, &mut ledger, &authenticator)?;
    let counters = counts::open(&config, &journal, clock.clone())?;
    let mut alerting = Alerting::new(&config, (&store, &ledger, &counters), &transport, clock.clone());
    let known = Known::default();
    let live = Arc::new(Live::new(&config, env, known.clone(), clock.clone(), alerting.witness())?);
    let (table, limited) = (live.table.clone(), (&config.money, known.clone()));
    let joined = joined(&config, &store, &clock);
    let who = (authenticator.clone(), joined.clone());
    let call_rules = Arc::new(CallRules::new(config.limits, limited, table, who, clock.clone()));
    let seeds = Seeds {
        known,
        store: store.clone(),
        clock: clock.clone(),
        calendar: config.money.calendar.clone(),
        call: call_rules.clone(),
        deployments: live.rules.clone(),
    };
    let vault = config.salt.as_ref().map(Vault::new).transpose();
    let vault = vault.map_err(|err| StartError::new("cannot keep secrets", &err))?;
    let stored = StoredModels {
        store: store.clone(),
        vault: vault.clone(),
        live: live.clone(),
        enabled: config.store_models,
    };
    let answers = LiveAnswers::open(&config, live.configured.load().env.clone(), &transport, clock.clone())?;
    let settings = StoredCache::new(&store, vault.clone(), &answers, config.cache.clone());
    let followers = followers(&authenticator, &joined, (&stored, settings), &mut alerting);
    let changes = ledger.follow(followers);
    ledger.beside(take_anew(reread, live.clone(), stored.clone(), config.fixed));
    let cost_map = LiveCostMap::new(config.cost_map.clone(), transport.clone(), live.clone(), clock.clone());
    let (loaded, first_prices) = oneshot::channel();
    ledger.beside(cost_map.clone().run(loaded));
    let sinks = sinks::start(&config, live.models.clone(), &transport, clock.clone());
    let admin = Admin {
        store: store.clone(),
        services: Arc::new(Hearers { alerts: alerting.alerts(), sinks: sinks.clone() }),
        counts: Arc::new(Counted(counters.clone())),
        authenticator: authenticator.clone(),
        reload: Arc::new(changes.clone()),
        credentials: config.access.clone(),
        prices: live.prices.clone(),
        cost_map: Arc::new(cost_map.clone()),
        answers: Arc::new(answers.clone()),
        deployments: Arc::new(stored),
        vault,
        rotates: config.rotation.is_some(),
        clock: clock.clone(),
        calendar: config.money.calendar.clone(),
    };
    await_first(config.store_models.then_some(&changes), first_prices).await;
    ledger.settle_in(seeds).await;
    alerting.run(&Told { store: &store, journal: &journal, ledger: &ledger, config: &config });
    let meter = metered(&config, &live, (&store, &counters), &ledger);
    let books = Books { store: store.clone(), journal, ledger: ledger.watched(), counters: counters.clone() };
    if let Some(settings) = config.rotation.clone() {
        ledger.beside(Rotation { settings, store, clock: clock.clone() }.run());
    }
    ledger.beside(Replicas { counters: counters.clone(), table: live.table.clone() }.run());
    let findings = Findings::new(live.table.clone());
    let wired = (&*live, call_rules, authenticator, joined);
    let seen =
        Seen { findings: findings.clone(), alerting, answers: answers.clone(), sinks: sinks.clone(), meter };
    let (policies, below, ports) = assemble(&config, wired, transport, &telemetry, (books, seen));
    let mirrors = policies.mirrors.clone();
    let attempts = pipeline::attempts(below);
    answers.ask_through(policies.router.clone(), attempts.clone());
    if let Some(settings) = config.checkup.clone() {
        let (attempts, counters) = (attempts.clone(), counters.clone());
        ledger.beside(Checkup { settings, live, findings, attempts, counters }.run());
    }
    let gateway = Gateway::new(pipeline::calls(policies, attempts), ports, config.gateway.clone());
    gateway.by(workers.clone()).beside(admin.router()).serve(listener, shutdown).await;
    stop((mirrors, counters, sinks), ledger, telemetry).await;
    Ok(())
}

/// Keeps a sealed copy of the keys that are used, where keys are in a database that may be away at the next start.
fn seal(config: &Config, ledger: &mut LiveLedger, authenticator: &Authenticator) -> Result<(), StartError> {
    let (true, Some(secret)) = (config.access.recorded, &config.salt) else { return Ok(()) };
    let sealed = SealedKeys::new(&config.journal.data_dir, secret)
        .map_err(|err| StartError::new("cannot seal keys", &err))?;
    ledger.seal(sealed, authenticator.clone());
    Ok(())
}

/// Who hears of what administrators change.
fn followers(
    authenticator: &Authenticator,
    joined: &Joined,
    (stored, settings): (&StoredModels, StoredCache),
    alerting: &mut Alerting,
) -> Vec<Arc<dyn Follow>> {
    let mut all: Vec<Arc<dyn Follow>> = vec![
        Arc::new(Forgetting(authenticator.clone())),
        Arc::new(ForgettingParties(joined.clone())),
        Arc::new(stored.clone()),
    ];
    all.extend(stored.enabled.then(|| Arc::new(settings) as Arc<dyn Follow>));
    all.extend(alerting.follower());
    all
}

/// Waits for the models of the database, where there are such, and for prices: no longer than a start may take.
async fn await_first(models: Option<&ChangeFeed>, prices: oneshot::Receiver<()>) {
    if let Some(changes) = models
        && tokio::time::timeout(FIRST_MODELS, changes.caught_up()).await.is_err()
    {
        warn!("the stored models are not read yet; the configuration's are served meanwhile");
    }
    if tokio::time::timeout(FIRST_PRICES, prices).await.is_err() {
        warn!("the price map is not here yet; the shipped prices serve meanwhile");
    }
}

/// Ends what goes on beside the calls: first what is still to be booked, last what tells of it.
async fn stop(
    (mirrors, counters, sinks): (Mirrors, Arc<Counts>, Sinks),
    ledger: LiveLedger,
    telemetry: gatewright_telemetry::Guard,
) {
    mirrors.stop().await;
    // They need nothing of each other, and there is not much time.
    tokio::join!(counters.stop(), sinks.stop(SEND_RECORDS));
    ledger.stop().await;
    if !telemetry.shutdown(FLUSH_SPANS).await {
        warn!("the last spans did not reach their receiver in time");
    }
}

/// Takes every configuration that is read again, where it can be put into force. Calls on their way go on as they began.
async fn take_anew(reread: impl Stream<Item = Reread>, live: Arc<Live>, stored: StoredModels, fixed: u64) {
    let mut reread = pin!(reread);
    while let Some((config, env)) = reread.next().await {
        if let Err(err) = live.reconfigure(&config, env) {
            error!(error = %err, "the configuration that was read again cannot be put into force; the old one stays");
            continue;
        }
        if config.fixed != fixed {
            warn!(
                "what was changed in general_settings takes effect at the next start, and so may what was in litellm_settings"
            );
        }
        if stored.enabled
            && let Err(err) = stored.reload().await
        {
            warn!(error = %err, "the stored models cannot be read now; they stay as they are");
        }
        info!(deployments = config.deployments.len(), "the configuration was read again");
    }
}

/// A receiver that speaks gRPC is spoken to in HTTP/2 from the first byte, which providers may not understand.
fn way_for_spans(config: &Config, shared: &Transport) -> Result<Transport, StartError> {
    match config.telemetry.traces.as_ref().map(|otlp| otlp.protocol) {
        Some(Protocol::Grpc) => transport(config, Http2::PriorKnowledge),
        Some(Protocol::Http | Protocol::Json | Protocol::Console) | None => Ok(shared.clone()),
    }
}

fn transport(config: &Config, http2: Http2) -> Result<Transport, StartError> {
    let defaults = gatewright_transport::Settings::default();
    let settings = gatewright_transport::Settings {
        connect_timeout: config.connect_timeout.unwrap_or(defaults.connect_timeout),
        proxies: config.proxies.clone(),
        tls_extra_roots: config.authorities.named.clone(),
        tls_system_roots: config.authorities.system.clone(),
        http2,
        ..defaults
    };
    Transport::new(settings).map_err(|err| StartError::new("cannot make requests", &err))
}

/// A directory of it for every core.
fn open_journal(config: &Config) -> Result<Journal, StartError> {
    let settings = gatewright_spend::Settings {
        segment_bytes: config.journal.segment_bytes,
        sync: config.journal.sync,
        on_full: config.journal.on_full,
        lanes: std::thread::available_parallelism().map_or(1, usize::from).min(MOST_LANES),
        ..gatewright_spend::Settings::at(config.journal.data_dir.join(journal::FOLDER))
    };
    let place = format!("cannot open the journal in {}", settings.dir.display());
    Journal::open(settings, Arc::new(SystemClock)).map_err(|err: io::Error| StartError::new(&place, &err))
}

/// Knows the master key, the database's keys, and tokens where they are accepted.
fn authenticator(
    config: &Config,
    store: &Store,
    clock: &Arc<SystemClock>,
    transport: &Transport,
) -> Authenticator {
    let calendar = config.money.calendar.clone();
    let keys = Arc::new(StoredKeys { store: store.clone(), clock: clock.clone(), calendar });
    let known = Authenticator::new(&config.access).with_keys(&config.access, keys, clock.clone());
    match &config.bearer {
        Some(settings) => {
            let fetch = Arc::new(ProviderKeys(transport.clone()));
            known.with_bearer(settings.clone(), fetch, clock.clone())
        }
        None => known,
    }
}

/// Counts calls, and where that is wanted knows of budgets before their holders call.
fn metered(
    config: &Config,
    live: &Live,
    (store, counters): (&Store, &Arc<Counts>),
    ledger: &LiveLedger,
) -> Meter {
    let (meter, settings) = (meter(config, live, counters), &config.metrics);
    if settings.litellm && settings.budgets_first {
        let (calendar, most) = (config.money.calendar.clone(), settings.most_series);
        let (store, clock) = (store.clone(), Arc::new(SystemClock));
        ledger.beside(Holders { store, clock, calendar, meter: meter.clone(), most }.run());
    }
    meter
}

/// Knows the database's end users and tags.
fn joined(config: &Config, store: &Store, clock: &Arc<SystemClock>) -> Joined {
    let customers = &config.money.customers;
    let settings = JoinedSettings {
        keep: config.access.keep,
        fail_open: customers.fail_open,
        known_only: customers.known_only,
    };
    Joined::new(Arc::new(StoredParties::of(&config.money, store, clock)), settings, clock.clone())
}

fn assemble(
    config: &Config,
    (live, call_rules, authenticator, joined): (&Live, Arc<CallRules>, Authenticator, Joined),
    transport: Transport,
    telemetry: &gatewright_telemetry::Guard,
    (Books { store, journal, ledger, counters }, seen): (Books, Seen),
) -> (pipeline::Policies, pipeline::AttemptPolicies, Ports) {
    let Seen { findings, alerting, answers, sinks, meter } = seen;
    let clock = Arc::new(SystemClock);
    let (table, registry, prices) = (live.table.clone(), live.registry.clone(), live.prices.clone());
    let tracer = telemetry.tracer();
    let pricing: gatewright_telemetry::Pricing = {
        let prices = prices.clone();
        Arc::new(move |deployment, usage| prices.cost(deployment, usage))
    };
    let money = &config.money;
    let needs = Arc::new(Needs::new(table.clone(), prices.clone(), money.least_output));
    let limits = |rules: Arc<dyn Rules>| Limits::new(rules, counters.clone(), needs.clone(), clock.clone());
    let (soft_budgets, crossed) = alerting.budgets(call_rules.clone(), clock.clone());
    let mirrors = Mirrors::default();
    let upstream = Upstream::new(registry.clone(), transport, tracer.clone(), config.upstream)
        .with_links(config.links.clone());
    // Where settings are kept in the database there may be a cache later.
    let hits = match config.cache.is_some() || config.store_models {
        true => Hits::new(journal.clone(), clock.clone()),
        false => Hits::none(),
    };
    let policies = pipeline::Policies {
        recorded: Recorded::new(sinks.clone()),
        call_trace: Traced::call(tracer).priced_by(pricing.clone()),
        meter: meter.calls(),
        joined,
        alerted: alerting.calls(),
        soft_budgets,
        call_limits: limits(call_rules).waiting(money.wait).refusing_budgets_with(money.status),
        cache_trace: Traced::cache(tracer),
        hits,
        cache: answers.policy(),
        route_trace: Traced::route(tracer),
        router: Router::new(table.clone()),
        mirrors: mirrors.clone(),
    };
    let below = pipeline::AttemptPolicies {
        attempt_trace: Traced::attempt(tracer).priced_by(pricing),
        deployment_limits: limits(live.rules.clone()).of_deployments(),
        ledger: Ledgered::new(journal.clone(), prices, clock.clone()).audited_by(meter.auditor()),
        upstream: upstream.clone(),
    };
    let ports = Ports {
        authenticator,
        credentials: config.access.clone(),
        directory: live.models.clone(),
        refusals: Uncalled::of(&meter, tracer),
        health: Arc::new(Observed {
            table,
            registry,
            findings,
            journal,
            ledger,
            crossed,
            counters,
            mirrors,
            meter,
            alerts: alerting.alerts(),
            sinks,
            spans: telemetry.counts(),
            answers,
        }),
        conversations: conversations(config, store, clock),
        upstreams: Arc::new(Keepers(upstream)),
        document: LazyLock::new(|| openapi::document().to_string().into()),
    };
    (policies, below, ports)
}

/// Keeps answers that can be gone on from.
fn conversations(config: &Config, store: Store, clock: Arc<SystemClock>) -> Arc<dyn Conversations> {
    let limits = config.gateway.kept_responses;
    let memory = Remembered::new(limits, clock);
    match config.store_responses {
        true => Arc::new(StoredConversations { store, lifetime: limits.lifetime, memory }),
        false => Arc::new(memory),
    }
}
