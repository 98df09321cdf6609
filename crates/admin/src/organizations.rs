//! `/organization/*`: organizations and their members.

use gatewright_store::{Column, Filter, Kind, Object, Order, Query};
use serde_json::{Map, Value, json};

use crate::ask::Ask;
use crate::failure::{Failure, Result};
use crate::form;
use crate::members::{self, Named};
use crate::objects::{self, MOST};
use crate::table::View;
use crate::tables::{MEMBER, ORGANIZATION, TEAM};

/// What a member of an organization may be.
const ROLES: [&str; 3] = ["org_admin", "internal_user", "internal_user_viewer"];

/// `POST /organization/new`.
pub(crate) async fn new(ask: &mut Ask) -> Result<Value> {
    let wishes = ask.read(&ORGANIZATION, &["organization_id"])?;
    let id = objects::id_of(ask, "organization_id")?;
    let organization = objects::create(ask, &ORGANIZATION, &id, &wishes).await?;
    Ok(shown(ask, &organization, View::Made).await?.into())
}

/// `PATCH /organization/update`.
pub(crate) async fn update(ask: &mut Ask) -> Result<Value> {
    let wishes = ask.read(&ORGANIZATION, &["organization_id"])?;
    let id = ask.required("organization_id")?.to_owned();
    let organization = objects::change(ask, &ORGANIZATION, &id, &wishes).await?;
    Ok(shown(ask, &organization, View::Told).await?.into())
}

/// `DELETE /organization/delete`: with all that belongs to them.
pub(crate) async fn delete(ask: &mut Ask) -> Result<Value> {
    let ids = form::list(&ask.body, "organization_ids")?;
    let gone = objects::delete(ask, &ORGANIZATION, &ids).await?;
    for organization in &gone {
        let of_it = Filter::Is(Column::Organization, organization.id.clone());
        for team in objects::remove_all(ask, Kind::Team, of_it.clone()).await? {
            for kind in [Kind::Key, Kind::Membership, Kind::Project] {
                objects::remove_all(ask, kind, Filter::Is(Column::Team, team.id.clone())).await?;
            }
        }
        for kind in [Kind::Key, Kind::Membership] {
            objects::remove_all(ask, kind, of_it.clone()).await?;
        }
    }
    told(ask, &gone).await
}

/// `GET /organization/info`, and `POST` with `{organizations: [id]}`.
pub(crate) async fn info(ask: &mut Ask) -> Result<Value> {
    let named = form::list(&ask.body, "organizations")?;
    if named.is_empty() {
        let id = ask.required_param("organization_id")?.to_owned();
        let organization = seen(ask, &id).await?;
        return Ok(shown(ask, &organization, View::Told).await?.into());
    }
    let mut found = Vec::new();
    for id in &named {
        found.push(seen(ask, id).await?);
    }
    told(ask, &found).await
}

/// `GET /organization/list`.
pub(crate) async fn list(ask: &mut Ask) -> Result<Value> {
    let mut filters = Vec::new();
    filters.extend(ask.param("org_alias").map(|text| Filter::Contains(Column::Alias, text.to_owned())));
    if !ask.actor.sees_all() {
        let rows = match ask.actor.user() {
            Some(user) => crate::actor::of_user(ask.store(), user).await?,
            None => Vec::new(),
        };
        let own = rows.into_iter().filter_map(|row| row.draft.parents.organization).collect();
        filters.push(Filter::In(Column::Id, own));
    }
    let query = Query { order: Order::Oldest, limit: MOST, filters, ..Query::default() };
    let found = ask.rows(&ORGANIZATION).list(&query).await?;
    told(ask, &found).await
}

/// `POST /organization/member_add`.
pub(crate) async fn member_add(ask: &mut Ask) -> Result<Value> {
    let named = members::named(ask.body.get("member"), &ROLES)?;
    if named.is_empty() {
        return Err(Failure::required("member"));
    }
    let organization = administered(ask).await?;
    let limits = limits(ask)?;
    let (mut users, mut memberships) = (Vec::new(), Vec::new());
    for named in &named {
        let user = members::user(ask, named).await?;
        let mut fields = limits.clone();
        fields.insert("role".into(), named.role.as_deref().unwrap_or("internal_user").into());
        let member = put(ask, &organization.id, &Named::known(&user), &fields).await?;
        users.push(json!({"user_id": user.id, "user_email": user.draft.alias}));
        memberships.push(member);
    }
    Ok(json!({
        "organization_id": organization.id,
        "updated_users": users,
        "updated_organization_memberships": memberships,
    }))
}

