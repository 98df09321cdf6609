//! `/user/*`: users, and the keys that they come with.

use gatewright_store::{Column, Filter, Kind, Object, Query};
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::ask::Ask;
use crate::failure::{Failure, Result};
use crate::form;
use crate::keys;
use crate::members::{self, Named};
use crate::objects::{self, MOST};
use crate::page::Page;
use crate::table::View;
use crate::tables::{KEY, TEAM, USER};

/// What a user may be.
pub const ROLES: [&str; 6] =
    ["proxy_admin", "proxy_admin_viewer", "internal_user", "internal_user_viewer", "team", "customer"];

/// What a body may say that is no field of a user: some of it is for the key.
const BESIDE: [&str; 9] = [
    "user_id",
    "teams",
    "organizations",
    "auto_create_key",
    "send_invite_email",
    "key",
    "key_alias",
    "duration",
    "team_id",
];

/// What a user's first key takes from the body.
const OF_KEY: [&str; 2] = ["key_alias", "duration"];

/// `POST /user/new`: with a key, unless none is wanted.
pub(crate) async fn new(ask: &mut Ask) -> Result<Value> {
    let mut wishes = ask.read(&USER, &BESIDE)?;
    check_role(&wishes)?;
    wishes.entry("user_role").or_insert_with(|| "internal_user".into());
    let id = objects::id_of(ask, "user_id")?;
    let wants_key = ask.body.get("auto_create_key") != Some(&Value::Bool(false));
    let of_key = ask.body.iter().filter(|(name, _)| OF_KEY.contains(&name.as_str()));
    let of_key: Map<String, Value> = of_key.map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut of_key = KEY.read(&of_key, true)?.values;
    let teams = members_of(ask.body.get("teams"), "team_id")?;
    free(ask, &id, wishes.get("user_email").and_then(Value::as_str)).await?;
    let user = objects::create(ask, &USER, &id, &wishes).await?;
    for team in &teams {
        let team = objects::find(ask, &TEAM, team).await?;
        crate::teams::join(ask, &team, &Named::known(&user), &Map::new()).await?;
    }
    for organization in form::list(&ask.body, "organizations")? {
        crate::organizations::join(ask, &organization, &user, "internal_user").await?;
    }
    of_key.insert("user_id".into(), id.clone().into());
    let mut told = if wants_key { keys::grant(ask, of_key).await? } else { Map::new() };
    for (name, value) in shown(ask, &user).await? {
        told.insert(name, value);
    }
    told.entry("key").or_insert(Value::Null);
    Ok(told.into())
}

/// `POST /user/update`.
pub(crate) async fn update(ask: &mut Ask) -> Result<Value> {
    let wishes = ask.read(&USER, &["user_id"])?;
    check_role(&wishes)?;
    let text = |name: &str| ask.body.get(name).and_then(Value::as_str).map(str::to_owned);
    let named = Named { user: text("user_id"), email: text("user_email"), role: None };
    let user = members::known(ask, &named).await?.ok_or_else(|| Failure::missing("User not found"))?;
    let user = objects::change(ask, &USER, &user.id, &wishes).await?;
    Ok(json!({"user_id": user.id, "data": shown(ask, &user).await?}))
}

/// `POST /user/delete`: with their keys and memberships.
pub(crate) async fn delete(ask: &mut Ask) -> Result<Value> {
    let ids = form::list(&ask.body, "user_ids")?;
    let gone = objects::delete(ask, &USER, &ids).await?;
    for user in &gone {
        for kind in [Kind::Key, Kind::Membership] {
            objects::remove_all(ask, kind, Filter::Is(Column::User, user.id.clone())).await?;
        }
    }
    Ok(gone.len().into())
}

/// `GET /user/info`: a user, or the caller itself.
pub(crate) async fn info(ask: &mut Ask) -> Result<Value> {
    let asked = ask.param("user_id").or_else(|| ask.actor.user());
    let id = asked.ok_or_else(|| Failure::missing("No user was named"))?.to_owned();
    let user = objects::find(ask, &USER, &id).await?;
    ask.check(&objects::belongs(&USER, &id, &user.draft.parents))?;
    let keys = objects::with(ask, Kind::Key, Column::User, vec![id.clone()]).await?;
    let memberships = crate::actor::of_user(ask.store(), &id).await?;
    let ids: Vec<String> = memberships.into_iter().filter_map(|row| row.draft.parents.team).collect();
    let mut teams = Vec::new();
    for team in ask.rows(&TEAM).find_many(&ids).await? {
        teams.push(Value::Object(crate::teams::shown(ask, &team, View::Told).await?));
    }
    Ok(json!({
        "user_id": id,
        "user_info": shown(ask, &user).await?,
        "keys": crate::teams::told(ask, &keys).await?,
        "teams": teams,
    }))
}

