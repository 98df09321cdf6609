//! `/key/generate`: a new key, shown once.

use gatewright_store::{Column, Draft, Filter, Kind, Object, Query};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::scope;
use crate::ask::Ask;
use crate::failure::{Failure, Result};
use crate::giver;
use crate::objects;
use crate::resets;
use crate::rotation;
use crate::table::View;
use crate::tables::KEY;

/// What a body may say that is no field of a key.
const BESIDE: [&str; 2] = ["key", "send_invite_email"];

/// `POST /key/generate`.
pub(crate) async fn generate(ask: &mut Ask) -> Result<Value> {
    let wishes = ask.read(&KEY, &BESIDE)?;
    Ok(Value::Object(grant(ask, wishes).await?))
}

/// `POST /key/service-account/generate`: a key of a team and of nobody.
pub(crate) async fn service_account(ask: &mut Ask) -> Result<Value> {
    let mut wishes = ask.read(&KEY, &BESIDE)?;
    if wishes.get("team_id").is_none_or(Value::is_null) {
        return Err(Failure::bad("team_id", "team_id is required for service account keys."));
    }
    wishes.remove("user_id");
    if let Value::Object(metadata) = wishes.entry("metadata").or_insert_with(|| json!({})) {
        metadata.entry("service_account_id").or_insert_with(|| Uuid::new_v4().to_string().into());
    }
    Ok(Value::Object(grant(ask, wishes).await?))
}

/// Makes a key; answers it with everything that is known of it.
pub(crate) async fn grant(ask: &Ask, mut wishes: Map<String, Value>) -> Result<Map<String, Value>> {
    let key = key(ask)?;
    let none = |name: &str| wishes.get(name).is_none_or(Value::is_null);
    let leads = wishes.get("team_id").and_then(Value::as_str).is_some_and(|team| ask.actor.leads(team));
    if !ask.actor.is_admin() && none("user_id") && !leads {
        wishes.insert("user_id".into(), ask.actor.user().into());
    }
    routes_of_type(&mut wishes)?;
    let mut draft = Draft::default();
    KEY.write(&mut draft, &wishes, ask.times());
    rotation::plan(ask, &mut draft, &wishes)?;
    let spend = resets::wished(&wishes);
    resets::note(ask, &mut draft, spend);
    scope::settle(ask, &mut draft, None).await?;
    free_alias(ask, draft.alias.as_deref(), None).await?;
    draft.fields.insert("key_name".into(), giver::name(&key).into());
    let object = objects::insert_and_spend(ask, &KEY, &giver::hash(&key), draft, spend).await?;
    shown(ask, &object, &key).await
}

/// The answer that has the key itself.
pub(crate) async fn shown(ask: &Ask, object: &Object, key: &str) -> Result<Map<String, Value>> {
    let mut told = objects::shown(ask, &KEY, object, View::Made).await?;
    told.insert("key".into(), key.into());
    Ok(told)
}

/// Two keys must not have the same alias. The database holds it too; here the words are LiteLLM's.
pub(crate) async fn free_alias(ask: &Ask, alias: Option<&str>, but: Option<&str>) -> Result<()> {
    let Some(alias) = alias else { return Ok(()) };
    let query = Query::of([Filter::Is(Column::Alias, alias.to_owned())]);
    let others = ask.store().objects(Kind::Key).list(&query).await?;
    if others.iter().all(|other| Some(other.id.as_str()) == but) {
        return Ok(());
    }
    let words =
        format!("Key with alias '{alias}' already exists. Unique key aliases across all keys are required.");
    Err(Failure::bad("key_alias", &words))
}

/// The client's own key, or a fresh one.
fn key(ask: &Ask) -> Result<String> {
    match ask.body.get("key") {
        None | Some(Value::Null) => Ok(giver::fresh()),
        Some(Value::String(key)) if key.starts_with("sk-") && key.len() >= 16 => Ok(key.clone()),
        Some(_) => {
            let words =
                "Invalid key format. A key is a text that starts with 'sk-' and has at least 16 characters.";
            Err(Failure::bad("key", words))
        }
    }
}

/// A type of key is a list of routes.
pub(crate) fn routes_of_type(wishes: &mut Map<String, Value>) -> Result<()> {
    let group = match wishes.get("key_type").and_then(Value::as_str) {
        None | Some("default") => return Ok(()),
        Some("llm_api") => "llm_api_routes",
        Some("management") => "management_routes",
        Some("read_only") => "info_routes",
        Some(_) => {
            let words = "Input should be 'llm_api', 'management', 'read_only' or 'default'";
            return Err(Failure::form(&["key_type".into()], ("enum", words), &wishes["key_type"]));
        }
    };
    let said = wishes.get("allowed_routes").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    if !said {
        wishes.insert("allowed_routes".into(), json!([group]));
    }
    Ok(())
}
