//! `/global/activity` and `/{whose}/daily/activity`: requests, tokens and money by day.

use std::collections::BTreeSet;
use std::sync::Arc;

use gatewright_store::{Dimension, Kind, Report, RollupQuery, Sums};
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::{days, tags};
use crate::ask::Ask;
use crate::failure::{Failure, Result};
use crate::objects::dollars;
use crate::page::Page;

/// What a day is broken down by: LiteLLM's names, and where each stands in a row.
const BREAKDOWN: [(&str, usize); 4] = [("models", 3), ("model_groups", 4), ("providers", 2), ("api_keys", 1)];

/// The dimensions of a row before that of whose activity it is.
const BY: [Dimension; 5] =
    [Dimension::Day, Dimension::Caller, Dimension::Provider, Dimension::Model, Dimension::Group];

/// The most sums that a page is made of. LiteLLM's clients ask for all pages and add them up.
const MOST_ROWS: u64 = 1_000;

/// The most sums that are counted for the number of pages.
const MOST_COUNTED: u64 = 1_000_000;

/// What is not counted here, and what LiteLLM's clients read all the same.
const NOT_COUNTED: [&str; 7] = [
    "flat_cost",
    "ptu_hours",
    "compression_saved_tokens",
    "compression_savings_spend",
    "prompt_caching_savings_spend",
    "gateway_injected_caching_savings_spend",
    "autorouter_savings_spend",
];

/// `GET /global/activity`.
pub(crate) async fn activity(ask: &mut Ask) -> Result<Value> {
    let rows = days::sums(ask, days::required(ask)?, &[Dimension::Day]).await?;
    Ok(Value::Object(daily(&rows.iter().collect::<Vec<_>>(), None)))
}

/// `GET /global/activity/model`.
pub(crate) async fn activity_of_models(ask: &mut Ask) -> Result<Value> {
    let rows = days::sums(ask, days::required(ask)?, &[Dimension::Day, Dimension::Group]).await?;
    let groups = days::grouped(&rows, |row| days::name(row, 1));
    let one = |(name, rows): (Arc<str>, Vec<&Report>)| {
        let mut told = daily(&rows, Some(&name));
        told.insert("model".into(), (*name).into());
        Value::Object(told)
    };
    Ok(groups.into_iter().map(one).collect())
}

/// `GET /global/activity/cache_hits`: what the cache answered, by key and model.
pub(crate) async fn cache_hits(ask: &mut Ask) -> Result<Value> {
    let by = [Dimension::Caller, Dimension::Provider, Dimension::Model];
    let rows = days::sums(ask, days::required(ask)?, &by).await?;
    let ids: BTreeSet<String> = rows.iter().map(|row| days::name(row, 0).to_string()).collect();
    let known = ask.store().objects(Kind::Key).find_many(&Vec::from_iter(ids)).await?;
    let one = |row: &Report| {
        let (id, sums) = (days::name(row, 0), &row.sums);
        let alias = known.iter().find(|key| *key.id == *id).and_then(|key| key.draft.alias.as_deref());
        json!({
            "api_key": alias.unwrap_or("Unnamed Key"),
            "call_type": "acompletion",
            "model": format!("{}/{}", days::name(row, 1), days::name(row, 2)),
            "total_rows": sums.attempts(),
            "cache_hit_true_rows": sums.hits,
            "failed_rows": sums.failed,
            "cached_completion_tokens": sums.hit_output,
            "generated_completion_tokens": sums.output - sums.hit_output,
            "saved_spend": dollars(sums.saved),
        })
    };
    Ok(rows.iter().map(one).collect())
}

/// `GET /user/daily/activity`: of all, of one user, or of oneself.
pub(crate) async fn by_user(ask: &mut Ask) -> Result<Value> {
    let mut filters = days::conditions(ask);
    if !ask.actor.sees_all() {
        let own = ask.actor.user().ok_or_else(|| Failure::forbidden("your key belongs to no user"))?;
        filters.retain(|(by, _)| *by != Dimension::User);
        filters.push((Dimension::User, own.to_owned()));
    }
    told(ask, Dimension::User, filters).await
}

/// `GET /team/daily/activity`: of all teams, or of those that are named.
pub(crate) async fn by_team(ask: &mut Ask) -> Result<Value> {
    let named = ask.params("team_ids");
    let mut filters = days::conditions(ask);
    let one = match named.as_slice() {
        [] => ask.param("team_id").map(str::to_owned),
        [one] => Some(one.clone()),
        _ => return Err(Failure::bad("team_ids", "one team can be asked for at a time")),
    };
    match one {
        Some(team) if ask.actor.leads(&team) => filters.push((Dimension::Team, team)),
        None if ask.actor.sees_all() => {}
        _ => return Err(Failure::forbidden("only the activity of teams that you lead is told")),
    }
    told(ask, Dimension::Team, filters).await
}

/// `GET /organization/daily/activity`.
pub(crate) async fn by_organization(ask: &mut Ask) -> Result<Value> {
    let filters = days::conditions(ask);
    told(ask, Dimension::Organization, filters).await
}

/// `GET /customer/daily/activity`.
pub(crate) async fn by_customer(ask: &mut Ask) -> Result<Value> {
    let filters = days::conditions(ask);
    told(ask, Dimension::Customer, filters).await
}

/// `GET /tag/daily/activity`.
pub(crate) async fn by_tag(ask: &mut Ask) -> Result<Value> {
    let filters = days::conditions(ask);
    told(ask, Dimension::Tags, filters).await
}

