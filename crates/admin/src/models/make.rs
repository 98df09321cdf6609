//! `POST /model/new`.

use gatewright_store::{Draft, Kind, Parents};
use http::StatusCode;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{check, enter, may, names, refused, set_params, shown};
use crate::ask::Ask;
use crate::deployments::Change;
use crate::failure::{Failure, Result};
use crate::objects;
use crate::tables::{MODEL, TEAM};

/// Makes a model; the next call finds it.
pub(crate) async fn new(ask: &mut Ask) -> Result<Value> {
    enter(ask)?;
    let mut wishes = ask.read(&MODEL, &[])?;
    let name = ask.required("model_name")?.to_owned();
    let params = required(&wishes)?.clone();
    let mut info = match wishes.remove("model_info") {
        Some(Value::Object(info)) => info,
        _ => Map::new(),
    };
    let text = |name: &str| info.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let id = text("id").map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
    let team = text("team_id").map(str::to_owned);
    may::manage(ask, team.as_deref()).await?;
    may::give(ask, &params)?;
    let mut alias = name.clone();
    if let Some(team) = &team {
        known(ask, team).await?;
        names::free(ask, team, &name).await?;
        alias = names::internal(team);
        info.insert("team_public_model_name".into(), name.into());
    }
    info.insert("id".into(), id.as_str().into());
    let blocked = wishes.get("blocked").and_then(Value::as_bool).unwrap_or_default();
    let parents = Parents { team, ..Parents::default() };
    let mut draft = Draft { alias: Some(alias), parents, blocked, ..Draft::default() };
    set_params(ask, &id, &mut draft, &params)?;
    draft.fields.insert("model_info".into(), info.into());
    draft.fields.insert(may::BY_ADMIN.into(), ask.actor.is_admin().into());
    check(ask, &[Change { kind: Kind::Model, id: id.clone(), draft: Some(draft.clone()) }]).await?;
    let model = objects::insert(ask, &MODEL, &id, draft).await?;
    names::settle(ask, None, Some(&model.draft)).await?;
    shown(ask, &model)
}

/// The parameters of a body, with the one that must be there.
fn required(wishes: &Map<String, Value>) -> Result<&Map<String, Value>> {
    let params = wishes.get("litellm_params").and_then(Value::as_object);
    let params = params.ok_or_else(|| Failure::required("litellm_params"))?;
    let at = ["litellm_params".into(), "model".into()];
    match params.get("model") {
        Some(Value::String(_)) => Ok(params),
        Some(other) => Err(Failure::form(&at, ("string_type", "Input should be a valid string"), other)),
        None => Err(Failure::form(&at, ("missing", "Field required"), &Value::Null)),
    }
}

/// Refuses a team that is not there.
pub(super) async fn known(ask: &Ask, team: &str) -> Result<()> {
    match ask.rows(&TEAM).find(team).await? {
        Some(_) => Ok(()),
        None => Err(refused(StatusCode::BAD_REQUEST, &format!("Team id={team} does not exist in db"))),
    }
}
