//! What this gateway keeps questions in that are compared by what they mean.

use std::sync::Arc;

use gatewright_cache::similar::{Keeper, Local, Neighbours, Qdrant, RedisSearch, Similar};
use gatewright_cache::{Link, Server, Settings};
use gatewright_core::Clock;
use gatewright_transport::Transport;
use tracing::warn;

use crate::StartError;
use crate::adapters::{Embedder, Embeddings};
use crate::config::{CacheSettings, RedisSettings, SimilarCache, SimilarPlace};
use crate::counts;

/// What compares questions.
pub(crate) struct Opened {
    pub(crate) similar: Similar,
    /// Keeps answers as long as it runs.
    pub(crate) keeper: Keeper,
}

/// Opens what the configuration names, if it names something. What is kept in Redis is so where `link` leads.
pub(crate) fn open(
    cache: &CacheSettings,
    link: Option<Link>,
    (embedder, transport): (&Embedder, &Transport),
    clock: Arc<dyn Clock>,
) -> Result<Option<Opened>, StartError> {
    let Some(settings) = &cache.similar else { return Ok(None) };
    let questions = settings.questions.clone();
    let embeddings =
        Arc::new(Embeddings::new(questions.model.clone(), questions.embedding_patience, embedder.clone()));
    let same = Settings { scope: settings.scope, ..cache.answers.clone() };
    let neighbours = neighbours(settings, link, transport.clone(), clock)?;
    let (similar, keeper) = Similar::new(questions, same, embeddings, neighbours);
    Ok(Some(Opened { similar, keeper }))
}

fn neighbours(
    settings: &SimilarCache,
    link: Option<Link>,
    transport: Transport,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Neighbours>, StartError> {
    Ok(match &settings.place {
        SimilarPlace::Local(limits) => Arc::new(Local::new(*limits, clock)),
        SimilarPlace::Qdrant(settings) => {
            let opened = Qdrant::new(settings.clone(), transport, clock);
            Arc::new(opened.map_err(|err| StartError::new("cannot use this qdrant", &err))?)
        }
        SimilarPlace::Redis { server, index, usual } => {
            let link = match link.filter(|_| !server.cluster) {
                Some(link) => link,
                None => Link::new(first_node(server)?, clock.clone()),
            };
            let times = (*usual, settings.questions.patience);
            Arc::new(RedisSearch::new(link, index, times, clock))
        }
    })
}

/// An index of one node knows what is on that node: it is asked for itself, and not as a part of its cluster.
fn first_node(place: &RedisSettings) -> Result<Server, StartError> {
    let [first, others @ ..] = &place.servers[..] else {
        return Err(StartError::new("cannot use this redis", &"no server is named"));
    };
    if !others.is_empty() {
        warn!("questions are kept on the first of the named nodes of redis only");
    }
    Ok(Server::One(Box::new(counts::client(first, &place.certificates)?)))
}
