//! What this gateway keeps answers in.

use std::pin::Pin;
use std::sync::Arc;

use gatewright_cache::similar::Alike;
use gatewright_cache::{Cache, Figures, Memory, Redis, RedisSettings, Server, Tiers};
use gatewright_core::Clock;
use gatewright_transport::Transport;
use redis::cluster::ClusterClientBuilder;

use crate::StartError;
use crate::config::{CacheRedis, Config};
use crate::counts;
use crate::similar::{self, Opened};

/// What answers are kept in, and what is known of it.
pub(crate) struct Answers {
    /// The policy of calls.
    pub(crate) policy: Cache<Alike<Tiers>>,
    /// Where they are kept; nothing where they are not.
    pub(crate) tiers: Option<Tiers>,
    /// What was counted.
    pub(crate) figures: Arc<Figures>,
    /// Writes to Redis as long as it runs.
    pub(crate) writing: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// What compares questions by what they mean, where something does.
    pub(crate) similar: Option<Opened>,
}

/// Opens what the configuration names.
pub(crate) fn open(
    config: &Config,
    transport: &Transport,
    clock: Arc<dyn Clock>,
) -> Result<Answers, StartError> {
    let figures: Arc<Figures> = Arc::default();
    let Some(settings) = &config.cache else {
        return Ok(Answers { policy: Cache::off(), tiers: None, figures, writing: None, similar: None });
    };
    let memory = Memory::new(settings.memory_bytes, settings.memory_ttl, clock.clone());
    let (tiers, writing) = match &settings.redis {
        None => (Tiers::local(memory), None),
        Some(redis) => {
            let of = RedisSettings { deadline: redis.deadline, ttl: redis.ttl, ..RedisSettings::default() };
            let (opened, writing) = Redis::open(server(redis)?, of, figures.clone(), clock.clone());
            let writing: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(writing);
            (Tiers::shared(opened, redis.memory.then_some(memory)), Some(writing))
        }
    };
    let similar = similar::open(settings, transport, clock.clone())?;
    let alike = Alike::new(tiers.clone(), similar.as_ref().map(|opened| opened.similar.clone()));
    let policy = Cache::new(alike, settings.answers.clone(), figures.clone(), clock);
    Ok(Answers { policy, tiers: Some(tiers), figures, writing, similar })
}

fn server(redis: &CacheRedis) -> Result<Server, StartError> {
    let place = &redis.place;
    let unusable = |err| StartError::new("cannot use this redis", &err);
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
