//! `/credentials`: what providers are shown, under names that models give.

use gatewright_store::{Draft, Kind, Object, Order, Query};
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::ask::Ask;
use crate::deployments::Change;
use crate::failure::{Failure, Result};
use crate::form;
use crate::models::{check, place, unreadable, vault};
use crate::objects::{self, MOST};
use crate::secrets::{masked, opened, sealed};
use crate::tables::CREDENTIAL;

/// What a body may say that is no field of a credential.
const BESIDE: [&str; 3] = ["credential_name", "model_id", "credential_values_to_delete"];

/// `POST /credentials`: with values of its own, or with those of a deployment.
pub(crate) async fn new(ask: &mut Ask) -> Result<Value> {
    let wishes = ask.read(&CREDENTIAL, &BESIDE)?;
    let name = ask.required("credential_name")?.to_owned();
    if !wishes.contains_key("credential_info") {
        return Err(Failure::required("credential_info"));
    }
    let values = match (ask.body.get("model_id").and_then(Value::as_str), wishes.get("credential_values")) {
        (Some(id), _) => deployed(ask, id)?.1,
        (None, Some(Value::Object(values))) => values.clone(),
        (None, _) => {
            let words = "Credential values are required. Unable to infer credential values from model ID.";
            return Err(Failure::new(StatusCode::BAD_REQUEST, "internal_server_error", None, words));
        }
    };
    let mut draft = Draft::default();
    CREDENTIAL.write(&mut draft, &wishes, ask.times());
    set_values(ask, &name, &mut draft, &values)?;
    let change = Change { kind: Kind::Credential, id: name.clone(), draft: Some(draft.clone()) };
    check(ask, &[change]).await?;
    objects::insert(ask, &CREDENTIAL, &name, draft).await?;
    Ok(json!({"success": true, "message": "Credential created successfully"}))
}

/// `GET /credentials`: those of the database, then those of the configuration.
pub(crate) async fn list(ask: &mut Ask) -> Result<Value> {
    let query = Query { order: Order::Oldest, limit: MOST, ..Query::default() };
    let mut all = Vec::new();
    for credential in ask.rows(&CREDENTIAL).list(&query).await? {
        let mut told = shown(ask, &credential)?;
        told.insert("source".into(), "db".into());
        all.push(Value::Object(told));
    }
    for one in ask.admin.deployments.credentials() {
        all.push(json!({
            "credential_name": one.name, "display_name": null, "credential_info": one.info,
            "credential_values": masked(&one.values), "source": "config",
        }));
    }
    Ok(json!({"success": true, "credentials": all}))
}

/// `GET /credentials/by_name/{credential_name}`.
pub(crate) async fn by_name(ask: &mut Ask) -> Result<Value> {
    let name = ask.required_param("credential_name")?;
    if let Some(found) = ask.rows(&CREDENTIAL).find(name).await? {
        return Ok(shown(ask, &found)?.into());
    }
    match ask.admin.deployments.credentials().into_iter().find(|one| one.name == name) {
        Some(one) => Ok(json!({
            "credential_name": one.name, "credential_info": one.info, "credential_values": masked(&one.values),
        })),
        None => Err(missing(&format!("Credential not found. Got credential name: {name}"))),
    }
}

/// `GET /credentials/by_model/{model_id}`: what a deployment shows its provider.
pub(crate) async fn by_model(ask: &mut Ask) -> Result<Value> {
    let id = ask.required_param("model_id")?;
    let (name, values) = deployed(ask, id)?;
    let name = format!("{name}-credential-{id}");
    Ok(json!({"credential_name": name, "credential_info": {}, "credential_values": masked(&values)}))
}

