//! Teams are told: one with everything, or many in pages.

use gatewright_store::{Column, Filter, Kind, Object, Order, Query};
use serde_json::{Map, Value, json};

use super::change::shown;
use crate::ask::Ask;
use crate::failure::Result;
use crate::members;
use crate::objects::{self, MOST};
use crate::page::Page;
use crate::table::View;
use crate::tables::{KEY, TEAM};

/// `GET /team/info`.
pub(crate) async fn info(ask: &mut Ask) -> Result<Value> {
    let id = ask.required_param("team_id")?.to_owned();
    let team = objects::find(ask, &TEAM, &id).await?;
    if !ask.actor.teams().contains(&id) && ask.actor.caller.team.as_deref() != Some(&id) {
        ask.check(&objects::belongs(&TEAM, &id, &team.draft.parents))?;
    }
    let mut keys = objects::with(ask, Kind::Key, Column::Team, vec![id.clone()]).await?;
    if !ask.actor.leads(&id) {
        keys.retain(|key| {
            key.draft.parents.user.is_some() && key.draft.parents.user.as_deref() == ask.actor.user()
        });
    }
    let members = members::of(ask, Kind::Team, vec![id.clone()]).await?;
    let mut memberships = Vec::new();
    for member in &members {
        memberships.push(members::shown(ask, member).await?);
    }
    Ok(json!({
        "team_id": id,
        "team_info": shown(ask, &team, View::Told).await?,
        "keys": told(ask, &keys).await?,
        "team_memberships": memberships,
    }))
}

/// `GET /team/list`: all of them, with their keys and members.
pub(crate) async fn list(ask: &mut Ask) -> Result<Value> {
    let query = Query { order: Order::Oldest, limit: MOST, filters: filters(ask).await?, ..Query::default() };
    let teams = ask.rows(&TEAM).list(&query).await?;
    let ids: Vec<String> = teams.iter().map(|team| team.id.clone()).collect();
    let members = members::of(ask, Kind::Team, ids.clone()).await?;
    let mut keys = objects::with(ask, Kind::Key, Column::Team, ids).await?;
    keys.retain(|key| key.draft.parents.team.as_deref().is_some_and(|team| ask.actor.leads(team)));
    let mut all = Vec::new();
    for team in &teams {
        let of = |object: &&Object| object.draft.parents.team.as_ref() == Some(&team.id);
        let mut one = with_members(ask, team, &members);
        let mut memberships = Vec::new();
        for member in members.iter().filter(of) {
            memberships.push(members::shown(ask, member).await?);
        }
        one.insert("team_memberships".into(), memberships.into());
        let keys: Vec<Object> = keys.iter().filter(of).cloned().collect();
        one.insert("keys".into(), told(ask, &keys).await?);
        all.push(Value::Object(one));
    }
    Ok(all.into())
}

/// `GET /v2/team/list`: pages of teams.
pub(crate) async fn pages(ask: &mut Ask) -> Result<Value> {
    let page = Page::read(ask, "page_size", 10)?;
    let query = Query { filters: filters(ask).await?, ..page.query() };
    let total = ask.rows(&TEAM).count(&query).await?;
    let teams = ask.rows(&TEAM).list(&query).await?;
    let ids: Vec<String> = teams.iter().map(|team| team.id.clone()).collect();
    let members = members::of(ask, Kind::Team, ids.clone()).await?;
    let keys = objects::with(ask, Kind::Key, Column::Team, ids).await?;
    let count = |rows: &[Object], team: &Object| {
        rows.iter().filter(|row| row.draft.parents.team.as_ref() == Some(&team.id)).count()
    };
    let one = |team: &Object| {
        let mut one = with_members(ask, team, &members);
        one.insert("members_count".into(), count(&members, team).into());
        one.insert("keys_count".into(), count(&keys, team).into());
        Value::Object(one)
    };
    let told: Vec<Value> = teams.iter().map(one).collect();
    Ok(json!({
        "teams": told, "total": total, "page": page.number, "page_size": page.size, "total_pages": page.of(total),
    }))
}

/// Keys as lists show them.
pub(crate) async fn told(ask: &Ask, keys: &[Object]) -> Result<Value> {
    let all = objects::shown_all(ask, &KEY, keys, View::Told).await?;
    Ok(all.into_iter().map(Value::Object).collect())
}

fn with_members(ask: &Ask, team: &Object, members: &[Object]) -> Map<String, Value> {
    let own: Vec<&Object> =
        members.iter().filter(|row| row.draft.parents.team.as_ref() == Some(&team.id)).collect();
    let mut told = TEAM.show(team, View::Made, ask.times());
    told.insert("members_with_roles".into(), members::roles(&own));
    told
}

/// What is asked for, within the teams that the actor is in or above of.
async fn filters(ask: &Ask) -> Result<Vec<Filter>> {
    let mut filters = Vec::new();
    filters.extend(ask.param("team_id").map(|id| Filter::Is(Column::Id, id.to_owned())));
    filters.extend(ask.param("organization_id").map(|id| Filter::Is(Column::Organization, id.to_owned())));
    filters.extend(ask.param("team_alias").map(|text| Filter::Contains(Column::Alias, text.to_owned())));
    if let Some(user) = ask.param("user_id") {
        let rows = crate::actor::of_user(ask.store(), user).await?;
        let teams = rows.into_iter().filter_map(|row| row.draft.parents.team).collect();
        filters.push(Filter::In(Column::Id, teams));
    }
    let above = ask.param("organization_id").is_some_and(|organization| ask.actor.organizes(organization));
    if !above && !ask.actor.sees_all() {
        filters.push(Filter::In(Column::Id, ask.actor.teams().to_vec()));
    }
    Ok(filters)
}
