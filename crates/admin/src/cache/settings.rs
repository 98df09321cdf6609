//! `/cache/settings`: what answers are kept in, changed while the gateway runs.

use gatewright_store::{Draft, Kind, Object};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::fields::{self, REDIS_TYPE, REDIS_TYPES};
use super::secrets::{
    CACHE_SETTINGS, Lost, merged, opened_cache_settings, sealed, url_first, veiled, without_secrets,
};
use crate::ask::Ask;
use crate::failure::{Failure, Result};
use crate::models::{unreadable, vault};
use crate::vault::Unreadable;

/// What a body says the settings in.
const FIELD: &str = "cache_settings";

/// Settings are no larger, in bytes of JSON.
const MOST_BYTES: usize = 64 << 10;

/// `GET /cache/settings`: what can be set, and what is: by administrators, or else in the configuration.
pub(crate) async fn show(ask: &mut Ask) -> Result<Value> {
    let settings = settings(ask, row(ask).await?.as_ref()).map_err(unreadable)?;
    let mut values = veiled(&url_first(settings));
    if values.get("type").and_then(Value::as_str) == Some("redis") {
        let named = |name: &str| values.contains_key(name);
        let kind = match (named("redis_startup_nodes"), named("sentinel_nodes")) {
            (true, _) => "cluster",
            (false, true) => "sentinel",
            (false, false) => "node",
        };
        values.insert(REDIS_TYPE.into(), kind.into());
    }
    let types: Map<String, Value> =
        REDIS_TYPES.iter().map(|(name, words)| ((*name).to_owned(), (*words).into())).collect();
    Ok(json!({
        "fields": fields::shown(&values),
        "current_values": values,
        "redis_type_descriptions": types,
    }))
}

/// `POST /cache/settings`: keeps them, and has every replica put them into force.
pub(crate) async fn update(ask: &mut Ask) -> Result<Value> {
    if !ask.admin.deployments.are_stored() {
        let words = "Set `'STORE_MODEL_IN_DB='True'` in your env to enable this feature.";
        return Err(Failure::told(StatusCode::INTERNAL_SERVER_ERROR, words));
    }
    let row = row(ask).await?;
    let wanted = merged(&said(ask)?, &before(ask, row.as_ref()));
    let wanted = wanted.map_err(|lost| Failure::told(StatusCode::BAD_REQUEST, &lost.words()))?;
    let refusal = |why: String| Failure::told(StatusCode::BAD_REQUEST, &without_secrets(why, &wanted));
    let unknown = ask.admin.answers.check(&wanted).map_err(refusal)?;
    let wanted: Map<String, Value> = wanted.into_iter().filter(|(name, _)| !unknown.contains(name)).collect();
    ask.ignored.extend(unknown);
    let fields = match sealed(ask.admin.vault.as_ref(), &wanted) {
        Some(fields) => fields.map_err(unreadable)?,
        None => return Err(vault(ask).err().unwrap_or_else(|| unreadable(Unreadable))),
    };
    let (rows, draft) = (ask.store().objects(Kind::Setting), Draft { fields, ..Draft::default() });
    match row {
        Some(row) => rows.update(CACHE_SETTINGS, row.version, draft, &ask.actor.name()).await?,
        None => rows.insert(CACHE_SETTINGS, draft, &ask.actor.name()).await?,
    };
    Ok(json!({
        "message": "Cache settings updated successfully",
        "status": "success",
        "settings": veiled(&wanted),
    }))
}

/// `DELETE /cache/settings`: those of the configuration hold again.
pub(crate) async fn drop_stored(ask: &mut Ask) -> Result<Value> {
    let gone = ask.store().objects(Kind::Setting).delete(CACHE_SETTINGS, &ask.actor.name()).await?;
    match gone {
        Some(_) => Ok(json!({"message": "Cache settings deleted successfully", "status": "success"})),
        None => Err(Failure::told(StatusCode::NOT_FOUND, "no settings of the cache are stored")),
    }
}

/// `POST /cache/settings/test`: whether the Redis that they name answers. Nothing is kept, nothing changes.
pub(crate) async fn test(ask: &mut Ask) -> Result<Value> {
    let before = before(ask, row(ask).await?.as_ref());
    let settings = match merged(&said(ask)?, &before) {
        Ok(settings) => settings,
        Err(lost) => return Ok(failed(&lost.words())),
    };
    Ok(match ask.admin.answers.reach(&settings).await {
        Ok(()) => json!({"status": "success", "message": "Redis answers", "error": null}),
        Err(why) => failed(&without_secrets(why, &settings)),
    })
}

fn failed(why: &str) -> Value {
    json!({"status": "failed", "message": format!("Cache connection test failed: {why}"), "error": why})
}

/// What administrators set, where they did.
async fn row(ask: &Ask) -> Result<Option<Object>> {
    Ok(ask.store().objects(Kind::Setting).find(CACHE_SETTINGS).await?)
}

/// The settings that hold, in clear: those of the row, or else of the configuration.
fn settings(ask: &Ask, row: Option<&Object>) -> std::result::Result<Map<String, Value>, Unreadable> {
    match row {
        Some(row) => opened_cache_settings(ask.admin.vault.as_ref(), &row.draft.fields),
        None => Ok(ask.admin.answers.configured()),
    }
}

/// The same for new ones to be laid over. Of those that cannot be read nothing is kept, so that they can be replaced.
fn before(ask: &Ask, row: Option<&Object>) -> Map<String, Value> {
    settings(ask, row).unwrap_or_default()
}

fn said(ask: &Ask) -> Result<Map<String, Value>> {
    let said = ask.body.get(FIELD).ok_or_else(|| Failure::required(FIELD))?;
    let wrong = |words: &str| Failure::form(&[FIELD.into()], ("dict_type", words), &Value::Null);
    match said {
        Value::Object(_) if said.to_string().len() > MOST_BYTES => Err(wrong("Input is too large")),
        Value::Object(settings) => Ok(settings.clone()),
        _ => Err(wrong("Input should be a valid dictionary")),
    }
}

// === impl Lost ===

impl Lost {
    fn words(&self) -> String {
        format!("`{}` is kept for the place that it was set for only: give it again", self.0)
    }
}
