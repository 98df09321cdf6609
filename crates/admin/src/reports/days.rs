//! The days of a report, and the sums of them.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gatewright_store::{Dimension, Rank, Report, ReportQuery};
use http::StatusCode;

use crate::ask::Ask;
use crate::calendar;
use crate::failure::{Failure, Result};
use crate::{giver, objects};

/// The most sums that one answer is made of.
const MOST: u64 = 200_000;

/// Parameters that narrow a report.
const CONDITIONS: [(&str, Dimension); 8] = [
    ("team_id", Dimension::Team),
    ("user_id", Dimension::User),
    ("internal_user_id", Dimension::User),
    ("organization_id", Dimension::Organization),
    ("customer_id", Dimension::Customer),
    ("end_user", Dimension::Customer),
    ("model", Dimension::Group),
    ("custom_llm_provider", Dimension::Provider),
];

/// The days that reports are about where nothing is said: as long as LiteLLM's page shows.
const USUAL: u32 = 30;

const DAY: u64 = 86_400;

/// The sums of some days by some dimensions, narrowed as the request says.
pub(crate) async fn sums(ask: &Ask, days: RangeInclusive<u32>, by: &[Dimension]) -> Result<Vec<Report>> {
    sums_with(ask, days, by, conditions(ask)).await
}

/// The same with other conditions.
pub(crate) async fn sums_with(
    ask: &Ask,
    days: RangeInclusive<u32>,
    by: &[Dimension],
    filters: Vec<(Dimension, String)>,
) -> Result<Vec<Report>> {
    let (by, limit) = (by.to_vec(), MOST + 1);
    let query = ReportQuery { days, filters, by, order: Rank::Place, after: None, limit };
    let rows = ask.store().report(&query).await?;
    if rows.len() as u64 > MOST {
        let words =
            format!("these are more than {MOST} sums: ask for fewer days, or for one key, team or user");
        return Err(Failure::bad("start_date", &words));
    }
    Ok(rows)
}

/// The sums of those that cost most.
pub(crate) async fn dearest(ask: &Ask, by: &[Dimension]) -> Result<Vec<Report>> {
    let limit = ask.param("limit").and_then(|text| text.parse().ok()).unwrap_or(100).min(objects::MOST);
    let (days, filters, by) = (asked(ask)?, conditions(ask), by.to_vec());
    let query = ReportQuery { days, filters, by, order: Rank::Cost, after: None, limit };
    Ok(ask.store().report(&query).await?)
}

/// What a request narrows its report to.
pub(crate) fn conditions(ask: &Ask) -> Vec<(Dimension, String)> {
    let said = CONDITIONS.iter().filter_map(|(name, by)| Some((*by, ask.param(name)?.to_owned())));
    let key = ask.param("api_key").map(|key| (Dimension::Caller, giver::hash(key).to_string()));
    said.chain(key).collect()
}

/// The days that are asked for; the last thirty where nothing is said.
pub(crate) fn asked(ask: &Ask) -> Result<RangeInclusive<u32>> {
    let today = number(ask.now());
    let first = day(ask, "start_date")?;
    let last = day(ask, "end_date")?.unwrap_or(today);
    Ok(first.unwrap_or(last.saturating_sub(USUAL))..=last)
}

/// The days that are asked for, which must be said.
pub(crate) fn required(ask: &Ask) -> Result<RangeInclusive<u32>> {
    match (day(ask, "start_date")?, day(ask, "end_date")?) {
        (Some(first), Some(last)) => Ok(first..=last),
        _ => {
            let words = "Please provide start_date and end_date";
            Err(Failure::new(StatusCode::BAD_REQUEST, "bad_request", None, words))
        }
    }
}

/// All days there are.
pub(crate) fn all() -> RangeInclusive<u32> {
    0..=u32::MAX / 2
}

/// `2026-11-20`.
pub(crate) fn printed(day: u32) -> String {
    let mut text = calendar::printed(begin(day));
    text.truncate(10);
    text
}

/// When a day begins.
pub(crate) fn begin(day: u32) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::from(day) * DAY)
}

/// The day of a row whose first dimension is the day.
pub(crate) fn of(row: &Report) -> u32 {
    row.by.first().and_then(|day| day.as_deref()?.parse().ok()).unwrap_or_default()
}

/// The name of a row's dimension; empty for nobody.
pub(crate) fn name(row: &Report, place: usize) -> Arc<str> {
    row.by.get(place).cloned().flatten().unwrap_or_default()
}

/// Rows that belong together, in the order in which they came.
pub(crate) fn grouped(rows: &[Report], name: impl Fn(&Report) -> Arc<str>) -> Vec<(Arc<str>, Vec<&Report>)> {
    let mut places: HashMap<Arc<str>, usize> = HashMap::new();
    let mut groups: Vec<(Arc<str>, Vec<&Report>)> = Vec::new();
    for row in rows {
        let name = name(row);
        let place = *places.entry(name.clone()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, group)) => group.push(row),
            None => groups.push((name, vec![row])),
        }
    }
    groups
}

fn day(ask: &Ask, name: &str) -> Result<Option<u32>> {
    let Some(text) = ask.param(name) else { return Ok(None) };
    let date = text.get(..10).unwrap_or(text);
    match calendar::read(&format!("{date}T00:00:00")) {
        Some(at) => Ok(Some(number(at))),
        None => Err(Failure::bad(name, &format!("Invalid date format. {name} is written YYYY-MM-DD"))),
    }
}

fn number(at: SystemTime) -> u32 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    u32::try_from(since / DAY).unwrap_or(u32::MAX)
}
