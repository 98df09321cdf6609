//! For whom a key may be made or changed.

use std::sync::Arc;

use gatewright_store::{Draft, Parents};
use serde_json::{Map, Value};

use crate::ask::Ask;
use crate::failure::{Failure, Result};
use crate::form;
use crate::giver::Giver;
use crate::table::document;
use crate::tables::{BUDGET, KEY, PROJECT, TEAM};

/// What members of a team may do with its keys where the team says nothing.
const OF_MEMBERS: [&str; 2] = ["/key/info", "/key/health"];

/// Fills in what follows from the team, and refuses what is not the actor's to give.
///
/// `held_by` is the user who holds the key's text already; nobody does of a new one.
pub(crate) async fn settle(ask: &Ask, draft: &mut Draft, held_by: Option<&str>) -> Result<()> {
    if let Some(team) = draft.parents.team.clone() {
        let team = crate::objects::find(ask, &TEAM, &team).await?;
        let of_team = team.draft.parents.organization;
        if draft.parents.organization.is_none() {
            draft.parents.organization = of_team;
        }
    }
    if ask.actor.is_admin() {
        return Ok(());
    }
    allowed(ask, &draft.parents).await?;
    belongings(ask, &draft.parents).await?;
    let fields = own(ask).await?;
    let giver = Giver {
        caller: &ask.actor.caller,
        deployments: &*ask.admin.deployments,
        fields: &fields,
        expires_at: ask.actor.key.as_ref().and_then(|key| key.draft.expires_at),
    };
    giver.fit(draft)?;
    let user = draft.parents.user.as_deref();
    if user.is_some() && user != ask.actor.user() && user != held_by {
        // Else whoever leads a team could act as each of its members.
        draft.fields.insert("allowed_routes".into(), Value::from(vec!["llm_api_routes"]));
    }
    Ok(())
}

/// What the actor's key has, with what its budget sets; or what its token says.
async fn own(ask: &Ask) -> Result<Map<String, Value>> {
    let mut fields = match (&ask.actor.key, &ask.actor.token) {
        (Some(key), _) => document(&KEY, key),
        (None, Some(claimed)) => {
            let list = |names: &[Arc<str>]| names.iter().map(|name| Value::from(&**name)).collect::<Value>();
            let models = claimed.models.as_deref().map(|models| ("models".to_owned(), list(models)));
            let routes = ("allowed_routes".to_owned(), list(&claimed.routes));
            models.into_iter().chain([routes]).collect()
        }
        (None, None) => Map::new(),
    };
    let budget = ask.actor.key.as_ref().and_then(|key| key.draft.parents.budget.as_ref());
    if let Some(id) = budget
        && let Some(budget) = ask.rows(&BUDGET).find(id).await?
    {
        for (name, value) in budget.draft.fields {
            fields.entry(name).or_insert(value);
        }
    }
    Ok(fields)
}

/// Whether the actor may do what the route does to a key that belongs to these. Members of a team need its permission.
pub(crate) async fn allowed(ask: &Ask, parents: &Parents) -> Result<()> {
    ask.check(parents)?;
    let Some(team) = parents.team.as_deref().filter(|team| !ask.actor.leads(team)) else { return Ok(()) };
    let organization = parents.organization.as_deref();
    if organization.is_some_and(|organization| ask.actor.organizes(organization)) {
        return Ok(());
    }
    let team = crate::objects::find(ask, &TEAM, team).await?;
    let said = form::list(&team.draft.fields, "team_member_permissions")?;
    if said.iter().any(|route| route == ask.route) || OF_MEMBERS.contains(&ask.route) {
        return Ok(());
    }
    let words = format!("members of team={} may not call {}: only its admins may", team.id, ask.route);
    Err(Failure::forbidden(&words))
}

/// An organization, a project or a team is not charged by whoever has nothing to do with it.
async fn belongings(ask: &Ask, parents: &Parents) -> Result<()> {
    let team = match &parents.team {
        Some(team) => Some(crate::objects::find(ask, &TEAM, team).await?),
        None => None,
    };
    if let Some(organization) = &parents.organization {
        let of_team = team.as_ref().and_then(|team| team.draft.parents.organization.as_ref());
        if of_team != Some(organization) && !ask.actor.organizes(organization) {
            return Err(Failure::forbidden("this is not an organization of yours"));
        }
    }
    if let Some(project) = &parents.project {
        let project = crate::objects::find(ask, &PROJECT, project).await?;
        if project.draft.parents.team.is_none() || project.draft.parents.team != parents.team {
            return Err(Failure::forbidden("this is not a project of the key's team"));
        }
    }
    Ok(())
}

/// What somebody else's key is for is only changed by administrators.
pub(crate) fn untouched(ask: &Ask, parents: &Parents, wishes: &Map<String, Value>) -> Result<()> {
    let own = parents.user.is_none() || parents.user.as_deref() == ask.actor.user();
    let named = ["user_id", "allowed_routes", "key_type"].into_iter().find(|name| wishes.contains_key(*name));
    match named {
        Some(name) if !own && !ask.actor.is_admin() => {
            Err(Failure::forbidden(&format!("{name} of somebody else's key is changed by proxy admins only")))
        }
        _ => Ok(()),
    }
}
