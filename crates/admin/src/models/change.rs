//! Models are changed and taken away.

use gatewright_store::{Draft, Kind, Object};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::make::known;
use super::{check, enter, may, names, params, refused, set_params, shown, told};
use crate::ask::Ask;
use crate::deployments::Change;
use crate::failure::{Failure, Result};
use crate::tables::MODEL;

/// `POST /model/update`: parameters are merged; `null` says nothing.
pub(crate) async fn update(ask: &mut Ask) -> Result<Value> {
    enter(ask)?;
    let mut wishes = ask.read(&MODEL, &[])?;
    let wrong = |words: &str| Failure::new(StatusCode::BAD_REQUEST, "auth_error", None, words);
    let Some(Value::Object(info)) = wishes.get("model_info") else {
        return Err(wrong("Authentication Error, model_info not provided"));
    };
    let Some(id) = info.get("id").and_then(Value::as_str).map(str::to_owned) else {
        return Err(wrong("Authentication Error, model_info.id not provided"));
    };
    if !wishes.contains_key("litellm_params") {
        return Err(wrong("Authentication Error, litellm_params not provided"));
    }
    for name in ["litellm_params", "model_info"] {
        if let Some(Value::Object(said)) = wishes.get_mut(name) {
            said.retain(|_, value| !value.is_null());
        }
    }
    let missing = || wrong("Authentication Error, model not found");
    change(ask, &id, &wishes, missing).await
}

/// `PATCH /model/{model_id}/update`: what is said is merged; `null` takes a value away.
pub(crate) async fn patch(ask: &mut Ask) -> Result<Value> {
    enter(ask)?;
    let wishes = ask.read(&MODEL, &[])?;
    let id = ask.required_param("model_id")?.to_owned();
    let missing = || {
        let words = format!("Model {id} not found on proxy.");
        Failure::new(StatusCode::NOT_FOUND, "not_found_error", None, &words)
    };
    change(ask, &id, &wishes, missing).await
}

/// `POST /model/delete`.
pub(crate) async fn delete(ask: &mut Ask) -> Result<Value> {
    enter(ask)?;
    let id = ask.required("id")?.to_owned();
    let missing = || {
        let words = format!("{{'error': 'Model with id={id} not found in db'}}");
        Failure::new(StatusCode::BAD_REQUEST, "invalid_request_error", None, &words)
    };
    let model = ask.rows(&MODEL).find(&id).await?.ok_or_else(missing)?;
    may::manage(ask, model.draft.parents.team.as_deref()).await?;
    check(ask, &[Change { kind: Kind::Model, id: id.clone(), draft: None }]).await?;
    ask.rows(&MODEL).delete(&id, &ask.actor.name()).await?;
    names::settle(ask, Some(&model.draft), None).await?;
    Ok(json!({"message": format!("Model: {id} deleted successfully")}))
}

/// `POST /model/block`.
pub(crate) async fn block(ask: &mut Ask) -> Result<Value> {
    set_blocked(ask, true).await
}

/// `POST /model/unblock`.
pub(crate) async fn unblock(ask: &mut Ask) -> Result<Value> {
    set_blocked(ask, false).await
}

async fn set_blocked(ask: &mut Ask, blocked: bool) -> Result<Value> {
    enter(ask)?;
    let id = ask.required("model_id")?.to_owned();
    let missing = || Failure::missing(&format!("Model not found, passed model_id={id}"));
    let wishes = Map::from_iter([("blocked".to_owned(), blocked.into())]);
    change(ask, &id, &wishes, missing).await
}

/// Changes a stored model, where it would build; the next call finds it changed.
async fn change(
    ask: &Ask,
    id: &str,
    wishes: &Map<String, Value>,
    missing: impl Fn() -> Failure,
) -> Result<Value> {
    let Some(before) = ask.rows(&MODEL).find(id).await? else {
        return Err(match ask.admin.deployments.find(id) {
            Some(_) => refused(
                StatusCode::BAD_REQUEST,
                "Can't edit model. Model in config. Store model in db via `/model/new`. to edit.",
            ),
            None => missing(),
        });
    };
    may::manage(ask, before.draft.parents.team.as_deref()).await?;
    let draft = changed(ask, &before, wishes).await?;
    check(ask, &[Change { kind: Kind::Model, id: id.to_owned(), draft: Some(draft.clone()) }]).await?;
    let model = ask.rows(&MODEL).update(id, before.version, draft, &ask.actor.name()).await?;
    names::settle(ask, Some(&before.draft), Some(&model.draft)).await?;
    shown(ask, &model)
}

async fn changed(ask: &Ask, before: &Object, wishes: &Map<String, Value>) -> Result<Draft> {
    let mut draft = before.draft.clone();
    if let Some(blocked) = wishes.get("blocked") {
        draft.blocked = blocked.as_bool().unwrap_or_default();
    }
    if let Some(Value::Object(said)) = wishes.get("litellm_params") {
        may::alter(ask, &before.draft, said)?;
        let mut params = params(ask, &before.id, &draft)?;
        merge(&mut params, said);
        set_params(ask, &before.id, &mut draft, &params)?;
    }
    if let Some(Value::Object(said)) = wishes.get("model_info") {
        let mut said = said.clone();
        said.retain(|name, _| name != "id");
        if told(&before.draft, "team_id") == said.get("team_id").and_then(Value::as_str) {
            said.remove("team_id");
        }
        set_info(ask, before, &mut draft, &said).await?;
    }
    if let Some(name) = wishes.get("model_name").and_then(Value::as_str) {
        rename(ask, &mut draft, name).await?;
    }
    Ok(draft)
}

/// Merges what is said into `model_info`. Where a model belongs, and what it costs, is not its team's to say.
async fn set_info(ask: &Ask, before: &Object, draft: &mut Draft, said: &Map<String, Value>) -> Result<()> {
    may::alter(ask, &before.draft, said)?;
    let Some(Value::Object(info)) = draft.fields.get_mut("model_info") else { return Ok(()) };
    merge(info, said);
    let Some(team) = said.get("team_id") else { return Ok(()) };
    if !ask.actor.is_admin() {
        return Err(Failure::forbidden("only a proxy admin can give a model to another team"));
    }
    let public = names::public_name(draft).map(str::to_owned);
    draft.parents.team = team.as_str().map(str::to_owned);
    match &draft.parents.team {
        Some(team) => {
            known(ask, team).await?;
            draft.alias = Some(names::internal(team));
            set_public(draft, public);
        }
        None => {
            draft.alias = public;
            set_public(draft, None);
        }
    }
    Ok(())
}

/// Gives a model another public name.
async fn rename(ask: &Ask, draft: &mut Draft, name: &str) -> Result<()> {
    // Who answers an update with what was answered has the internal name in hand.
    if names::public_name(draft) == Some(name) || draft.alias.as_deref() == Some(name) {
        return Ok(());
    }
    match draft.parents.team.clone() {
        None => draft.alias = Some(name.to_owned()),
        Some(team) => {
            names::free(ask, &team, name).await?;
            set_public(draft, Some(name.to_owned()));
        }
    }
    Ok(())
}

fn set_public(draft: &mut Draft, name: Option<String>) {
    if let Some(Value::Object(info)) = draft.fields.get_mut("model_info") {
        merge(info, &Map::from_iter([("team_public_model_name".to_owned(), name.into())]));
    }
}

fn merge(into: &mut Map<String, Value>, said: &Map<String, Value>) {
    for (name, value) in said {
        match value {
            Value::Null => drop(into.remove(name)),
            value => drop(into.insert(name.clone(), value.clone())),
        }
    }
}
