//! `/cache/…`: whether the cache of answers is there, what is in its Redis, and forgetting what is kept.

mod fields;
mod secrets;
mod settings;

pub use fields::cache_settings_schema;
pub use secrets::{CACHE_SETTINGS, opened_cache_settings};
pub(crate) use settings::{drop_stored, show, test, update};

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::Waiting;
use crate::ask::Ask;
use crate::failure::{Failure, Result};
use crate::form;

/// The cache of answers.
pub trait Answers: Send + Sync + 'static {
    /// What it keeps answers in and what it did so far; `None` where none are kept.
    fn state(&self) -> Option<AnswersState>;

    /// Ready when its Redis has answered, where it has one.
    fn ping(&self) -> Waiting<'_, gatewright_core::Result<()>>;

    /// What its Redis says of itself and of its clients; `None` where it has none.
    fn info(&self) -> Waiting<'_, gatewright_core::Result<Option<(String, String)>>>;

    /// Forgets what is kept under these keys.
    fn forget(&self, keys: Vec<Arc<str>>) -> Waiting<'_, gatewright_core::Result<u64>>;

    /// Forgets everything.
    fn clear(&self) -> Waiting<'_, gatewright_core::Result<()>>;

    /// The settings that the configuration and the environment have for it, secrets in clear: those of `cache_params`.
    fn configured(&self) -> Map<String, Value>;

    /// Names the settings among these that nobody knows; or why it could not be as they say. Nothing is asked of anybody.
    fn check(&self, settings: &Map<String, Value>) -> std::result::Result<Vec<String>, String>;

    /// Whether the Redis that they name answers in time; else why not.
    fn reach<'a>(&'a self, settings: &'a Map<String, Value>) -> Waiting<'a, std::result::Result<(), String>>;
}

/// What answers are kept in, and what the cache did so far.
#[derive(Clone, Debug, Default)]
pub struct AnswersState {
    /// `local` or `redis`.
    pub kind: &'static str,
    /// What was counted, by its name.
    pub figures: Vec<(&'static str, u64)>,
}

/// More keys are not forgotten at once.
const MOST_KEYS: usize = 10_000;

/// `GET /cache/ping`.
pub(crate) async fn ping(ask: &mut Ask) -> Result<Value> {
    let state = state(ask)?;
    ask.admin.answers.ping().await?;
    let figures: Map<String, Value> =
        state.figures.into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect();
    Ok(json!({
        "status": "healthy",
        "cache_type": state.kind,
        "ping_response": true,
        "set_cache_response": "success",
        "figures": figures,
    }))
}

/// `POST /cache/delete`.
pub(crate) async fn delete(ask: &mut Ask) -> Result<Value> {
    state(ask)?;
    let keys = form::list(&ask.body, "keys")?;
    if keys.len() > MOST_KEYS {
        let words = format!("at most {MOST_KEYS} keys are forgotten at once");
        return Err(Failure::detail(StatusCode::BAD_REQUEST, &words));
    }
    let deleted = ask.admin.answers.forget(keys.into_iter().map(Arc::from).collect()).await?;
    Ok(json!({"status": "success", "deleted": deleted}))
}

/// `POST /cache/flushall`.
pub(crate) async fn flush(ask: &mut Ask) -> Result<Value> {
    state(ask)?;
    ask.admin.answers.clear().await?;
    Ok(json!({"status": "success"}))
}

/// `GET /cache/redis/info`.
pub(crate) async fn info(ask: &mut Ask) -> Result<Value> {
    state(ask)?;
    let Some((info, clients)) = ask.admin.answers.info().await? else {
        return Err(Failure::detail(StatusCode::BAD_REQUEST, "Cache type local does not support redis info"));
    };
    let clients: Vec<&str> = clients.lines().filter(|line| !line.is_empty()).collect();
    Ok(json!({"num_clients": clients.len(), "clients": clients, "info": fields(&info)}))
}

fn state(ask: &Ask) -> Result<AnswersState> {
    let none =
        || Failure::detail(StatusCode::SERVICE_UNAVAILABLE, "Cache not initialized. litellm.cache is None");
    ask.admin.answers.state().ok_or_else(none)
}

/// `name:value` a line.
fn fields(info: &str) -> Map<String, Value> {
    let lines = info.lines().filter_map(|line| line.trim().split_once(':'));
    lines.map(|(name, value)| (name.to_owned(), value.into())).collect()
}
