//! `/access_group/*`: names that open several models to whoever has them in a list.
//!
//! A group is what its deployments say in `model_info.access_groups`; those of the file are changed there.

use std::collections::{BTreeMap, BTreeSet};

use gatewright_store::{Object, Order, Query};
use http::StatusCode;
use serde_json::{Value, json};

use super::public_name;
use crate::ask::Ask;
use crate::failure::{Failure, Result};
use crate::form;
use crate::objects::{self, MOST};
use crate::tables::MODEL;

/// Where a deployment says what it is in.
const FIELD: &str = "access_groups";

/// `POST /access_group/new`.
pub(crate) async fn new(ask: &mut Ask) -> Result<Value> {
    let group = ask.required("access_group")?.to_owned();
    let models = stored(ask).await?;
    let chosen = chosen(ask, &models)?;
    if models.iter().any(|model| is_in(model, &group)) {
        let words = format!(
            "Access group '{group}' already exists. Use PUT /access_group/{group}/update to modify it."
        );
        return Err(Failure::told(StatusCode::CONFLICT, &words));
    }
    settle(ask, &group, &models, &chosen).await?;
    Ok(written(ask, &group, chosen.len()))
}

/// `GET /access_group/list`.
pub(crate) async fn list(ask: &mut Ask) -> Result<Value> {
    let models = stored(ask).await?;
    let mut groups: BTreeMap<&str, Vec<&Object>> = BTreeMap::new();
    for model in &models {
        for group in groups_of(model) {
            groups.entry(group).or_default().push(model);
        }
    }
    let all: Vec<Value> = groups.iter().map(|(group, models)| shown(group, models)).collect();
    Ok(json!({"access_groups": all}))
}

/// `GET /access_group/{access_group}/info`.
pub(crate) async fn info(ask: &mut Ask) -> Result<Value> {
    let group = ask.required_param("access_group")?;
    let models = stored(ask).await?;
    Ok(shown(group, &members(&models, group)?))
}

/// `PUT /access_group/{access_group}/update`: these, and no others, are in it from now on.
pub(crate) async fn update(ask: &mut Ask) -> Result<Value> {
    let group = ask.required_param("access_group")?.to_owned();
    let models = stored(ask).await?;
    members(&models, &group)?;
    let chosen = chosen(ask, &models)?;
    settle(ask, &group, &models, &chosen).await?;
    Ok(written(ask, &group, chosen.len()))
}

/// `DELETE /access_group/{access_group}/delete`.
pub(crate) async fn delete(ask: &mut Ask) -> Result<Value> {
    let group = ask.required_param("access_group")?.to_owned();
    let models = stored(ask).await?;
    let count = members(&models, &group)?.len();
    settle(ask, &group, &models, &BTreeSet::new()).await?;
    let message = format!("Access group '{group}' deleted successfully");
    Ok(json!({"access_group": group, "models_updated": count, "message": message}))
}

async fn stored(ask: &Ask) -> Result<Vec<Object>> {
    let query = Query { order: Order::Oldest, limit: MOST, ..Query::default() };
    Ok(ask.rows(&MODEL).list(&query).await?)
}

/// The ids of the deployments that a body names, by their ids or by their public names.
fn chosen(ask: &Ask, models: &[Object]) -> Result<BTreeSet<String>> {
    let (ids, names) = (form::list(&ask.body, "model_ids")?, form::list(&ask.body, "model_names")?);
    if ids.is_empty() && names.is_empty() {
        return Err(refused("Either model_names or model_ids must be provided and non-empty"));
    }
    if !ids.is_empty() {
        let unknown = ids.iter().find(|id| !models.iter().any(|model| model.id == **id));
        return match unknown {
            Some(id) => Err(refused(&format!("Deployment with model_id '{id}' not found in Database."))),
            None => Ok(ids.into_iter().collect()),
        };
    }
    let mut chosen = BTreeSet::new();
    for name in &names {
        let found = models.iter().filter(|model| public_name(&model.draft) == Some(name));
        let before = chosen.len();
        chosen.extend(found.map(|model| model.id.clone()));
        if chosen.len() == before {
            return Err(refused(&match ask.admin.deployments.find(name) {
                Some(_) => format!(
                    "Can't find model '{name}' in Database. Access group management is only supported for database \
                     models."
                ),
                None => format!("Model(s) not found: {name}"),
            }));
        }
    }
    Ok(chosen)
}

/// Puts the chosen deployments into a group and takes all others out of it.
async fn settle(ask: &Ask, group: &str, models: &[Object], chosen: &BTreeSet<String>) -> Result<()> {
    for model in models.iter().filter(|model| chosen.contains(&model.id) != is_in(model, group)) {
        let within = chosen.contains(&model.id);
        let edited = objects::edit(ask, &MODEL, &model.id, |before| {
            let mut draft = before.draft.clone();
            let mut groups: Vec<&str> = groups_of(before).filter(|other| *other != group).collect();
            groups.extend(within.then_some(group));
            let mut info = before.draft.fields.get("model_info").and_then(Value::as_object).cloned();
            info.get_or_insert_default().insert(FIELD.into(), json!(groups));
            draft.fields.insert("model_info".into(), info.into());
            Ok(draft)
        });
        edited.await?;
    }
    Ok(())
}

fn groups_of(model: &Object) -> impl Iterator<Item = &str> {
    let info = model.draft.fields.get("model_info");
    let listed = info.and_then(|info| info.get(FIELD)).and_then(Value::as_array);
    listed.into_iter().flatten().filter_map(Value::as_str)
}

fn is_in(model: &Object, group: &str) -> bool {
    groups_of(model).any(|other| other == group)
}

/// The deployments of a group; a group without any is none.
fn members<'a>(models: &'a [Object], group: &str) -> Result<Vec<&'a Object>> {
    let found: Vec<&Object> = models.iter().filter(|model| is_in(model, group)).collect();
    match found.is_empty() {
        true => Err(Failure::told(StatusCode::NOT_FOUND, &format!("Access group '{group}' not found"))),
        false => Ok(found),
    }
}

fn shown(group: &str, models: &[&Object]) -> Value {
    let names: BTreeSet<&str> = models.iter().filter_map(|model| public_name(&model.draft)).collect();
    json!({
        "access_group": group, "model_names": names, "deployment_count": models.len(),
        "spend": 0.0, "budget": null,
    })
}

fn written(ask: &Ask, group: &str, count: usize) -> Value {
    let said = |name: &str| ask.body.get(name).cloned().unwrap_or_default();
    json!({
        "access_group": group, "model_names": said("model_names"), "model_ids": said("model_ids"),
        "models_updated": count,
    })
}

fn refused(words: &str) -> Failure {
    Failure::told(StatusCode::BAD_REQUEST, words)
}