async fn told(ask: &Ask, whose: Dimension, filters: Vec<(Dimension, String)>) -> Result<Value> {
    let by: Vec<Dimension> = BY.into_iter().chain([whose]).collect();
    let page = Page::read_up_to(ask, "page_size", MOST_ROWS, MOST_ROWS)?;
    let (days, skip, limit) = (days::required(ask)?, page.skip(), page.size);
    let query = RollupQuery { days, filters, by, skip, limit };
    let total = ask.store().count_rollups(&query, MOST_COUNTED).await?;
    let rows = ask.store().rollups(&query).await?;
    let groups = days::grouped(&rows, |row| days::name(row, 0));
    let results: Vec<Value> = groups.iter().map(|(_, rows)| day(rows, whose)).collect();
    let all = sum(rows.iter());
    let mut metadata = Map::new();
    for (name, value) in metrics(&all) {
        metadata.insert(format!("total_{}", name.trim_start_matches("total_")), value);
    }
    let has_more = page.number < page.of(total);
    for (name, value) in
        [("page", json!(page.number)), ("total_pages", json!(page.of(total))), ("has_more", json!(has_more))]
    {
        metadata.insert(name.into(), value);
    }
    Ok(json!({"results": results, "metadata": metadata}))
}

fn day(rows: &[&Report], whose: Dimension) -> Value {
    let owned: Vec<Report> = rows.iter().map(|row| (*row).clone()).collect();
    let mut breakdown = Map::new();
    for (name, place) in BREAKDOWN {
        let title = |row: &Report| match name {
            "models" => format!("{}/{}", days::name(row, 2), days::name(row, 3)).into(),
            _ => days::name(row, place),
        };
        let keys = (name != "api_keys").then_some(1);
        breakdown.insert(name.into(), broken_down(&owned, &title, keys));
    }
    breakdown.insert("entities".into(), entities(&owned, whose));
    for none in ["mcp_servers", "endpoints", "guardrails"] {
        breakdown.insert(none.into(), json!({}));
    }
    let date = rows.first().map(|row| days::printed(days::of(row)));
    json!({"date": date, "metrics": metrics(&sum(rows.iter().copied())), "breakdown": breakdown})
}

/// A call with two tags counts with both.
fn entities(rows: &[Report], whose: Dimension) -> Value {
    let nobody = |name: Arc<str>| if name.is_empty() { "Unassigned".into() } else { name };
    if whose != Dimension::Tags {
        return broken_down(rows, &|row| nobody(days::name(row, 5)), Some(1));
    }
    let each = rows.iter().flat_map(|row| {
        let one = move |tag: String| {
            let mut row = row.clone();
            row.by.truncate(5);
            row.by.push(Some(tag.into()));
            row
        };
        tags::listed(&days::name(row, 5)).into_iter().map(one)
    });
    broken_down(&each.collect::<Vec<_>>(), &|row| days::name(row, 5), Some(1))
}

fn broken_down(rows: &[Report], title: &dyn Fn(&Report) -> Arc<str>, keys: Option<usize>) -> Value {
    let mut told = Map::new();
    for (name, rows) in days::grouped(rows, title) {
        let mut one = Map::new();
        one.insert("metrics".into(), metrics(&sum(rows.iter().copied())).into());
        one.insert("metadata".into(), json!({}));
        if let Some(place) = keys {
            let owned: Vec<Report> = rows.into_iter().cloned().collect();
            one.insert("api_key_breakdown".into(), broken_down(&owned, &|row| days::name(row, place), None));
        }
        told.insert(name.to_string(), one.into());
    }
    told.into()
}

fn metrics(sums: &Sums) -> Map<String, Value> {
    let mut told = Map::new();
    for (name, value) in [
        ("spend", dollars(sums.cost)),
        ("prompt_tokens", sums.input.into()),
        ("completion_tokens", sums.output.into()),
        ("cache_read_input_tokens", sums.cache_read.into()),
        ("cache_creation_input_tokens", sums.cache_write.into()),
        ("total_tokens", (sums.input + sums.output).into()),
        ("successful_requests", sums.succeeded.into()),
        ("failed_requests", sums.failed.into()),
        ("api_requests", (sums.succeeded + sums.failed).into()),
    ] {
        told.insert(name.into(), value);
    }
    for name in NOT_COUNTED {
        told.insert(name.into(), json!(0.0));
    }
    told
}

fn sum<'a>(rows: impl Iterator<Item = &'a Report>) -> Sums {
    rows.map(|row| row.sums).sum()
}

fn daily(rows: &[&Report], group: Option<&str>) -> Map<String, Value> {
    let one = |row: &&Report| {
        let mut told = Map::new();
        told.insert("date".into(), short(days::of(row)).into());
        told.insert("api_requests".into(), (row.sums.succeeded + row.sums.failed).into());
        told.insert("total_tokens".into(), (row.sums.input + row.sums.output).into());
        if let Some(group) = group {
            told.insert("model_group".into(), group.into());
        }
        Value::Object(told)
    };
    let all = sum(rows.iter().copied());
    let mut told = Map::new();
    told.insert("daily_data".into(), rows.iter().map(one).collect());
    told.insert("sum_api_requests".into(), (all.succeeded + all.failed).into());
    told.insert("sum_total_tokens".into(), (all.input + all.output).into());
    told
}

/// `Nov 20`.
fn short(day: u32) -> String {
    days::printed(day)
        .parse::<Date>()
        .map_or_else(|_| days::printed(day), |date| date.strftime("%b %d").to_string())
}
