//! `/project/*`: projects of teams.

use gatewright_store::{Column, Filter, Kind, Object, Order, Query};
use serde_json::Value;

use crate::ask::Ask;
use crate::failure::{Failure, Result};
use crate::form;
use crate::objects::{self, MOST};
use crate::table::View;
use crate::tables::{PROJECT, TEAM};

/// `POST /project/new`.
pub(crate) async fn new(ask: &mut Ask) -> Result<Value> {
    let wishes = ask.read(&PROJECT, &["project_id"])?;
    let id = objects::id_of(ask, "project_id")?;
    let team = ask.required("team_id")?;
    let team = objects::find(ask, &TEAM, team).await?;
    ask.check(&objects::belongs(&TEAM, &team.id, &team.draft.parents))?;
    let mut draft = gatewright_store::Draft::default();
    PROJECT.write(&mut draft, &wishes, ask.times());
    draft.parents.organization = team.draft.parents.organization;
    shown(ask, &objects::insert(ask, &PROJECT, &id, draft).await?, View::Made).await
}

/// `POST /project/update`.
pub(crate) async fn update(ask: &mut Ask) -> Result<Value> {
    let wishes = ask.read(&PROJECT, &["project_id"])?;
    let id = ask.required("project_id")?.to_owned();
    let project = objects::change(ask, &PROJECT, &id, &wishes).await?;
    shown(ask, &project, View::Told).await
}

/// `DELETE /project/delete`: one with keys stays, for they would lose its limits.
pub(crate) async fn delete(ask: &mut Ask) -> Result<Value> {
    let ids = form::list(&ask.body, "project_ids")?;
    let keys = objects::with(ask, Kind::Key, Column::Project, ids.clone()).await?;
    if let Some(project) = keys.first().and_then(|key| key.draft.parents.project.as_deref()) {
        let words = format!("project {project} has keys: delete them first");
        return Err(Failure::bad("project_ids", &words));
    }
    let gone = objects::delete(ask, &PROJECT, &ids).await?;
    told(ask, &gone).await
}

/// `GET /project/info`.
pub(crate) async fn info(ask: &mut Ask) -> Result<Value> {
    let id = ask.required_param("project_id")?.to_owned();
    let project = objects::find(ask, &PROJECT, &id).await?;
    if !project.draft.parents.team.as_ref().is_some_and(|team| ask.actor.teams().contains(team)) {
        ask.check(&project.draft.parents)?;
    }
    shown(ask, &project, View::Told).await
}

/// `GET /project/list`.
pub(crate) async fn list(ask: &mut Ask) -> Result<Value> {
    let mut filters = Vec::new();
    filters.extend(ask.param("team_id").map(|team| Filter::Is(Column::Team, team.to_owned())));
    if !ask.actor.sees_all() {
        filters.push(Filter::In(Column::Team, ask.actor.teams().to_vec()));
    }
    let query = Query { order: Order::Oldest, limit: MOST, filters, ..Query::default() };
    let found = ask.rows(&PROJECT).list(&query).await?;
    told(ask, &found).await
}

async fn told(ask: &Ask, found: &[Object]) -> Result<Value> {
    let mut all = Vec::new();
    for project in found {
        all.push(shown(ask, project, View::Told).await?);
    }
    Ok(all.into())
}

async fn shown(ask: &Ask, project: &Object, view: View) -> Result<Value> {
    Ok(objects::shown(ask, &PROJECT, project, view).await?.into())
}
