//! `/reload/model_cost_map` and what belongs to it: the price map, loaded while calls go on.

use std::num::NonZeroU64;
use std::time::SystemTime;

use http::StatusCode;
use serde_json::{Value, json};

use crate::Waiting;
use crate::ask::Ask;
use crate::calendar::printed;
use crate::failure::{Failure, Result};

/// The price map.
pub trait CostMap: Send + Sync + 'static {
    /// Loads it anew. Answers how many models it has, as soon as calls are priced by it.
    fn reload(&self) -> Waiting<'_, std::result::Result<usize, NotReloaded>>;

    /// Loads it every so many hours from now on, or not by itself.
    fn schedule(&self, hours: Option<NonZeroU64>) -> std::result::Result<(), NotReloaded>;

    /// Where it comes from, and what became of it.
    fn state(&self) -> CostMapState;
}

/// Why the prices are still those from before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReloaded {
    /// The operator names no map, or wants none.
    Unnamed(&'static str),
    /// It did not come, or is no good.
    Kept(String),
}

/// Where the price map comes from, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CostMapState {
    /// Where the prices in force are from: `local` for what is shipped, else `remote` or `file`.
    pub source: &'static str,
    /// Where the map is, without a secret; `None` where there is none.
    pub address: Option<String>,
    /// Whether the environment wants what is shipped.
    pub is_forced: bool,
    /// Why the last map was not taken.
    pub failure: Option<String>,
    /// How many models there are.
    pub models: usize,
    /// How often it is loaded by itself.
    pub hours: Option<NonZeroU64>,
    /// When a map was taken last.
    pub last: Option<SystemTime>,
    /// When it will be loaded by itself.
    pub next: Option<SystemTime>,
}

/// `POST /reload/model_cost_map`.
pub(crate) async fn reload(ask: &mut Ask) -> Result<Value> {
    let models = ask.admin.cost_map.reload().await?;
    Ok(json!({
        "message": format!("Price data reloaded successfully! {models} models updated."),
        "status": "success",
        "models_count": models,
        "timestamp": printed(ask.now()),
    }))
}

/// `POST /schedule/model_cost_map_reload`.
pub(crate) async fn schedule(ask: &mut Ask) -> Result<Value> {
    let hours = ask.required_param("hours")?.parse().map_err(|_| {
        Failure::detail(StatusCode::BAD_REQUEST, "Hours must be greater than 0, and a whole number")
    })?;
    ask.admin.cost_map.schedule(Some(hours))?;
    Ok(json!({
        "message": format!("Model cost map reload scheduled for every {hours} hours"),
        "status": "success",
        "interval_hours": hours,
        "timestamp": printed(ask.now()),
    }))
}

/// `DELETE /schedule/model_cost_map_reload`.
pub(crate) async fn cancel(ask: &mut Ask) -> Result<Value> {
    ask.admin.cost_map.schedule(None)?;
    Ok(json!({
        "message": "Model cost map reload schedule cancelled",
        "status": "success",
        "timestamp": printed(ask.now()),
    }))
}

/// `GET /schedule/model_cost_map_reload/status`.
pub(crate) async fn status(ask: &mut Ask) -> Result<Value> {
    let state = ask.admin.cost_map.state();
    Ok(json!({
        "scheduled": state.hours.is_some(),
        "interval_hours": state.hours,
        "last_run": state.last.map(printed),
        "next_run": state.next.map(printed),
    }))
}

/// `GET /model/cost_map/source`.
pub(crate) async fn source(ask: &mut Ask) -> Result<Value> {
    let state = ask.admin.cost_map.state();
    Ok(json!({
        "source": state.source,
        "url": state.address,
        "is_env_forced": state.is_forced,
        "fallback_reason": state.failure,
        "model_count": state.models,
    }))
}

impl From<NotReloaded> for Failure {
    fn from(why: NotReloaded) -> Self {
        match why {
            NotReloaded::Unnamed(words) => Self::detail(StatusCode::BAD_REQUEST, words),
            NotReloaded::Kept(why) => {
                let words = format!("Failed to reload model cost map: {why}. Current pricing data was kept.");
                Self::detail(StatusCode::BAD_GATEWAY, &words)
            }
        }
    }
}
