//! What this gateway keeps questions in that are compared by what they mean.

use std::sync::Arc;

use gatewright_cache::Settings;
use gatewright_cache::similar::{Keeper, Local, Neighbours, Qdrant, RedisSearch, Similar};
use gatewright_core::{CallService, Clock, Shared};
use gatewright_routing::Router;
use gatewright_transport::Transport;
use tracing::warn;

use crate::StartError;
use crate::adapters::Embeddings;
use crate::config::{Config, SimilarPlace};
use crate::counts;

/// Opens what the configuration names, if it names something. The embedding model is asked through `router` and `attempts`.
pub(crate) fn open<S: CallService>(
    config: &Config,
    router: &Router,
    attempts: &Shared<S>,
    (transport, clock): (Transport, Arc<dyn Clock>),
) -> Result<Option<(Similar, Keeper)>, StartError> {
    let Some(cache) = &config.cache else { return Ok(None) };
    let Some(settings) = &cache.similar else { return Ok(None) };
    let questions = settings.questions.clone();
    let embed = Embeddings {
        router: router.clone(),
        attempts: attempts.clone(),
        model: questions.model.clone(),
        patience: questions.embedding_patience,
    };
    let same = Settings { scope: settings.scope, ..cache.answers.clone() };
    let neighbours = neighbours(&settings.place, transport, clock)?;
    Ok(Some(Similar::new(questions, same, Arc::new(embed), neighbours)))
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
            let [first, others @ ..] = &server.servers[..] else {
                return Err(StartError::new("cannot use this redis", &"no server is named"));
            };
            if !others.is_empty() {
                warn!("questions are kept on the first of the named nodes of redis only");
            }
            let client = counts::client(first, &server.certificates)?;
            Arc::new(RedisSearch::new(client, index, *usual))
        }
    })
}