/// `PATCH /organization/member_update`.
pub(crate) async fn member_update(ask: &mut Ask) -> Result<Value> {
    let organization = administered(ask).await?;
    let (user, _) = member(ask, &organization).await?;
    let mut fields = limits(ask)?;
    if let Some(role) = ask.body.get("role").filter(|role| !role.is_null()) {
        let said = json!({"role": role});
        let role = members::named(Some(&said), &ROLES)?.pop().and_then(|named| named.role);
        fields.insert("role".into(), role.into());
    }
    let told = put(ask, &organization.id, &user, &fields).await?;
    Ok(told)
}

/// `DELETE /organization/member_delete`.
pub(crate) async fn member_delete(ask: &mut Ask) -> Result<Value> {
    let organization = administered(ask).await?;
    let (_, member) = member(ask, &organization).await?;
    ask.rows(&MEMBER).delete(&member.id, &ask.actor.name()).await?;
    shown_member(ask, &member).await
}

/// Makes a user a member of an organization.
pub(crate) async fn join(ask: &Ask, organization: &str, user: &Object, role: &str) -> Result<()> {
    let organization = objects::find(ask, &ORGANIZATION, organization).await?;
    let fields = Map::from_iter([("role".to_owned(), role.into())]);
    put(ask, &organization.id, &Named::known(user), &fields).await.map(drop)
}

async fn put(ask: &Ask, id: &str, user: &Named, fields: &Map<String, Value>) -> Result<Value> {
    let member = members::put(ask, Kind::Organization, id, user, fields).await?;
    shown_member(ask, &member).await
}

async fn shown_member(ask: &Ask, member: &Object) -> Result<Value> {
    let mut told = members::shown(ask, member).await?;
    told["user_role"] = told["role"].clone();
    Ok(told)
}

/// The organization that the body names, which the actor administers.
async fn administered(ask: &Ask) -> Result<Object> {
    let id = ask.required("organization_id")?.to_owned();
    let found = objects::find(ask, &ORGANIZATION, &id).await?;
    ask.check(&objects::belongs(&ORGANIZATION, &id, &found.draft.parents))?;
    Ok(found)
}

/// One that the actor may see: it is a member, or above.
async fn seen(ask: &Ask, id: &str) -> Result<Object> {
    let found = objects::find(ask, &ORGANIZATION, id).await?;
    let member = match ask.actor.user() {
        Some(user) => ask.rows(&MEMBER).find(&members::id(Kind::Organization, id, user)).await?,
        None => None,
    };
    if member.is_none() {
        ask.check(&objects::belongs(&ORGANIZATION, id, &found.draft.parents))?;
    }
    Ok(found)
}

async fn member(ask: &Ask, organization: &Object) -> Result<(Named, Object)> {
    let text = |name: &str| ask.body.get(name).and_then(Value::as_str).map(str::to_owned);
    let named = Named { user: text("user_id"), email: text("user_email"), role: None };
    let missing = || Failure::missing(&format!("User not found in organization={}", organization.id));
    let user = members::known(ask, &named).await?.ok_or_else(missing)?;
    let id = members::id(Kind::Organization, &organization.id, &user.id);
    let member = ask.rows(&MEMBER).find(&id).await?.ok_or_else(missing)?;
    Ok((Named::known(&user), member))
}

fn limits(ask: &Ask) -> Result<Map<String, Value>> {
    let said = ask.body.get("max_budget_in_organization").map(|most| ("max_budget".to_owned(), most.clone()));
    Ok(MEMBER.read(&said.into_iter().collect(), true)?.values)
}

async fn told(ask: &Ask, found: &[Object]) -> Result<Value> {
    let mut all = Vec::new();
    for organization in found {
        all.push(Value::Object(shown(ask, organization, View::Told).await?));
    }
    Ok(all.into())
}

/// An organization with its teams and members.
async fn shown(ask: &Ask, organization: &Object, view: View) -> Result<Map<String, Value>> {
    let mut told = objects::shown(ask, &ORGANIZATION, organization, view).await?;
    let own = vec![organization.id.clone()];
    let teams = objects::with(ask, Kind::Team, Column::Organization, own.clone()).await?;
    let teams: Vec<Value> =
        teams.iter().map(|team| TEAM.show(team, View::Told, ask.times()).into()).collect();
    let mut all = Vec::new();
    for member in members::of(ask, Kind::Organization, own).await? {
        all.push(shown_member(ask, &member).await?);
    }
    told.insert("teams".into(), teams.into());
    told.insert("members".into(), all.into());
    Ok(told)
}