/// `GET /user/list`: pages of users.
pub(crate) async fn list(ask: &mut Ask) -> Result<Value> {
    let page = Page::read(ask, "page_size", 25)?;
    let mut filters = Vec::new();
    let ids = ask.params("user_ids");
    filters.extend((!ids.is_empty()).then_some(Filter::In(Column::Id, ids)));
    filters.extend(ask.param("user_email").map(|text| Filter::Contains(Column::Alias, text.to_owned())));
    if let Some(team) = ask.param("team") {
        let members = members::of(ask, Kind::Team, vec![team.to_owned()]).await?;
        filters.push(Filter::In(
            Column::Id,
            members.into_iter().filter_map(|row| row.draft.parents.user).collect(),
        ));
    }
    let (users, total) = match ask.param("role").map(str::to_owned) {
        None => {
            let query = Query { filters, ..page.query() };
            (ask.rows(&USER).list(&query).await?, ask.rows(&USER).count(&query).await?)
        }
        Some(role) => with_role(ask, page, filters, &role).await?,
    };
    let ids: Vec<String> = users.iter().map(|user| user.id.clone()).collect();
    let keys = objects::with(ask, Kind::Key, Column::User, ids).await?;
    let mut told = Vec::new();
    for user in &users {
        let mut one = shown(ask, user).await?;
        let own = keys.iter().filter(|key| key.draft.parents.user.as_ref() == Some(&user.id)).count();
        one.insert("key_count".into(), own.into());
        told.push(one);
    }
    Ok(json!({
        "users": told, "total": total, "page": page.number, "page_size": page.size, "total_pages": page.of(total),
    }))
}

/// Roles are no column: the rows are looked through.
async fn with_role(ask: &Ask, page: Page, filters: Vec<Filter>, role: &str) -> Result<(Vec<Object>, u64)> {
    let query = Query { filters, skip: 0, limit: MOST, ..page.query() };
    let mut users = ask.rows(&USER).list(&query).await?;
    users.retain(|user| user.draft.fields.get("user_role").is_some_and(|one| one == role));
    let total = users.len() as u64;
    let skip = usize::try_from(page.query().skip).unwrap_or(usize::MAX);
    let size = usize::try_from(page.size).unwrap_or(usize::MAX);
    Ok((users.into_iter().skip(skip).take(size).collect(), total))
}

/// A user with its teams.
async fn shown(ask: &Ask, user: &Object) -> Result<Map<String, Value>> {
    let mut told = objects::shown(ask, &USER, user, View::Told).await?;
    let rows = crate::actor::of_user(ask.store(), &user.id).await?;
    let (in_teams, in_organizations): (Vec<&Object>, Vec<&Object>) =
        rows.iter().partition(|row| row.draft.parents.team.is_some());
    let teams: Vec<&String> = in_teams.iter().filter_map(|row| row.draft.parents.team.as_ref()).collect();
    told.insert("teams".into(), json!(teams));
    let organizations = in_organizations.iter().map(|row| {
        json!({
            "user_id": row.draft.parents.user, "organization_id": row.draft.parents.organization,
            "user_role": row.draft.fields.get("role"),
        })
    });
    told.insert("organization_memberships".into(), organizations.collect());
    Ok(told)
}

async fn free(ask: &Ask, id: &str, email: Option<&str>) -> Result<()> {
    let named = |user: Option<&str>, email: Option<&str>| Named {
        user: user.map(str::to_owned),
        email: email.map(str::to_owned),
        role: None,
    };
    let taken = |param: &str, what: &str| {
        let words = format!("User with {param} {what} already exists");
        Err(Failure::new(StatusCode::CONFLICT, "bad_request_error", Some(param), &words))
    };
    if members::known(ask, &named(Some(id), None)).await?.is_some() {
        return taken("user_id", id);
    }
    match email {
        Some(email) if members::known(ask, &named(None, Some(email))).await?.is_some() => {
            taken("user_email", email)
        }
        _ => Ok(()),
    }
}

fn check_role(wishes: &Map<String, Value>) -> Result<()> {
    match wishes.get("user_role") {
        Some(Value::String(role)) if !ROLES.contains(&role.as_str()) => {
            let words = format!("Input should be one of {ROLES:?}");
            Err(Failure::form(&["user_role".into()], ("enum", &words), &wishes["user_role"]))
        }
        _ => Ok(()),
    }
}

/// Ids in a list of texts or of objects.
fn members_of(value: Option<&Value>, name: &str) -> Result<Vec<String>> {
    let wrong =
        |item: &Value| Failure::form(&["teams".into()], ("list_type", "Input should be a valid list"), item);
    let items = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(value) => value.as_array().ok_or_else(|| wrong(value))?,
    };
    let id = |item: &Value| {
        let id = item.as_str().or_else(|| item.get(name)?.as_str());
        id.map(str::to_owned).ok_or_else(|| wrong(item))
    };
    items.iter().map(id).collect()
}
