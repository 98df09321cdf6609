//! `/key/list`: pages of keys.

use gatewright_store::{Column, Filter, Kind, Query};
use serde_json::{Value, json};

use crate::ask::Ask;
use crate::failure::{Failure, Result};
use crate::giver;
use crate::page::Page;

/// Parameters that are conditions.
const CONDITIONS: [(&str, Column); 5] = [
    ("user_id", Column::User),
    ("team_id", Column::Team),
    ("organization_id", Column::Organization),
    ("project_id", Column::Project),
    ("key_alias", Column::Alias),
];

/// `GET /key/list`.
pub(crate) async fn list(ask: &mut Ask) -> Result<Value> {
    let page = Page::read(ask, "size", 10)?;
    let query = Query { filters: filters(ask)?, ..page.query() };
    let rows = ask.store().objects(Kind::Key);
    let total = rows.count(&query).await?;
    let keys = rows.list(&query).await?;
    let told: Value = match ask.is_set("return_full_object") {
        true => crate::teams::told(ask, &keys).await?,
        false => keys.iter().map(|key| key.id.as_str()).collect(),
    };
    Ok(json!({
        "keys": told, "total_count": total, "current_page": page.number, "total_pages": page.of(total),
    }))
}

/// `GET /key/aliases`.
pub(crate) async fn aliases(ask: &mut Ask) -> Result<Value> {
    let page = Page::read(ask, "size", 50)?;
    let mut filters = filters(ask)?;
    filters.extend(ask.param("search").map(|text| Filter::Contains(Column::Alias, text.to_owned())));
    let query = Query { filters, ..page.query() };
    let rows = ask.store().objects(Kind::Key);
    let total = rows.count(&query).await?;
    let keys = rows.list(&query).await?;
    let aliases: Vec<&String> = keys.iter().filter_map(|key| key.draft.alias.as_ref()).collect();
    Ok(json!({
        "aliases": aliases, "total_count": total, "current_page": page.number, "total_pages": page.of(total),
        "size": page.size,
    }))
}

/// What is asked for, within what the actor sees: its own keys, or those of a team that it leads.
fn filters(ask: &Ask) -> Result<Vec<Filter>> {
    let said = CONDITIONS.iter().filter_map(|(name, column)| Some((column, ask.param(name)?)));
    let mut filters: Vec<Filter> =
        said.map(|(column, value)| Filter::Is(*column, value.to_owned())).collect();
    filters.extend(ask.param("key_hash").map(|hash| Filter::Is(Column::Id, giver::hash(hash).to_string())));
    if ask.actor.sees_all() {
        return Ok(filters);
    }
    let by_team = ask.param("team_id").is_some_and(|team| ask.actor.leads(team));
    let by_organization =
        ask.param("organization_id").is_some_and(|organization| ask.actor.organizes(organization));
    match (by_team || by_organization, ask.actor.user()) {
        (true, _) => {}
        (false, Some(user)) => filters.push(Filter::Is(Column::User, user.to_owned())),
        (false, None) => {
            let own = ask.actor.key.as_ref().ok_or_else(|| Failure::forbidden("nothing is yours"))?;
            filters.push(Filter::Is(Column::Id, own.id.clone()));
        }
    }
    Ok(filters)
}
