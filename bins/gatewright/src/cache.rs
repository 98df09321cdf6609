//! What this gateway keeps answers in.

use std::pin::Pin;
use std::sync::Arc;

use gatewright_cache::similar::Alike;
use gatewright_cache::{Cache, Figures, Link, Memory, Redis, RedisSettings, Server, Tiers};
use gatewright_core::Clock;
use gatewright_transport::Transport;
use redis::cluster::ClusterClientBuilder;

use crate::StartError;
use crate::adapters::{Embeddings, KeptAnswers};
use crate::config::{Config, RedisSettings as Place};
use crate::counts;
use crate::similar::{self, Opened};

/// What answers are kept in, and what is known of it.
pub(crate) struct Answers {
    /// The policy of calls.
    pub(crate) policy: Cache<Alike<Tiers>>,
    /// The same, as administrators ask for it.
    pub(crate) kept: KeptAnswers,
    /// What it did, where there is a cache.
    pub(crate) figures: Option<Arc<Figures>>,
    /// What keeps answers beside the calls, as long as it runs.
    pub(crate) beside: Vec<Task>,
    /// The embedding model, where questions are compared by what they mean.
    pub(crate) embeddings: Option<Arc<Embeddings>>,
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Opens what the configuration names.
pub(crate) fn open(
    config: &Config,
    transport: &Transport,
    clock: Arc<dyn Clock>,
) -> Result<Answers, StartError> {
    let figures: Arc<Figures> = Arc::default();
    let Some(settings) = &config.cache else {
        let kept = KeptAnswers { tiers: None, similar: None, figures };
        let policy = Cache::off();
        return Ok(Answers { policy, kept, figures: None, beside: Vec::new(), embeddings: None });
    };
    let memory = Memory::new(settings.memory_bytes, settings.memory_ttl, clock.clone());
    let mut beside: Vec<Task> = Vec::new();
    let link = settings.redis.as_ref().map(|redis| server(&redis.place)).transpose()?;
    let link = link.map(|server| Link::new(server, clock.clone()));
    let tiers = match settings.redis.as_ref().zip(link.clone()) {
        None => Tiers::local(memory),
        Some((redis, link)) => {
            let of = RedisSettings { deadline: redis.deadline, ttl: redis.ttl, ..RedisSettings::default() };
            let (opened, writing) = Redis::open(link, of, figures.clone(), clock.clone());
            beside.push(Box::pin(writing));
            Tiers::shared(opened, redis.memory.then_some(memory))
        }
    };
    let opened = similar::open(settings, link, transport, clock.clone())?.map(
        |Opened { similar, keeper, embeddings }| {
            beside.push(Box::pin(keeper.run()));
            (similar, embeddings)
        },
    );
    let (similar, embeddings) = opened.unzip();
    let alike = Alike::new(tiers.clone(), similar.clone());
    let policy = Cache::new(alike, settings.answers.clone(), figures.clone(), clock);
    let kept = KeptAnswers { tiers: Some(tiers), similar, figures: figures.clone() };
    Ok(Answers { policy, kept, figures: Some(figures), beside, embeddings })
}

/// Whoever answers at a place.
fn server(place: &Place) -> Result<Server, StartError> {
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
