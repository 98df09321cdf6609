//! What this gateway keeps answers in.

use std::sync::Arc;

use gatewright_cache::{Cache, Figures, Memory, Redis, RedisSettings, Server, Tiers};
use gatewright_core::Clock;
use redis::cluster::ClusterClientBuilder;

use crate::StartError;
use crate::adapters::KeptAnswers;
use crate::config::{CacheRedis, Config};
use crate::counts;
use crate::ledger::LiveLedger;

/// Opens what the configuration names: the policy of calls, and what administrators ask of it. What goes to Redis is written
/// beside the ledger.
pub(crate) fn open(
    config: &Config,
    ledger: &LiveLedger,
    clock: Arc<dyn Clock>,
) -> Result<(Cache<Tiers>, Arc<KeptAnswers>), StartError> {
    let figures: Arc<Figures> = Arc::default();
    let Some(settings) = &config.cache else {
        return Ok((Cache::off(), Arc::new(KeptAnswers { tiers: None, figures })));
    };
    let memory = Memory::new(settings.memory_bytes, settings.memory_ttl, clock.clone());
    let tiers = match &settings.redis {
        None => Tiers::local(memory),
        Some(redis) => {
            let of = RedisSettings { deadline: redis.deadline, ttl: redis.ttl, ..RedisSettings::default() };
            let (opened, writing) = Redis::open(server(redis)?, of, figures.clone(), clock.clone());
            ledger.beside(writing);
            Tiers::shared(opened, redis.memory.then_some(memory))
        }
    };
    let policy = Cache::new(tiers.clone(), settings.answers.clone(), figures.clone(), clock);
    Ok((policy, Arc::new(KeptAnswers { tiers: Some(tiers), figures })))
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
