//! `/spend/logs`: days in short, or the attempts themselves.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gatewright_core::Money;
use gatewright_spend::{Ending, Entry, State};
use gatewright_store::{Dimension, EntryQuery, Report};
use serde_json::{Map, Value, json};

use super::days;
use crate::ask::Ask;
use crate::calendar;
use crate::failure::Result;
use crate::objects::{MOST, dollars};
use crate::page::Page;

/// The most attempts that an answer without pages has.
const MOST_ROWS: u64 = 1000;

/// `GET /spend/logs`: with dates one row a day, else the attempts.
pub(crate) async fn logs(ask: &mut Ask) -> Result<Value> {
    let dated = ask.param("start_date").is_some() && ask.param("end_date").is_some();
    if dated && !matches!(ask.param("summarize"), Some("false" | "False")) {
        return summary(ask).await;
    }
    let entries = ask.store().entries(&query(ask, MOST_ROWS)?).await?;
    let wanted = ask.param("request_id");
    let entries = entries.iter().filter(|entry| wanted.is_none_or(|id| is_named(entry, id)));
    Ok(entries.map(shown).collect())
}

/// `GET /spend/logs/v2`: pages of attempts.
pub(crate) async fn pages(ask: &mut Ask) -> Result<Value> {
    let page = Page::read(ask, "page_size", 50)?;
    let entries = ask.store().entries(&query(ask, MOST)?).await?;
    let wanted = ask.param("request_id");
    let found: Vec<&Entry> =
        entries.iter().filter(|entry| wanted.is_none_or(|id| is_named(entry, id))).collect();
    let total = found.len() as u64;
    let skip = usize::try_from(page.query().skip).unwrap_or(usize::MAX);
    let size = usize::try_from(page.size).unwrap_or(usize::MAX);
    let told: Vec<Value> = found.into_iter().skip(skip).take(size).map(shown).collect();
    Ok(json!({
        "data": told, "total": total, "page": page.number, "page_size": page.size, "total_pages": page.of(total),
    }))
}

async fn summary(ask: &Ask) -> Result<Value> {
    let asked = days::required(ask)?;
    let by = [Dimension::Day, Dimension::Caller, Dimension::User, Dimension::Provider, Dimension::Model];
    let rows = days::sums_with(ask, asked.clone(), &by, narrowed(ask)).await?;
    // As many days as an answer may have, whatever was asked for.
    let last = (*asked.end()).min(asked.start().saturating_add(366));
    let told = (*asked.start()..=last).map(|day| {
        let of_day: Vec<&Report> = rows.iter().filter(|row| days::of(row) == day).collect();
        let (mut users, mut models, mut told) = (Map::new(), Map::new(), Map::new());
        let mut all = Money::ZERO;
        for row in of_day {
            let model = format!("{}/{}", days::name(row, 3), days::name(row, 4));
            all += row.sums.cost;
            add(&mut told, &days::name(row, 1), row.sums.cost);
            add(&mut users, &days::name(row, 2), row.sums.cost);
            add(&mut models, &model, row.sums.cost);
        }
        told.insert("startTime".into(), days::printed(day).into());
        told.insert("spend".into(), dollars(all));
        told.insert("users".into(), users.into());
        told.insert("models".into(), models.into());
        Value::Object(told)
    });
    Ok(told.collect())
}

fn add(to: &mut Map<String, Value>, name: &str, more: Money) {
    let had = to.get(name).and_then(|value| Money::parse_dollars(&value.to_string())).unwrap_or(Money::ZERO);
    to.insert(name.to_owned(), dollars(had + more));
}

/// Which attempts: as asked for, of the actor's own where it does not see all.
fn query(ask: &Ask, limit: u64) -> Result<EntryQuery> {
    let dated = ask.param("start_date").or(ask.param("end_date")).is_some();
    let (since, until) = match dated {
        true => {
            let asked = days::asked(ask)?;
            (Some(days::begin(*asked.start())), Some(days::begin(asked.end().saturating_add(1))))
        }
        false => (None, None),
    };
    Ok(EntryQuery { since, until, filters: narrowed(ask), limit, ..EntryQuery::default() })
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

fn is_named(entry: &Entry, id: &str) -> bool {
    let begin = &entry.begin;
    entry.response.as_deref() == Some(id) || begin.attempt.to_string() == id || begin.call.to_string() == id
}

fn shown(entry: &Entry) -> Value {
    let (begin, tenant, usage) = (&entry.begin, &entry.begin.tenant, &entry.usage);
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
        },
        "cache_hit": "None",
        "cache_key": "Cache OFF",
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
