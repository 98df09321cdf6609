//! `/spend/logs`: days in short, or the attempts themselves.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gatewright_core::Money;
use gatewright_spend::{Ending, Entry, State};
use gatewright_store::{Dimension, EntryPage, EntryQuery, PageQuery, Report};
use serde_json::{Map, Value, json};

use super::days;
use crate::ask::Ask;
use crate::calendar;
use crate::failure::{Failure, Result};
use crate::objects::dollars;
use crate::page::Page;

/// The most attempts that one answer has.
const MOST_ROWS: u64 = 1000;

/// `GET /spend/logs`: with dates one row a day, else the attempts.
pub(crate) async fn logs(ask: &mut Ask) -> Result<Value> {
    let dated = ask.param("start_date").is_some() && ask.param("end_date").is_some();
    if dated && !matches!(ask.param("summarize"), Some("false" | "False")) {
        return summary(ask).await;
    }
    let query = query(ask, MOST_ROWS)?;
    let entries = match ask.param("request_id") {
        Some(id) => ask.store().entries_named(id, &query).await?,
        None => ask.store().entries(&query).await?,
    };
    Ok(entries.iter().map(shown).collect())
}

/// `GET /spend/logs/v2`: pages of attempts.
pub(crate) async fn pages(ask: &mut Ask) -> Result<Value> {
    let page = Page::read_up_to(ask, "page_size", 50, MOST_ROWS)?;
    let EntryPage { entries, total } = match ask.param("request_id") {
        Some(id) => {
            let mut entries = ask.store().entries_named(id, &query(ask, MOST_ROWS)?).await?;
            let total = entries.len() as u64;
            let place = |rows: u64| usize::try_from(rows.min(total)).unwrap_or(entries.len());
            let rows = place(page.skip())..place(page.skip().saturating_add(page.size));
            EntryPage { entries: entries.drain(rows).collect(), total }
        }
        None => {
            let days = dated(ask)?.unwrap_or_else(days::all);
            let query = PageQuery {
                days,
                filters: narrowed(ask),
                hit: hit(ask)?,
                skip: page.skip(),
                limit: page.size,
            };
            ask.store().entry_page(query).await?
        }
    };
    Ok(json!({
        "data": entries.iter().map(shown).collect::<Vec<_>>(), "total": total, "page": page.number,
        "page_size": page.size, "total_pages": page.of(total),
    }))
}

async fn summary(ask: &Ask) -> Result<Value> {
    let asked = days::required(ask)?;
    // As many days as an answer may have, whatever was asked for.
    let last = (*asked.end()).min(asked.start().saturating_add(366));
    let days = *asked.start()..=last;
    let sums = async |by: &[Dimension]| days::sums_with(ask, days.clone(), by, narrowed(ask)).await;
    let callers = sums(&[Dimension::Day, Dimension::Caller]).await?;
    let users = sums(&[Dimension::Day, Dimension::User]).await?;
    let models = sums(&[Dimension::Day, Dimension::Provider, Dimension::Model]).await?;
    let named = |row: &Report| days::name(row, 1).to_string();
    let model = |row: &Report| format!("{}/{}", days::name(row, 1), days::name(row, 2));
    let (callers, users, models) = (by_day(&callers, named), by_day(&users, named), by_day(&models, model));
    let told = days.map(|day| {
        let (mut told, spent) = callers.get(&day).cloned().unwrap_or_default();
        let of_day = |all: &Days| all.get(&day).cloned().unwrap_or_default().0;
        told.insert("startTime".into(), days::printed(day).into());
        told.insert("spend".into(), dollars(spent));
        told.insert("users".into(), of_day(&users).into());
        told.insert("models".into(), of_day(&models).into());
        Value::Object(told)
    });
    Ok(told.collect())
}

/// What was spent by name, and in all, by day.
type Days = HashMap<u32, (Map<String, Value>, Money)>;

fn by_day(rows: &[Report], name: impl Fn(&Report) -> String) -> Days {
    let mut all = Days::new();
    for row in rows {
        let (told, spent) = all.entry(days::of(row)).or_default();
        told.insert(name(row), dollars(row.sums.cost));
        *spent += row.sums.cost;
    }
    all
}

