//! Sums of entries, as a table for people and as JSON lines for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use gatewright_core::{Money, Usage, Utc};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::entry::{Entry, State};
use crate::record::{Certainty, Ending, Spared, Tenant};

/// What a set of attempts comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// How many attempts, and answers of the cache.
    pub attempts: u64,
    /// Of them, those that were whole.
    pub complete: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those whose client left.
    pub abandoned: u64,
    /// Those whose process died.
    pub interrupted: u64,
    /// Those that still run.
    pub running: u64,
    /// Those that were none: the cache answered.
    pub hits: u64,
    /// Those whose cost is estimated.
    pub estimated: u64,
    /// Input tokens, cached ones included.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// What they cost.
    #[serde(serialize_with = "dollars")]
    pub cost: Money,
    /// The most that they can have cost.
    #[serde(serialize_with = "dollars")]
    pub bound: Money,
    /// What the answers had cost that the cache gave.
    #[serde(serialize_with = "dollars")]
    pub saved: Money,
}

/// Totals over a journal, and by model and caller. Prints as a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Over everything.
    pub all: Totals,
    /// By `provider/model`.
    pub models: BTreeMap<String, Totals>,
    /// By the caller's id.
    pub callers: BTreeMap<String, Totals>,
}

// === impl Totals ===

impl Totals {
    /// Adds one attempt.
    pub fn add(&mut self, entry: &Entry) {
        let spared = entry.begin.spared.as_ref();
        self.hits += u64::from(entry.is_hit());
        self.saved += spared.map_or(Money::ZERO, |spared| spared.saved);
        self.attempts += 1;
        *match &entry.state {
            State::Running => &mut self.running,
            State::Ended(Ending::Complete) => &mut self.complete,
            State::Ended(Ending::Failed { .. }) => &mut self.failed,
            State::Ended(Ending::Abandoned) => &mut self.abandoned,
            State::Ended(Ending::Interrupted) => &mut self.interrupted,
        } += 1;
        self.estimated += u64::from(entry.certainty == Certainty::Estimated);
        self.input = self.input.saturating_add(entry.usage.total_input());
        self.output = self.output.saturating_add(entry.usage.output);
        self.cost += entry.cost;
        self.bound += entry.bound;
    }
}

// === impl Report ===

impl Report {
    /// Adds one attempt.
    pub fn add(&mut self, entry: &Entry) {
        let model = format!("{}/{}", entry.begin.provider, entry.begin.model);
        self.all.add(entry);
        self.models.entry(model).or_default().add(entry);
        self.callers.entry(entry.begin.caller.to_string()).or_default().add(entry);
    }
}

impl Extend<Entry> for Report {
    fn extend<I: IntoIterator<Item = Entry>>(&mut self, entries: I) {
        entries.into_iter().for_each(|entry| self.add(&entry));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = BTreeMap::from([("all".to_owned(), self.all.clone())]);
        for (title, rows) in [("model", &self.models), ("caller", &self.callers), ("total", &all)] {
            let width = rows.keys().map(|key| key.chars().count()).max().unwrap_or(0).max(24);
            writeln!(
                f,
                "{title:<width$} {:>9} {:>9} {:>7} {:>9} {:>9} {:>9} {:>12} {:>12} {:>14} {:>14} {:>14}",
                "attempts",
                "complete",
                "failed",
                "abandoned",
                "cached",
                "estimated",
                "input",
                "output",
                "cost $",
                "at most $",
                "saved $"
            )?;
            for (key, row) in rows {
                writeln!(
                    f,
                    "{key:<width$} {:>9} {:>9} {:>7} {:>9} {:>9} {:>9} {:>12} {:>12} {:>14} {:>14} {:>14}",
                    row.attempts,
                    row.complete,
                    row.failed,
                    row.abandoned,
                    row.hits,
                    row.estimated,
                    row.input,
                    row.output,
                    row.cost.to_string(),
                    row.bound.to_string(),
                    row.saved.to_string()
                )?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

// === impl Entry ===

impl Serialize for Entry {
    /// One flat object, which is one line of `gatewright journal --json`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        EntryLine::from(self).serialize(serializer)
    }
}

#[derive(Serialize)]
struct EntryLine<'a> {
    attempt: String,
    call: String,
    started: String,
    caller: &'a str,
    #[serde(flatten)]
    tenant: TenantLine<'a>,
    group: &'a str,
    deployment: &'a str,
    provider: &'a str,
    model: &'a str,
    end: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    exact: bool,
    usage: &'a Usage,
    #[serde(serialize_with = "dollars")]
    cost: Money,
    #[serde(serialize_with = "dollars")]
    bound: Money,
    first_content_ms: Option<u128>,
    duration_ms: Option<u128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'a str>,
    #[serde(flatten)]
    spared: Option<SparedLine<'a>>,
}

#[derive(Serialize)]
struct SparedLine<'a> {
    cache: &'static str,
    cache_key: &'a str,
    #[serde(serialize_with = "dollars")]
    saved: Money,
}

#[derive(Serialize)]
struct TenantLine<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    team: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [Arc<str>],
}

impl<'a> From<&'a Tenant> for TenantLine<'a> {
    fn from(tenant: &'a Tenant) -> Self {
        Self {
            team: tenant.team.as_deref(),
            user: tenant.user.as_deref(),
            organization: tenant.organization.as_deref(),
            project: tenant.project.as_deref(),
            customer: tenant.customer.as_deref(),
            trace: tenant.trace.as_deref(),
            tags: &tenant.tags,
        }
    }
}

impl<'a> From<&'a Spared> for SparedLine<'a> {
    fn from(spared: &'a Spared) -> Self {
        let cache = if spared.whole { "hit" } else { "part" };
        Self { cache, cache_key: &spared.key, saved: spared.saved }
    }
}

impl<'a> From<&'a Entry> for EntryLine<'a> {
    fn from(entry: &'a Entry) -> Self {
        let begin = &entry.begin;
        let (end, error, status) = match &entry.state {
            State::Running => ("running", None, None),
            State::Ended(Ending::Complete) => ("complete", None, None),
            State::Ended(Ending::Failed { kind, status }) => ("failed", Some(&**kind), Some(*status)),
            State::Ended(Ending::Abandoned) => ("abandoned", None, None),
            State::Ended(Ending::Interrupted) => ("interrupted", None, None),
        };
        Self {
            attempt: begin.attempt.to_string(),
            call: begin.call.to_string(),
            started: started(begin.started),
            caller: &begin.caller,
            tenant: TenantLine::from(&begin.tenant),
            group: &begin.group,
            deployment: &begin.deployment,
            provider: &begin.provider,
            model: &begin.model,
            end,
            error,
            status,
            exact: entry.certainty == Certainty::Exact,
            usage: &entry.usage,
            cost: entry.cost,
            bound: entry.bound,
            first_content_ms: entry.first_content.map(|after| after.as_millis()),
            duration_ms: entry.duration.map(|after| after.as_millis()),
            response: entry.response.as_deref(),
            spared: begin.spared.as_ref().map(SparedLine::from),
        }
    }
}

/// `2026-11-20T23:51:22.123456Z`.
fn started(micros: u64) -> String {
    let date = Utc(micros / 1_000_000).to_string().replacen(' ', "T", 1);
    format!("{date}.{:06}Z", micros % 1_000_000)
}

/// A JSON number with all its digits: a float would round sums.
fn dollars<S: Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    let number = RawValue::from_string(money.to_string()).map_err(serde::ser::Error::custom)?;
    number.serialize(serializer)
}
