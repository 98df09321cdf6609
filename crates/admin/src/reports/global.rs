//! `/global/spend*`: what everybody spent.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use gatewright_core::Money;
use gatewright_store::{Dimension, Kind, Object, Report};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::days;
use crate::ask::Ask;
use crate::failure::{Failure, Result};
use crate::objects::dollars;

/// LiteLLM's name for what belongs to nobody.
const NOBODY: &str = "Unassigned";

/// What a report may be told by.
const GROUPS: [(&str, Dimension); 4] = [
    ("team", Dimension::Team),
    ("customer", Dimension::Customer),
    ("api_key", Dimension::Caller),
    ("internal_user_id", Dimension::User),
];

/// `GET /global/spend`: all of it, or what one key or one model spent.
pub(crate) async fn spend(ask: &mut Ask) -> Result<Value> {
    let days = match ask.param("start_date").or(ask.param("end_date")) {
        Some(_) => days::asked(ask)?,
        None => days::all(),
    };
    let rows = days::sums(ask, days, &[]).await?;
    let all: Money = rows.iter().map(|row| row.sums.cost).sum();
    Ok(json!({"spend": dollars(all), "max_budget": 0.0}))
}

/// `GET /global/spend/logs`: by day.
pub(crate) async fn spend_by_day(ask: &mut Ask) -> Result<Value> {
    let rows = days::sums(ask, days::asked(ask)?, &[Dimension::Day]).await?;
    let one = |row: &Report| json!({"date": days::printed(days::of(row)), "spend": dollars(row.sums.cost)});
    Ok(rows.iter().map(one).collect())
}

/// `GET /global/spend/keys`: the keys that spent most.
pub(crate) async fn keys(ask: &mut Ask) -> Result<Value> {
    let rows = days::dearest(ask, &[Dimension::Caller]).await?;
    let ids: Vec<String> = rows.iter().map(|row| days::name(row, 0).to_string()).collect();
    let known = ask.store().objects(Kind::Key).find_many(&ids).await?;
    let one = |row: &Report| {
        let id = days::name(row, 0);
        let key = known.iter().find(|key| *key.id == *id);
        json!({
            "api_key": id, "key_alias": key.and_then(|key| key.draft.alias.as_deref()),
            "key_name": key.and_then(|key| key.draft.fields.get("key_name")),
            "total_spend": dollars(row.sums.cost),
        })
    };
    Ok(rows.iter().map(one).collect())
}

/// `GET /global/spend/models`.
pub(crate) async fn models(ask: &mut Ask) -> Result<Value> {
    let rows = days::dearest(ask, &[Dimension::Provider, Dimension::Model]).await?;
    let one = |row: &Report| {
        let model = format!("{}/{}", days::name(row, 0), days::name(row, 1));
        json!({"model": model, "total_spend": dollars(row.sums.cost)})
    };
    Ok(rows.iter().map(one).collect())
}

/// `GET /global/spend/provider`.
pub(crate) async fn providers(ask: &mut Ask) -> Result<Value> {
    let rows = days::sums(ask, days::asked(ask)?, &[Dimension::Provider]).await?;
    let one = |row: &Report| json!({"provider": days::name(row, 0), "spend": dollars(row.sums.cost)});
    Ok(rows.iter().map(one).collect())
}

/// `POST /global/spend/end_users`.
pub(crate) async fn end_users(ask: &mut Ask) -> Result<Value> {
    let rows = days::dearest(ask, &[Dimension::Customer]).await?;
    let one = |row: &Report| {
        json!({
            "end_user": days::name(row, 0), "total_count": row.sums.succeeded + row.sums.failed,
            "total_spend": dollars(row.sums.cost),
        })
    };
    Ok(rows.iter().map(one).collect())
}

/// `GET /global/spend/teams`: by day and team.
pub(crate) async fn teams(ask: &mut Ask) -> Result<Value> {
    let rows = days::sums(ask, days::asked(ask)?, &[Dimension::Day, Dimension::Team]).await?;
    let ids: BTreeSet<String> = rows.iter().map(|row| days::name(row, 1).to_string()).collect();
    let ids = ids.into_iter().collect();
    let known = crate::objects::with(ask, Kind::Team, gatewright_store::Column::Id, ids).await?;
    let mut daily = Vec::new();
    for (_, of_day) in days::grouped(&rows, |row| days::name(row, 0)) {
        let mut day = Map::new();
        for row in of_day {
            day.entry("date").or_insert_with(|| days::printed(days::of(row)).into());
            day.insert(team(&known, &days::name(row, 1)), dollars(row.sums.cost));
        }
        daily.push(Value::Object(day));
    }
    let mut totals: Vec<(String, Money)> = days::grouped(&rows, |row| days::name(row, 1))
        .into_iter()
        .map(|(id, rows)| (team(&known, &id), rows.iter().map(|row| row.sums.cost).sum()))
        .collect();
    totals.sort_by_key(|(_, spent)| Reverse(*spent));
    let names: Vec<&String> = totals.iter().map(|(name, _)| name).collect();
    let told: Vec<Value> =
        totals.iter().map(|(name, spent)| json!({"team_id": name, "total_spend": dollars(*spent)})).collect();
    Ok(json!({"daily_spend": daily, "teams": names, "total_spend_per_team": told}))
}

/// `GET /global/spend/report`: by day, and by what is asked for.
pub(crate) async fn report(ask: &mut Ask) -> Result<Value> {
    let asked = days::required(ask)?;
    let by = ask.param("group_by").unwrap_or("team");
    let Some((name, dimension)) = GROUPS.into_iter().find(|(name, _)| *name == by) else {
        let words = "group_by is one of team, customer, api_key, internal_user_id";
        return Err(Failure::new(StatusCode::BAD_REQUEST, "bad_request", Some("group_by"), words));
    };
    let rows = days::sums(ask, asked, &[Dimension::Day, dimension, Dimension::Model]).await?;
    let mut told = Vec::new();
    for (_, of_day) in days::grouped(&rows, |row| days::name(row, 0)) {
        let date = of_day.first().map(|row| days::printed(days::of(row)));
        let of_day: Vec<Report> = of_day.into_iter().cloned().collect();
        let mut groups = Vec::new();
        for (id, rows) in days::grouped(&of_day, |row| days::name(row, 1)) {
            let model = |row: &&Report| {
                let tokens = row.sums.input + row.sums.output;
                json!({"model": days::name(row, 2), "spend": dollars(row.sums.cost), "total_tokens": tokens})
            };
            let all: Money = rows.iter().map(|row| row.sums.cost).sum();
            let mut group = Map::new();
            group.insert(name.to_owned(), (*id).into());
            group.insert("total_spend".into(), dollars(all));
            group.insert("metadata".into(), rows.iter().map(model).collect());
            groups.push(Value::Object(group));
        }
        told.push(json!({"group_by_day": date, (format!("{name}s")): groups}));
    }
    Ok(told.into())
}

fn team(known: &[Object], id: &Arc<str>) -> String {
    let alias = known.iter().find(|team| *team.id == **id).and_then(|team| team.draft.alias.clone());
    alias.unwrap_or_else(|| if id.is_empty() { NOBODY.to_owned() } else { id.to_string() })
}