/// Which attempts: as asked for, of the actor's own where it does not see all.
fn query(ask: &Ask, limit: u64) -> Result<EntryQuery> {
    let days = dated(ask)?;
    let since = days.as_ref().map(|days| days::begin(*days.start()));
    let until = days.as_ref().map(|days| days::begin(days.end().saturating_add(1)));
    Ok(EntryQuery { since, until, filters: narrowed(ask), hit: hit(ask)?, limit, ..EntryQuery::default() })
}

/// Whether the cache's answers are asked for, or the attempts; nothing where it is both.
fn hit(ask: &Ask) -> Result<Option<bool>> {
    match ask.param("cache_hit_filter") {
        None => Ok(None),
        Some("hit") => Ok(Some(true)),
        Some("miss") => Ok(Some(false)),
        Some(_) => Err(Failure::bad("cache_hit_filter", "cache_hit_filter is one of hit, miss")),
    }
}

/// The days that are asked for, where any are.
fn dated(ask: &Ask) -> Result<Option<RangeInclusive<u32>>> {
    match ask.param("start_date").or(ask.param("end_date")) {
        Some(_) => days::asked(ask).map(Some),
        None => Ok(None),
    }
}

fn narrowed(ask: &Ask) -> Vec<(Dimension, String)> {
    let mut filters = days::conditions(ask);
    if !ask.actor.sees_all() {
        filters.push(match ask.actor.user() {
            Some(user) => (Dimension::User, user.to_owned()),
            None => (Dimension::Caller, ask.actor.caller.id.to_string()),
        });
    }
    filters
}

fn shown(entry: &Entry) -> Value {
    let (begin, tenant, usage) = (&entry.begin, &entry.begin.tenant, &entry.usage);
    let spared = begin.spared.as_ref();
    let start = UNIX_EPOCH + Duration::from_micros(begin.started);
    let after = |wait: Option<Duration>| -> Option<SystemTime> { start.checked_add(wait?) };
    let end = after(entry.duration).unwrap_or(start);
    let (succeeded, error) = match &entry.state {
        State::Ended(Ending::Complete) => (true, Value::Null),
        State::Ended(Ending::Failed { kind, status }) => {
            (false, json!({"error_class": kind, "error_code": status.to_string()}))
        }
        State::Ended(Ending::Abandoned) => (false, json!({"error_class": "ClientGone"})),
        State::Ended(Ending::Interrupted) | State::Running => (false, json!({"error_class": "Interrupted"})),
    };
    let text = |name: &Option<std::sync::Arc<str>>| name.as_deref().unwrap_or_default().to_owned();
    json!({
        "request_id": begin.attempt.to_string(),
        "litellm_call_id": begin.call.to_string(),
        "call_type": "acompletion",
        "api_key": begin.caller,
        "spend": dollars(entry.cost),
        "total_tokens": usage.total_input() + usage.output,
        "prompt_tokens": usage.total_input(),
        "completion_tokens": usage.output,
        "startTime": calendar::printed(start),
        "endTime": calendar::printed(end),
        "completionStartTime": after(entry.first_content).map(calendar::printed),
        "request_duration_ms": entry.duration.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        "model": format!("{}/{}", begin.provider, begin.model),
        "model_id": begin.deployment,
        "model_group": begin.group,
        "custom_llm_provider": begin.provider,
        "api_base": "",
        "user": text(&tenant.user),
        "team_id": text(&tenant.team),
        "organization_id": text(&tenant.organization),
        "end_user": text(&tenant.customer),
        "request_tags": tenant.tags,
        "metadata": {
            "user_api_key": begin.caller, "user_api_key_team_id": tenant.team, "error_information": error,
            "response_id": entry.response, "estimated": entry.certainty != gatewright_spend::Certainty::Exact,
            "saved_cache_cost": spared.map(|spared| dollars(spared.saved)),
            "cache_partial_hit": spared.is_some_and(|spared| !spared.whole),
        },
        "cache_hit": match spared {
            Some(_) if entry.is_hit() => "True",
            Some(_) => "False",
            None => "None",
        },
        "cache_key": spared.map_or("Cache OFF", |spared| &*spared.key),
        "session_id": tenant.trace,
        "status": if succeeded { "success" } else { "failure" },
        "messages": {},
        "response": {},
        "proxy_server_request": {},
        "requester_ip_address": null,
        "mcp_namespaced_tool_name": null,
        "agent_id": null,
        "billing_agent_id": null,
    })
}
