//! Members come to a team, change there, and leave it.

use gatewright_store::{Column, Kind, Object};
use serde_json::{Map, Value, json};

use super::change::shown;
use crate::ask::Ask;
use crate::failure::{Failure, Result};
use crate::members::{self, Named};
use crate::objects;
use crate::resets;
use crate::table::View;
use crate::tables::{MEMBER, TEAM, USER};

/// What a member of a team may be.
pub(crate) const ROLES: [&str; 2] = ["admin", "user"];

/// LiteLLM's names for the limits of a member, and ours.
const LIMITS: [(&str, &str); 5] = [
    ("max_budget_in_team", "max_budget"),
    ("budget_duration", "budget_duration"),
    ("allowed_models", "models"),
    ("rpm_limit", "rpm_limit"),
    ("tpm_limit", "tpm_limit"),
];

/// The budget of every member of a team where nothing else is said.
const BUDGET_OF_TEAM: [(&str, &str); 2] =
    [("team_member_budget", "max_budget"), ("team_member_budget_duration", "budget_duration")];

/// What every member of a team gets where nothing else is said.
const OF_TEAM: [(&str, &str); 5] = [
    BUDGET_OF_TEAM[0],
    BUDGET_OF_TEAM[1],
    ("team_member_rpm_limit", "rpm_limit"),
    ("team_member_tpm_limit", "tpm_limit"),
    ("default_team_member_models", "models"),
];

/// `POST /team/member_add`: one or several.
pub(crate) async fn member_add(ask: &mut Ask) -> Result<Value> {
    let named = members::named(ask.body.get("member"), &ROLES)?;
    if named.is_empty() {
        return Err(Failure::required("member"));
    }
    add(ask, &named).await
}

/// `POST /team/bulk_member_add`.
pub(crate) async fn members_add(ask: &mut Ask) -> Result<Value> {
    let named = members::named(ask.body.get("members"), &ROLES)?;
    if named.is_empty() {
        return Err(Failure::required("members"));
    }
    add(ask, &named).await
}

/// `POST /team/member_update`.
pub(crate) async fn member_update(ask: &mut Ask) -> Result<Value> {
    let team = led(ask).await?;
    let (user, _) = member(ask, &team).await?;
    let id = user.user.clone();
    let mut fields = limits(ask)?;
    if let Some(role) =
        members::named(Some(&Value::Object(ask.body.clone())), &ROLES)?.pop().and_then(|m| m.role)
    {
        fields.insert("role".into(), role.into());
    }
    let member = members::put(ask, Kind::Team, &team.id, &user, &fields).await?;
    let told = objects::shown(ask, &MEMBER, &member, View::Told).await?;
    let of = |name: &str| told.get(name).cloned().unwrap_or_default();
    Ok(json!({
        "team_id": team.id, "user_id": id, "user_email": user.email, "role": of("role"),
        "max_budget_in_team": of("max_budget"), "budget_duration": of("budget_duration"),
        "tpm_limit": of("tpm_limit"), "rpm_limit": of("rpm_limit"), "allowed_models": of("models"),
    }))
}

/// `POST /team/member_delete`: its keys in the team go with it.
pub(crate) async fn member_delete(ask: &mut Ask) -> Result<Value> {
    let team = led(ask).await?;
    let (user, member) = member(ask, &team).await?;
    ask.rows(&MEMBER).delete(&member.id, &ask.actor.name()).await?;
    let keys = objects::with(ask, Kind::Key, Column::User, user.user.into_iter().collect()).await?;
    for key in keys.iter().filter(|key| key.draft.parents.team.as_ref() == Some(&team.id)) {
        ask.store().objects(Kind::Key).delete(&key.id, &ask.actor.name()).await?;
    }
    Ok(shown(ask, &team, View::Made).await?.into())
}

/// `POST /team/{team_id}/member/{user_id}/reset_spend`.
pub(crate) async fn member_reset_spend(ask: &mut Ask) -> Result<Value> {
    let (team, user, member) = named_by_path(ask).await?;
    let told = resets::reset(ask, &MEMBER, member, "membership_id").await?;
    let of = |name: &str| told.get(name).cloned().unwrap_or_default();
    Ok(json!({
        "team_id": team.id, "user_id": user, "spend": of("spend"), "previous_spend": of("previous_spend"),
        "max_budget_in_team": of("max_budget"), "budget_reset_at": of("budget_reset_at"),
    }))
}