/// `PATCH /credentials/{credential_name}`: what is said is merged, and the name may change.
pub(crate) async fn update(ask: &mut Ask) -> Result<Value> {
    let wishes = ask.read(&CREDENTIAL, &BESIDE)?;
    let name = ask.required_param("credential_name")?.to_owned();
    let before = ask.rows(&CREDENTIAL).find(&name).await?;
    let before = before.ok_or_else(|| missing("Credential not found in DB."))?;
    let new_name = match ask.body.get("credential_name") {
        None | Some(Value::Null) => name.clone(),
        Some(_) => ask.required("credential_name")?.to_owned(),
    };
    let mut draft = before.draft.clone();
    if let Some(display) = wishes.get("display_name") {
        draft.fields.insert("display_name".into(), display.clone());
    }
    let info = draft.fields.entry("credential_info").or_insert_with(|| json!({}));
    if let (Value::Object(info), Some(Value::Object(said))) = (info, wishes.get("credential_info")) {
        info.extend(said.clone());
    }
    let mut values = values(ask, &before)?;
    if let Some(Value::Object(said)) = wishes.get("credential_values") {
        values.extend(said.clone());
    }
    for gone in form::list(&ask.body, "credential_values_to_delete")? {
        values.remove(&gone);
    }
    set_values(ask, &new_name, &mut draft, &values)?;
    store(ask, &before, &new_name, draft).await?;
    Ok(json!({"success": true, "message": "Credential updated successfully"}))
}

/// `DELETE /credentials/{credential_name}`.
pub(crate) async fn delete(ask: &mut Ask) -> Result<Value> {
    let name = ask.required_param("credential_name")?.to_owned();
    if ask.rows(&CREDENTIAL).find(&name).await?.is_none() {
        return Err(missing("Credential not found in DB."));
    }
    check(ask, &[Change { kind: Kind::Credential, id: name.clone(), draft: None }]).await?;
    ask.rows(&CREDENTIAL).delete(&name, &ask.actor.name()).await?;
    Ok(json!({"success": true, "message": "Credential deleted successfully"}))
}

async fn store(ask: &Ask, before: &Object, name: &str, draft: Draft) -> Result<()> {
    let change = |id: &str, draft| Change { kind: Kind::Credential, id: id.to_owned(), draft };
    let rows = ask.rows(&CREDENTIAL);
    if before.id == name {
        check(ask, &[change(name, Some(draft.clone()))]).await?;
        rows.update(name, before.version, draft, &ask.actor.name()).await?;
        return Ok(());
    }
    check(ask, &[change(name, Some(draft.clone())), change(&before.id, None)]).await?;
    objects::insert(ask, &CREDENTIAL, name, draft).await?;
    rows.delete(&before.id, &ask.actor.name()).await?;
    Ok(())
}

fn values(ask: &Ask, credential: &Object) -> Result<Map<String, Value>> {
    let kept = credential.draft.fields.get("credential_values").and_then(Value::as_object);
    let kept = kept.cloned().unwrap_or_default();
    opened(vault(ask)?, &place(Kind::Credential, &credential.id), &kept).map_err(unreadable)
}

fn set_values(ask: &Ask, name: &str, draft: &mut Draft, values: &Map<String, Value>) -> Result<()> {
    let kept = sealed(vault(ask)?, &place(Kind::Credential, name), values).map_err(unreadable)?;
    draft.fields.insert("credential_values".into(), kept.into());
    Ok(())
}

fn shown(ask: &Ask, credential: &Object) -> Result<Map<String, Value>> {
    let mut told = CREDENTIAL.show(credential, crate::table::View::Told, ask.times());
    told.insert("credential_values".into(), masked(&values(ask, credential)?).into());
    Ok(told)
}

/// The public name of a deployment, and what it shows its provider.
fn deployed(ask: &Ask, id: &str) -> Result<(String, Map<String, Value>)> {
    let found = ask.admin.deployments.find(id).ok_or_else(|| missing("Model not found"))?;
    Ok((found.name, found.credential))
}

fn missing(words: &str) -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "internal_server_error", None, words)
}
