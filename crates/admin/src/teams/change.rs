//! Teams are made, changed and taken away.

use gatewright_store::{Column, Filter, Kind, Object};
use serde_json::{Map, Value, json};

use crate::ask::Ask;
use crate::failure::{Failure, Result};
use crate::form;
use crate::members::{self, Named};
use crate::objects;
use crate::table::View;
use crate::tables::TEAM;

/// What a body may say that is no field of a team.
const BESIDE: [&str; 4] = ["team_id", "members_with_roles", "admins", "members"];

/// What a team's own administrators do not change: it is what the team was given.
const GIVEN: [&str; 18] = [
    "models",
    "organization_id",
    "blocked",
    "max_budget",
    "soft_budget",
    "budget_duration",
    "budget_limits",
    "model_max_budget",
    "tpm_limit",
    "rpm_limit",
    "tpd_limit",
    "max_parallel_requests",
    "model_rpm_limit",
    "model_tpm_limit",
    "access_group_ids",
    "policies",
    "object_permission",
    "metadata",
];

/// Routes that a team may let its members call.
const PERMISSIONS: [&str; 11] = [
    "/key/generate",
    "/key/update",
    "/key/delete",
    "/key/regenerate",
    "/key/{key}/regenerate",
    "/key/service-account/generate",
    "/key/block",
    "/key/unblock",
    "/key/info",
    "/key/list",
    "/key/health",
];

/// `POST /team/new`: who makes a team leads it.
pub(crate) async fn new(ask: &mut Ask) -> Result<Value> {
    let wishes = ask.read(&TEAM, &BESIDE)?;
    let id = objects::id_of(ask, "team_id")?;
    let first = members::named(ask.body.get("members_with_roles"), &super::member::ROLES)?;
    let team = objects::create(ask, &TEAM, &id, &wishes).await?;
    let maker = Named { user: Some(ask.actor.name()), email: None, role: Some("admin".into()) };
    super::member::lead(ask, &team, &maker).await?;
    for member in first.iter().filter(|member| member.user != maker.user) {
        super::member::join(ask, &team, member, &Map::new()).await?;
    }
    Ok(shown(ask, &team, View::Made).await?.into())
}

/// `POST /team/update`.
pub(crate) async fn update(ask: &mut Ask) -> Result<Value> {
    let wishes = ask.read(&TEAM, &["team_id"])?;
    let id = ask.required("team_id")?.to_owned();
    let before = objects::find(ask, &TEAM, &id).await?;
    if !ask.actor.is_admin() {
        let organization = before.draft.parents.organization.as_deref();
        let above = organization.is_some_and(|organization| ask.actor.organizes(organization));
        let given = GIVEN.into_iter().find(|name| wishes.contains_key(*name));
        match (above, given) {
            (false, Some(name)) => {
                let words = format!("{name} of a team is changed by those above it, not by its own admins");
                return Err(Failure::forbidden(&words));
            }
            (true, _) if moves_away(ask, wishes.get("organization_id")) => {
                return Err(Failure::forbidden("this is not an organization of yours"));
            }
            _ => {}
        }
    }
    let team = objects::change(ask, &TEAM, &id, &wishes).await?;
    Ok(json!({"team_id": id, "data": shown(ask, &team, View::Told).await?}))
}

/// `POST /team/delete`: with its keys and memberships.
pub(crate) async fn delete(ask: &mut Ask) -> Result<Value> {
    let ids = form::list(&ask.body, "team_ids")?;
    for team in objects::delete(ask, &TEAM, &ids).await? {
        for kind in [Kind::Key, Kind::Membership, Kind::Project, Kind::Model] {
            objects::remove_all(ask, kind, Filter::Is(Column::Team, team.id.clone())).await?;
        }
    }
    Ok(json!({"deleted_teams": ids}))
}

/// `POST /team/block`.
pub(crate) async fn block(ask: &mut Ask) -> Result<Value> {
    set_blocked(ask, true).await
}

/// `POST /team/unblock`.
pub(crate) async fn unblock(ask: &mut Ask) -> Result<Value> {
    set_blocked(ask, false).await
}

/// `POST /team/model/add`.
pub(crate) async fn model_add(ask: &mut Ask) -> Result<Value> {
    set_models(ask, |mut models, named| {
        models.extend(named.iter().filter(|name| !models.contains(name)).cloned().collect::<Vec<_>>());
        models
    })
    .await
}

/// `POST /team/model/delete`.
pub(crate) async fn model_delete(ask: &mut Ask) -> Result<Value> {
    set_models(ask, |models, named| models.into_iter().filter(|name| !named.contains(name)).collect()).await
}

/// `GET /team/permissions_list`.
pub(crate) async fn permissions(ask: &mut Ask) -> Result<Value> {
    let id = ask.required_param("team_id")?;
    let team = objects::find(ask, &TEAM, id).await?;
    ask.check(&objects::belongs(&TEAM, id, &team.draft.parents))?;
    Ok(permitted(&team))
}

/// `POST /team/permissions_update`.
pub(crate) async fn permissions_update(ask: &mut Ask) -> Result<Value> {
    let id = ask.required("team_id")?.to_owned();
    let said = form::list(&ask.body, "team_member_permissions")?;
    if let Some(unknown) = said.iter().find(|route| !PERMISSIONS.contains(&route.as_str())) {
        let words = format!("'{unknown}' is no route that members may be given");
        return Err(Failure::bad("team_member_permissions", &words));
    }
    let wishes = Map::from_iter([("team_member_permissions".to_owned(), said.into())]);
    Ok(permitted(&objects::change(ask, &TEAM, &id, &wishes).await?))
}

/// A team with its members.
pub(crate) async fn shown(ask: &Ask, team: &Object, view: View) -> Result<Map<String, Value>> {
    let members = members::of(ask, Kind::Team, vec![team.id.clone()]).await?;
    let mut told = objects::shown(ask, &TEAM, team, view).await?;
    told.insert("members_with_roles".into(), members::roles(&members.iter().collect::<Vec<_>>()));
    Ok(told)
}

fn moves_away(ask: &Ask, organization: Option<&Value>) -> bool {
    organization.is_some_and(|to| !to.as_str().is_some_and(|to| ask.actor.organizes(to)))
}

async fn set_blocked(ask: &mut Ask, blocked: bool) -> Result<Value> {
    let id = ask.required("team_id")?.to_owned();
    let team = objects::set_blocked(ask, &TEAM, &id, blocked).await?;
    Ok(shown(ask, &team, View::Told).await?.into())
}

async fn set_models(ask: &mut Ask, set: fn(Vec<String>, &[String]) -> Vec<String>) -> Result<Value> {
    let id = ask.required("team_id")?.to_owned();
    let named = form::list(&ask.body, "models")?;
    let team = objects::edit(ask, &TEAM, &id, |before| {
        ask.check(&objects::belongs(&TEAM, &id, &before.draft.parents))?;
        let mut draft = before.draft.clone();
        let had = form::list(&draft.fields, "models")?;
        // A team without a list may use all: one that loses its last model must not become such a team.
        let has = set(had.clone(), &named);
        if has.is_empty() && !had.is_empty() {
            return Err(Failure::bad("models", "a team without models may use all: name what is to be left"));
        }
        draft.fields.insert("models".into(), has.into());
        Ok(draft)
    })
    .await?;
    Ok(shown(ask, &team, View::Told).await?.into())
}

fn permitted(team: &Object) -> Value {
    let said = team.draft.fields.get("team_member_permissions").cloned().unwrap_or_else(|| json!([]));
    json!({"team_id": team.id, "team_member_permissions": said, "all_available_permissions": PERMISSIONS})
}
