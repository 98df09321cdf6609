//! Users in teams and in organizations: rows of their own, named after both.

use gatewright_store::{Column, Draft, Filter, Kind, Object, Order, Parents, Query};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::ask::Ask;
use crate::failure::{Failure, Result};
use crate::objects::{self, MOST};
use crate::table::View;
use crate::tables::{MEMBER, USER};

/// A member that a body names: its user, its address, its role.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Named {
    pub(crate) user: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) role: Option<String>,
}

// === impl Named ===

impl Named {
    /// A user that is there.
    pub(crate) fn known(user: &Object) -> Self {
        Self { user: Some(user.id.clone()), email: user.draft.alias.clone(), role: None }
    }
}

/// The id of the membership of a user in a team or an organization.
pub fn id(kind: Kind, of: &str, user: &str) -> String {
    // The length keeps `a:b` in `c` apart from `a` in `b:c`.
    format!("{}:{}:{of}:{user}", kind.name(), of.len())
}

/// The memberships of some teams or organizations, the oldest first.
pub(crate) async fn of(ask: &Ask, kind: Kind, ids: Vec<String>) -> Result<Vec<Object>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let filter = Filter::In(column(kind), ids);
    let query = Query { order: Order::Oldest, limit: MOST, ..Query::of([filter]) };
    Ok(ask.rows(&MEMBER).list(&query).await?)
}

/// Makes a user a member, or changes what it is there.
pub(crate) async fn put(
    ask: &Ask,
    kind: Kind,
    of: &str,
    user: &Named,
    fields: &Map<String, Value>,
) -> Result<Object> {
    let id = id(kind, of, user.user.as_deref().unwrap_or_default());
    let mut draft = Draft::default();
    let existing = ask.rows(&MEMBER).find(&id).await?;
    if let Some(existing) = &existing {
        draft = existing.draft.clone();
    } else {
        let own = Some(of.to_owned());
        let parents = Parents { user: user.user.clone(), ..Parents::default() };
        draft.parents = match kind {
            Kind::Team => Parents { team: own, ..parents },
            _ => Parents { organization: own, ..parents },
        };
    }
    MEMBER.write(&mut draft, fields, ask.times());
    if let Some(email) = &user.email {
        draft.fields.insert("user_email".into(), email.clone().into());
    }
    match existing {
        Some(existing) => {
            Ok(ask.rows(&MEMBER).update(&id, existing.version, draft, &ask.actor.name()).await?)
        }
        None => objects::insert(ask, &MEMBER, &id, draft).await,
    }
}

/// The user that is named, made where there is none.
pub(crate) async fn user(ask: &Ask, named: &Named) -> Result<Object> {
    if let Some(found) = known(ask, named).await? {
        return Ok(found);
    }
    let mut draft = Draft { alias: named.email.clone(), ..Draft::default() };
    draft.fields.insert("user_role".into(), "internal_user".into());
    let id = named.user.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
    objects::insert(ask, &USER, &id, draft).await
}

/// The user that is named, by its id or by its address.
pub(crate) async fn known(ask: &Ask, named: &Named) -> Result<Option<Object>> {
    let rows = ask.rows(&USER);
    match (&named.user, &named.email) {
        (Some(user), _) => Ok(rows.find(user).await?),
        (None, Some(email)) => {
            let query = Query { limit: 2, ..Query::of([Filter::Is(Column::Alias, email.clone())]) };
            match rows.list(&query).await?.as_slice() {
                [] => Ok(None),
                [one] => Ok(Some(one.clone())),
                _ => Err(Failure::bad("user_email", "several users have this address: name one by user_id")),
            }
        }
        (None, None) => Err(Failure::bad("member", "Either user_id or user_email needs to be provided")),
    }
}

/// The members that a body names: `{user_id, user_email, role}`, or a list of them.
pub(crate) fn named(value: Option<&Value>, roles: &[&str]) -> Result<Vec<Named>> {
    let wrong = |value: &Value| {
        Failure::form(&["member".into()], ("dict_type", "Input should be a valid dictionary"), value)
    };
    let items = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().collect(),
        Some(one) => vec![one],
    };
    let read = |item: &Value| {
        let member = item.as_object().ok_or_else(|| wrong(item))?;
        let text = |name: &str| member.get(name).and_then(Value::as_str).map(str::to_owned);
        let role = text("role");
        match &role {
            Some(role) if !roles.contains(&role.as_str()) => {
                let words = format!("Input should be one of {roles:?}");
                Err(Failure::form(&["member".into(), "role".into()], ("enum", &words), &member["role"]))
            }
            _ => Ok(Named { user: text("user_id"), email: text("user_email"), role }),
        }
    };
    items.into_iter().map(read).collect()
}

/// `members_with_roles`.
pub(crate) fn roles(members: &[&Object]) -> Value {
    let one = |member: &&Object| {
        let field = |name: &str| member.draft.fields.get(name).cloned().unwrap_or_default();
        json!({"user_id": member.draft.parents.user, "user_email": field("user_email"), "role": field("role")})
    };
    members.iter().map(one).collect()
}

/// A membership with its limits in the form of a budget.
pub(crate) async fn shown(ask: &Ask, member: &Object) -> Result<Value> {
    Ok(objects::shown(ask, &MEMBER, member, View::Told).await?.into())
}

fn column(kind: Kind) -> Column {
    if kind == Kind::Team { Column::Team } else { Column::Organization }
}
