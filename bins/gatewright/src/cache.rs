//! What this gateway keeps answers in, and how that is replaced while calls go on.

use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use gatewright_cache::similar::{Alike, Similar};
use gatewright_cache::{Cache, Figures, Link, Memory, Redis, RedisSettings, Server, Tiers};
use gatewright_core::{CallService, Clock, Shared};
use gatewright_routing::Router;
use gatewright_transport::Transport;
use redis::cluster::ClusterClientBuilder;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::StartError;
use crate::adapters::Embedder;
use crate::config::{CacheReader, CacheSettings, Config, Environment, RedisSettings as Place};
use crate::counts;
use crate::similar::{self, Opened};

/// The cache of answers. Clones are of the same.
#[derive(Clone)]
pub(crate) struct LiveAnswers(Arc<Parts>);

struct Parts {
    /// The policy of calls.
    policy: Cache<Alike<Tiers>>,
    kept: ArcSwap<KeptIn>,
    /// What it did since the start, whatever answers are kept in.
    figures: Arc<Figures>,
    /// What embedding models are asked through.
    embedder: Embedder,
    transport: Transport,
    clock: Arc<dyn Clock>,
    reader: CacheReader,
    env: Environment,
    tasks: TaskTracker,
}

/// What answers are kept in now.
#[derive(Default)]
pub(crate) struct KeptIn {
    /// Where answers are kept, where they are.
    pub(crate) tiers: Option<Tiers>,
    /// What they are also kept in by what their questions mean, where they are.
    pub(crate) similar: Option<Similar>,
    /// Ends what keeps them beside the calls.
    _beside: Option<DropGuard>,
}

/// What answers may be kept in, before it is.
struct Ready {
    policy: Cache<Alike<Tiers>>,
    tiers: Tiers,
    similar: Option<Similar>,
    /// What keeps answers beside the calls, as long as it runs.
    beside: Vec<Task>,
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

// === impl LiveAnswers ===

impl LiveAnswers {
    /// Opens what the configuration names.
    pub(crate) fn open(
        config: &Config,
        env: Environment,
        transport: &Transport,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let live = Self(Arc::new(Parts {
            policy: Cache::off(),
            kept: ArcSwap::default(),
            figures: Arc::default(),
            embedder: Embedder::default(),
            transport: transport.clone(),
            clock,
            reader: config.cache_reader.clone(),
            env,
            tasks: TaskTracker::new(),
        }));
        live.put(config.cache.as_deref())?;
        Ok(live)
    }

    /// The policy of calls.
    pub(crate) fn policy(&self) -> Cache<Alike<Tiers>> {
        self.0.policy.clone()
    }

    /// What answers are kept in now.
    pub(crate) fn kept(&self) -> Arc<KeptIn> {
        self.0.kept.load_full()
    }

    /// What it did, where there is a cache.
    pub(crate) fn figures(&self) -> Option<&Figures> {
        self.0.kept.load().tiers.as_ref().map(|_| &*self.0.figures)
    }

    /// Reads settings that are said while the gateway runs.
    pub(crate) fn reader(&self) -> &CacheReader {
        &self.0.reader
    }

    /// What reads the environment.
    pub(crate) fn env(&self) -> &Environment {
        &self.0.env
    }

    /// From now on embedding models are asked through these.
    pub(crate) fn ask_through<S: CallService>(&self, router: Router, attempts: Shared<S>) {
        self.0.embedder.ask_through(router, attempts);
    }

    /// Fails where nothing can be as these settings say. Nothing is asked of anybody, and nothing changes.
    pub(crate) fn check(&self, settings: &CacheSettings) -> Result<(), StartError> {
        self.ready(settings).map(drop)
    }

    /// Keeps answers as these settings say from now on, or none: all of it is replaced, or nothing. A call that is on its
    /// way ends with what it began with.
    pub(crate) fn put(&self, settings: Option<&CacheSettings>) -> Result<(), StartError> {
        let parts = &*self.0;
        let Some(settings) = settings else {
            parts.policy.replace(&Cache::off());
            parts.kept.store(Arc::default());
            return Ok(());
        };
        let Ready { policy, tiers, similar, beside } = self.ready(settings)?;
        let stop = CancellationToken::new();
        for task in beside {
            parts.tasks.spawn(stop.clone().run_until_cancelled_owned(task));
        }
        let kept = KeptIn { tiers: Some(tiers), similar, _beside: Some(stop.drop_guard()) };
        parts.policy.replace(&policy);
        parts.kept.store(Arc::new(kept));
        Ok(())
    }

    fn ready(&self, settings: &CacheSettings) -> Result<Ready, StartError> {
        let Parts { figures, transport, clock, embedder, .. } = &*self.0;
        let memory = Memory::new(settings.memory_bytes, settings.memory_ttl, clock.clone());
        let mut beside: Vec<Task> = Vec::new();
        let link = settings.redis.as_ref().map(|redis| server(&redis.place)).transpose()?;
        let link = link.map(|server| Link::new(server, clock.clone()));
        let tiers = match settings.redis.as_ref().zip(link.clone()) {
            None => Tiers::local(memory),
            Some((redis, link)) => {
                let of =
                    RedisSettings { deadline: redis.deadline, ttl: redis.ttl, ..RedisSettings::default() };
                let (opened, writing) = Redis::open(link, of, figures.clone(), clock.clone());
                beside.push(Box::pin(writing));
                Tiers::shared(opened, redis.memory.then_some(memory))
            }
        };
        let opened = similar::open(settings, link, (embedder, transport), clock.clone())?;
        let similar = opened.map(|Opened { similar, keeper }| {
            beside.push(Box::pin(keeper.run()));
            similar
        });
        let alike = Alike::new(tiers.clone(), similar.clone());
        let policy = Cache::new(alike, settings.answers.clone(), figures.clone(), clock.clone());
        Ok(Ready { policy, tiers, similar, beside })
    }
}

/// Whoever answers at a place.
pub(crate) fn server(place: &Place) -> Result<Server, StartError> {
    let unusable = |err| StartError::new("cannot use this redis", &err);
    if let Some(asked) = &place.sentinels {
        return Ok(Server::Sentinels(counts::sentinels(place, asked)?));
    }
    match place.servers.as_slice() {
        [one] if !place.cluster => Ok(Server::One(Box::new(counts::client(one, &place.certificates)?))),
        nodes => {
            let mut cluster = ClusterClientBuilder::new(nodes.to_vec());
            if let Some(certificates) = counts::certificates(&place.certificates)? {
                cluster = cluster.certs(certificates);
            }
            Ok(Server::Cluster(Box::new(cluster.build().map_err(unusable)?)))
        }
    }
}
