//! The public names of a team's own models: they stand in the team's list of models as long as a model has them.

use gatewright_store::{Column, Draft, Kind, Object};
use serde_json::Value;
use uuid::Uuid;

use super::told;
use crate::ask::Ask;
use crate::failure::{Failure, Result};
use crate::objects;
use crate::tables::TEAM;

/// The name by which callers know a model.
pub fn public_name(model: &Draft) -> Option<&str> {
    let of_team = model.parents.team.as_ref().and_then(|_| told(model, "team_public_model_name"));
    of_team.or(model.alias.as_deref())
}

/// The name that LiteLLM keeps a team's model by: no two of them are alike.
pub(super) fn internal(team: &str) -> String {
    format!("model_name_{team}_{}", Uuid::new_v4())
}

/// Refuses a team's administrators a name that everybody's models have, where the team may not use those: it would
/// open them to the team on the day on which its own model goes.
pub(super) async fn free(ask: &Ask, team: &str, name: &str) -> Result<()> {
    if ask.actor.is_admin() || ask.admin.deployments.find(name).is_none() {
        return Ok(());
    }
    let team = objects::find(ask, &TEAM, team).await?;
    let listed = list(&team.draft);
    match listed.is_empty() || listed.iter().any(|model| model == name) {
        true => Ok(()),
        false => {
            let words =
                format!("'{name}' is the name of a model that this team may not use: take another one");
            Err(Failure::bad("model_name", &words))
        }
    }
}

/// Keeps the lists of teams true after a model was made, changed or taken away.
pub(super) async fn settle(ask: &Ask, before: Option<&Draft>, after: Option<&Draft>) -> Result<()> {
    let of = |draft: Option<&Draft>| {
        let draft = draft?;
        Some((draft.parents.team.clone()?, public_name(draft)?.to_owned()))
    };
    let (before, after) = (of(before), of(after));
    if before == after {
        return Ok(());
    }
    if let Some((team, name)) = after {
        let listed = |models: &[Value]| models.iter().any(|model| model == name.as_str());
        edit(ask, &team, |models| {
            if !listed(models) {
                models.push(name.as_str().into());
            }
        })
        .await?;
    }
    if let Some((team, name)) = before {
        let rest = objects::with(ask, Kind::Model, Column::Team, vec![team.clone()]).await?;
        if !rest.iter().any(|model| public_name(&model.draft) == Some(&name)) {
            edit(ask, &team, |models| models.retain(|model| model != name.as_str())).await?;
        }
    }
    Ok(())
}

/// Changes the list of a team, where it has one: without a list it may use all anyway, and one that becomes empty
/// would let it.
async fn edit(ask: &Ask, team: &str, change: impl Fn(&mut Vec<Value>)) -> Result<()> {
    let Some(found) = ask.rows(&TEAM).find(team).await? else { return Ok(()) };
    if list(&found.draft).is_empty() {
        return Ok(());
    }
    let changed = objects::edit(ask, &TEAM, team, |before: &Object| {
        let mut draft = before.draft.clone();
        let mut models = list(&draft);
        change(&mut models);
        if models.is_empty() {
            models.push("no-default-models".into());
        }
        draft.fields.insert("models".into(), models.into());
        Ok(draft)
    });
    changed.await.map(drop)
}

fn list(team: &Draft) -> Vec<Value> {
    team.fields.get("models").and_then(Value::as_array).cloned().unwrap_or_default()
}
