//! What this gateway keeps questions in that are compared by what they mean.

use std::sync::Arc;

use gatewright_cache::Settings;
use gatewright_cache::similar::{Keeper, Local, Neighbours, Qdrant, RedisSearch, Similar};
use gatewright_core::Clock;
use gatewright_transport::Transport;
use tracing::warn;

use crate::StartError;
use crate::adapters::Embeddings;
use crate::config::{CacheSettings, SimilarPlace};
use crate::counts;

/// What compares questions.
pub(crate) struct Opened {
    pub(crate) similar: Similar,
    /// Keeps answers as long as it runs.
    pub(crate) keeper: Keeper,
    /// The embedding model, which is told later what it is asked through.
    pub(crate) embeddings: Arc<Embeddings>,
}

/// Opens what the configuration names, if it names something.
pub(crate) fn open(
    cache: &CacheSettings,
    transport: &Transport,
    clock: Arc<dyn Clock>,
) -> Result<Option<Opened>, StartError> {
    let Some(settings) = &cache.similar else { return Ok(None) };
    let questions = settings.questions.clone();
    let embeddings = Arc::new(Embeddings::new(questions.model.clone(), questions.embedding_patience));
    let same = Settings { scope: settings.scope, ..cache.answers.clone() };
    let neighbours = neighbours(&settings.place, transport.clone(), clock)?;
    let (similar, keeper) = Similar::new(questions, same, embeddings.clone(), neighbours);
    Ok(Some(Opened { similar, keeper, embeddings }))
}

fn neighbours(
    place: &SimilarPlace,
    transport: Transport,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Neighbours>, StartError> {
    Ok(match place {
        SimilarPlace::Local(limits) => Arc::new(Local::new(*limits, clock)),
        SimilarPlace::Qdrant(settings) => {
            let opened = Qdrant::new(settings.clone(), transport, clock);
            Arc::new(opened.map_err(|err| StartError::new("cannot use this qdrant", &err))?)
        }
        SimilarPlace::Redis { server, index, usual } => {
            if server.sentinels.is_some() {
                let words =
                    "sentinels are not asked for the semantic cache; name the `host` that follows a failover";
                return Err(StartError::new("cannot use this redis", &words));
            }
            let [first, others @ ..] = &server.servers[..] else {
                return Err(StartError::new("cannot use this redis", &"no server is named"));
            };
            if !others.is_empty() {
                warn!("questions are kept on the first of the named nodes of redis only");
            }
            let client = counts::client(first, &server.certificates)?;
            Arc::new(RedisSearch::new(client, index, *usual, clock))
        }
    })
}
