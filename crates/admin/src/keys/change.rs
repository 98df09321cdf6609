//! What is done to keys that are there: told, changed, blocked, deleted.

use gatewright_store::{Column, Object, Step};
use serde_json::{Map, Value, json};

use super::{generate, scope};
use crate::ask::Ask;
use crate::failure::{Failure, Result};
use crate::form;
use crate::giver;
use crate::objects;
use crate::resets;
use crate::rotation;
use crate::table::View;
use crate::tables::KEY;

/// `GET /key/info`: a key, or the caller's own.
pub(crate) async fn info(ask: &mut Ask) -> Result<Value> {
    let Some(key) = ask.param("key").map(str::to_owned) else {
        let own = ask.actor.key.as_ref().ok_or_else(|| Failure::missing("No key was given"))?;
        return Ok(json!({"key": own.id, "info": told(ask, own).await?}));
    };
    let object = find(ask, &key).await?;
    // Whoever holds a key may be told of it.
    let own = ask.actor.key.as_ref().is_some_and(|own| own.id == object.id);
    if !own {
        scope::allowed(ask, &object.draft.parents).await?;
    }
    Ok(json!({"key": key, "info": told(ask, &object).await?}))
}

/// `POST /key/update`.
pub(crate) async fn update(ask: &mut Ask) -> Result<Value> {
    let mut wishes = ask.read(&KEY, &["key"])?;
    let key = ask.required("key")?.to_owned();
    generate::routes_of_type(&mut wishes)?;
    let before = find(ask, &key).await?;
    scope::allowed(ask, &before.draft.parents).await?;
    scope::untouched(ask, &before.draft.parents, &wishes)?;
    let mut draft = before.draft.clone();
    KEY.write(&mut draft, &wishes, ask.times());
    rotation::plan(ask, &mut draft, &wishes)?;
    let spend = resets::wished(&wishes);
    resets::note(ask, &mut draft, spend);
    scope::settle(ask, &mut draft, before.draft.parents.user.as_deref()).await?;
    generate::free_alias(ask, draft.alias.as_deref(), Some(&before.id)).await?;
    // Its version says that nobody changed what the decisions above were made on.
    let step = Step::Change { kind: KEY.kind, id: before.id, version: before.version, draft };
    let after = resets::write(ask, vec![step], spend).await?;
    let mut told = objects::shown(ask, &KEY, &after, View::Told).await?;
    told.insert("key".into(), key.into());
    Ok(told.into())
}

/// `POST /key/block`.
pub(crate) async fn block(ask: &mut Ask) -> Result<Value> {
    set_blocked(ask, true).await
}

/// `POST /key/unblock`.
pub(crate) async fn unblock(ask: &mut Ask) -> Result<Value> {
    set_blocked(ask, false).await
}

/// `POST /key/delete`: by keys, hashes or aliases; all of them or none.
pub(crate) async fn delete(ask: &mut Ask) -> Result<Value> {
    let keys = form::list(&ask.body, "keys")?;
    let aliases = form::list(&ask.body, "key_aliases")?;
    let named = if keys.is_empty() { &aliases } else { &keys };
    let mut found = Vec::new();
    if keys.is_empty() {
        found = objects::with(ask, KEY.kind, Column::Alias, aliases.clone()).await?;
    } else {
        let ids: Vec<String> = keys.iter().map(|key| giver::hash(key).to_string()).collect();
        found.extend(ask.rows(&KEY).find_many(&ids).await?);
    }
    if found.is_empty() || found.len() < named.len() {
        return Err(Failure::missing("No keys found"));
    }
    for object in &found {
        scope::allowed(ask, &object.draft.parents).await?;
    }
    for object in &found {
        ask.rows(&KEY).delete(&object.id, &ask.actor.name()).await?;
    }
    Ok(json!({"deleted_keys": named}))
}

/// `POST /key/health`: no key has a receiver of logs of its own.
pub(crate) async fn health(_: &mut Ask) -> Result<Value> {
    Ok(json!({"key": "healthy", "logging_callbacks": null}))
}

/// The key that is named by itself or by its hash.
pub(crate) async fn find(ask: &Ask, key: &str) -> Result<Object> {
    let missing = || {
        Failure::new(http::StatusCode::NOT_FOUND, "not_found_error", Some("key"), "Key not found in database")
    };
    ask.rows(&KEY).find(&giver::hash(key)).await?.ok_or_else(missing)
}

async fn set_blocked(ask: &mut Ask, blocked: bool) -> Result<Value> {
    let key = ask.required("key")?.to_owned();
    let object = find(ask, &key).await?;
    scope::allowed(ask, &object.draft.parents).await?;
    let after = objects::edit(ask, &KEY, &object.id, |before| {
        Ok(gatewright_store::Draft { blocked, ..before.draft.clone() })
    })
    .await?;
    Ok(objects::shown(ask, &KEY, &after, View::Told).await?.into())
}

async fn told(ask: &Ask, object: &Object) -> Result<Map<String, Value>> {
    let mut told = objects::shown(ask, &KEY, object, View::Told).await?;
    let over = object.draft.expires_at.is_some_and(|at| at <= ask.now());
    let status = match (object.draft.blocked, over) {
        (true, _) => "blocked",
        (false, true) => "expired",
        (false, false) => "active",
    };
    told.insert("status".into(), status.into());
    told.remove("token");
    Ok(told)
}
