//! `/team/{team_id}/callback`: where the records of a team's calls go besides the operator's sinks.

use std::sync::Arc;

use gatewright_core::{OwnSink, Secret};
use gatewright_store::Object;
use serde_json::{Map, Value, json};

use crate::ask::Ask;
use crate::failure::{Failure, Result};
use crate::form;
use crate::objects;
use crate::tables::TEAM;
use crate::veil;

/// More are not read of a team.
const MOST: usize = 8;

/// `POST /team/{team_id}/callback`: one more, or a new one in the place of the one with its name and type.
pub(crate) async fn add(ask: &mut Ask) -> Result<Value> {
    let own = wished(&ask.body)?;
    if !ask.admin.services.opens(&own) {
        let words = format!(
            "'{}' cannot be a team's own callback: it is unknown, or its callback_vars do not say all that it needs",
            own.name
        );
        return Err(Failure::bad("callback_name", &words));
    }
    let kind = match (own.success, own.failure) {
        (true, false) => "success",
        (false, true) => "failure",
        _ => "success_and_failure",
    };
    let vars: Map<String, Value> =
        own.vars.iter().map(|(name, value)| (name.to_string(), value.reveal().into())).collect();
    let entry = json!({"callback_name": &*own.name, "callback_type": kind, "callback_vars": vars});
    let is_same = |other: &Value| {
        ["callback_name", "callback_type"].iter().all(|name| other.get(*name) == entry.get(*name))
    };
    let team = change(ask, |all| {
        all.retain(|other| !is_same(other));
        if all.len() >= MOST {
            return Err(Failure::bad("callback_name", &format!("a team has {MOST} callbacks at most")));
        }
        all.push(entry.clone());
        Ok(())
    })
    .await?;
    Ok(json!({"status": "success", "data": super::shown(ask, &team, crate::table::View::Told).await?}))
}

/// `GET /team/{team_id}/callback`.
pub(crate) async fn list(ask: &mut Ask) -> Result<Value> {
    let id = ask.required_param("team_id")?;
    let team = objects::find(ask, &TEAM, id).await?;
    ask.check(&objects::belongs(&TEAM, id, &team.draft.parents))?;
    Ok(json!({"status": "success", "data": told(&team)}))
}

/// `POST /team/{team_id}/disable_logging`: a team without callbacks of its own.
pub(crate) async fn clear(ask: &mut Ask) -> Result<Value> {
    let team = change(ask, |all| {
        all.clear();
        Ok(())
    })
    .await?;
    let words = format!("Logging disabled for team {}", team.id);
    Ok(json!({"status": "success", "message": words, "data": told(&team)}))
}

async fn change(ask: &Ask, change: impl Fn(&mut Vec<Value>) -> Result<()>) -> Result<Object> {
    let id = ask.required_param("team_id")?.to_owned();
    objects::edit(ask, &TEAM, &id, |before| {
        ask.check(&objects::belongs(&TEAM, &id, &before.draft.parents))?;
        let mut draft = before.draft.clone();
        let metadata = draft.fields.entry("metadata").or_insert_with(|| json!({}));
        let Some(metadata) = metadata.as_object_mut() else {
            return Err(Failure::bad("metadata", "the team's metadata is no object"));
        };
        let mut all = metadata.get("logging").and_then(Value::as_array).cloned().unwrap_or_default();
        change(&mut all)?;
        metadata.insert("logging".to_owned(), all.into());
        let written = veil::unveiled(metadata.clone().into(), before.draft.fields.get("metadata"));
        draft.fields.insert("metadata".to_owned(), written);
        Ok(draft)
    })
    .await
}

/// What a body asks for. As with LiteLLM a callback without a type gets all calls.
fn wished(body: &Map<String, Value>) -> Result<OwnSink> {
    const TYPE: &str = "callback_type";
    const VARS: &str = "callback_vars";
    let name = form::required(body, "callback_name")?;
    let (success, failure) = match body.get(TYPE).filter(|value| !value.is_null()).map(Value::as_str) {
        None | Some(Some("success_and_failure")) => (true, true),
        Some(Some("success")) => (true, false),
        Some(Some("failure")) => (false, true),
        Some(_) => {
            let words = ("literal_error", "Input should be 'success', 'failure' or 'success_and_failure'");
            return Err(Failure::form(&[TYPE.into()], words, &body[TYPE]));
        }
    };
    let said = body.get(VARS).ok_or_else(|| Failure::required(VARS))?;
    let vars = said.as_object().ok_or_else(|| {
        Failure::form(&[VARS.into()], ("dict_type", "Input should be a valid dictionary"), &Value::Null)
    })?;
    let text = |(name, value): (&String, &Value)| match value.as_str() {
        Some(text) => Ok((Arc::from(name.as_str()), Secret::from(text))),
        // What was said may be a secret, so that it is not said again.
        None => Err(Failure::form(
            &[VARS.into(), name.as_str().into()],
            ("string_type", "Input should be a valid string"),
            &Value::Null,
        )),
    };
    let vars = vars.iter().map(text).collect::<Result<_>>()?;
    Ok(OwnSink { name: name.into(), success, failure, vars })
}

/// By what they get, and the variables of all of them together; no credential.
fn told(team: &Object) -> Value {
    let metadata = veil::veiled(team.draft.fields.get("metadata").cloned().unwrap_or_default());
    let all = metadata.get("logging").and_then(Value::as_array).into_iter().flatten();
    let (mut success, mut failure, mut vars) = (Vec::new(), Vec::new(), Map::new());
    for one in all {
        let name = one.get("callback_name").cloned().unwrap_or_default();
        let kind = one.get("callback_type").and_then(Value::as_str);
        if kind != Some("failure") {
            success.push(name.clone());
        }
        if kind != Some("success") {
            failure.push(name);
        }
        vars.extend(one.get("callback_vars").and_then(Value::as_object).cloned().unwrap_or_default());
    }
    json!({"team_id": team.id, "success_callbacks": success, "failure_callbacks": failure, "callback_vars": vars})
}