/// `POST /team/{team_id}/member/{user_id}/reset_budget`: back to the budget that the team has for its members.
pub(crate) async fn member_reset_budget(ask: &mut Ask) -> Result<Value> {
    let (team, user, member) = named_by_path(ask).await?;
    let of_team = |said: &str| team.draft.fields.get(said).cloned().unwrap_or_default();
    let wishes: Map<String, Value> =
        BUDGET_OF_TEAM.into_iter().map(|(said, name)| (name.to_owned(), of_team(said))).collect();
    let previous = member.draft.parents.budget.clone();
    let edited = objects::edit(ask, &MEMBER, &member.id, |before| {
        let mut draft = before.draft.clone();
        draft.parents.budget = None;
        MEMBER.write(&mut draft, &wishes, ask.times());
        Ok(draft)
    });
    let after = edited.await?;
    let source = if after.draft.fields.contains_key("max_budget") { "team_default" } else { "none" };
    Ok(json!({
        "team_id": team.id, "user_id": user, "budget_id": null, "previous_budget_id": previous,
        "budget_source": source,
    }))
}

/// The team, the user and the membership that the path names.
async fn named_by_path(ask: &Ask) -> Result<(Object, String, Object)> {
    let (team, user) = (ask.required_param("team_id")?, ask.required_param("user_id")?.to_owned());
    let team = objects::find(ask, &TEAM, team).await?;
    ask.check(&objects::belongs(&TEAM, &team.id, &team.draft.parents))?;
    let member = ask.rows(&MEMBER).find(&members::id(Kind::Team, &team.id, &user)).await?;
    let missing = || Failure::missing(&format!("User not found in team={}", team.id));
    let member = member.ok_or_else(missing)?;
    Ok((team, user, member))
}

/// Makes a user a member, with the limits that the team has for its members.
pub(crate) async fn join(
    ask: &Ask,
    team: &Object,
    named: &Named,
    limits: &Map<String, Value>,
) -> Result<(Object, Object)> {
    let user = members::user(ask, named).await?;
    let fields = fields(team, named, limits);
    let member = members::put(ask, Kind::Team, &team.id, &Named::known(&user), &fields).await?;
    Ok((user, member))
}

/// The first member of a team is whoever makes it, who may be no user: the holder of the master key.
pub(crate) async fn lead(ask: &Ask, team: &Object, leader: &Named) -> Result<()> {
    let fields = fields(team, leader, &Map::new());
    members::put(ask, Kind::Team, &team.id, leader, &fields).await.map(drop)
}

fn fields(team: &Object, named: &Named, limits: &Map<String, Value>) -> Map<String, Value> {
    let mut fields = limits.clone();
    for (said, name) in OF_TEAM {
        if let Some(value) = team.draft.fields.get(said) {
            fields.entry(name).or_insert_with(|| value.clone());
        }
    }
    fields.insert("role".into(), named.role.as_deref().unwrap_or("user").into());
    fields
}

async fn add(ask: &mut Ask, named: &[Named]) -> Result<Value> {
    let team = led(ask).await?;
    let limits = limits(ask)?;
    let (mut users, mut memberships) = (Vec::new(), Vec::new());
    for named in named {
        let (user, member) = join(ask, &team, named, &limits).await?;
        users.push(Value::from(objects::shown(ask, &USER, &user, View::Told).await?));
        memberships.push(members::shown(ask, &member).await?);
    }
    let mut told = shown(ask, &team, View::Made).await?;
    told.insert("updated_users".into(), users.into());
    told.insert("updated_team_memberships".into(), memberships.into());
    Ok(told.into())
}

/// The team that the body names, which the actor leads.
async fn led(ask: &Ask) -> Result<Object> {
    let id = ask.required("team_id")?.to_owned();
    let team = objects::find(ask, &TEAM, &id).await?;
    ask.check(&objects::belongs(&TEAM, &id, &team.draft.parents))?;
    Ok(team)
}

/// The member that the body names, and its user.
async fn member(ask: &Ask, team: &Object) -> Result<(Named, Object)> {
    let text = |name: &str| ask.body.get(name).and_then(Value::as_str).map(str::to_owned);
    let named = Named { user: text("user_id"), email: text("user_email"), role: None };
    let known = members::known(ask, &named).await?;
    let missing = || Failure::missing(&format!("User not found in team={}", team.id));
    // A member may be there whose user was never made: whoever holds the master key.
    let user = known.map_or(named, |user| Named::known(&user));
    let id = members::id(Kind::Team, &team.id, user.user.as_deref().ok_or_else(missing)?);
    let member = ask.rows(&MEMBER).find(&id).await?.ok_or_else(missing)?;
    Ok((user, member))
}

/// The limits that the body sets for a member, checked.
fn limits(ask: &Ask) -> Result<Map<String, Value>> {
    let said =
        LIMITS.iter().filter_map(|(said, name)| Some(((*name).to_owned(), ask.body.get(*said)?.clone())));
    Ok(MEMBER.read(&said.collect(), true)?.values)
}
