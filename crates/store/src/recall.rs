//! Reads entries back: the lists that people look at.

use std::iter;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gatewright_core::{AttemptId, CallId};
use gatewright_spend::Entry;
use sea_orm::Value;
use uuid::Uuid;

use crate::line::{FAILED, Line};
use crate::query::Condition;
use crate::value::{uuid, whole};
use crate::{Dimension, Result, Store};

/// The latest entries among which a provider's id is looked for: no index has it.
const LOOKED_THROUGH: u64 = 100_000;

/// Which entries, the latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryQuery {
    /// Attempts that were made at this time or later.
    pub since: Option<SystemTime>,
    /// Attempts that were made before this.
    pub until: Option<SystemTime>,
    /// Attempts of this call.
    pub call: Option<CallId>,
    /// Only where these have these names.
    pub filters: Vec<(Dimension, String)>,
    /// Only answers of the cache, or only attempts.
    pub hit: Option<bool>,
    /// Only before this one: the last one of the page before.
    pub before: Option<AttemptId>,
    /// So many are left out first. They are read all the same: pages far back are found by their time.
    pub skip: u64,
    /// The most that are wanted.
    pub limit: u64,
}

/// The attempts of a call in SQLite. Both ids begin with the time; nearly always an attempt begins in the same 256 ms as its
/// call, and is found there by its key. Only the others are in the index of calls, so that most entries are in no index.
const OF_CALL: &str = "SELECT attempt FROM entries WHERE attempt BETWEEN ? AND ? AND call = ? UNION ALL \
    SELECT attempt FROM entries WHERE call = ? AND substr(attempt, 1, 5) <> substr(call, 1, 5)";

/// The bits of an id behind its 256 ms.
const WITHIN: u128 = (1 << 88) - 1;

impl Store {
    /// Some entries, the latest first. What an attempt was estimated at before it began is not kept.
    pub async fn entries(&self, query: &EntryQuery) -> Result<Vec<Entry>> {
        let work = async {
            match self.condition(query).await? {
                Some(condition) => self.recall("entries", condition, query).await,
                None => Ok(Vec::new()),
            }
        };
        self.database().in_time(work).await
    }

    /// Entries that have this id: an attempt's, a call's, or one that a provider gave to its answer. The last is looked
    /// for among the latest 100,000 that the query is about.
    pub async fn entries_named(&self, id: &str, query: &EntryQuery) -> Result<Vec<Entry>> {
        self.database().in_time(self.recall_named(id, query)).await
    }

    async fn recall_named(&self, id: &str, query: &EntryQuery) -> Result<Vec<Entry>> {
        let Some(condition) = self.condition(query).await? else { return Ok(Vec::new()) };
        if let Ok(id) = Uuid::parse_str(id) {
            let mut named = condition.clone();
            match self.database().is_postgres() {
                true => named.push("(attempt = ? OR call = ?)", [id.into(), id.into()]),
                false => {
                    let values = iter::once(id.into()).chain(of_call(id));
                    named.push(&format!("attempt IN (SELECT ? UNION ALL {OF_CALL})"), values);
                }
            }
            let found = self.recall("entries", named, query).await?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        let latest = format!(
            "(SELECT * FROM entries{} ORDER BY attempt DESC LIMIT {LOOKED_THROUGH}) latest",
            condition.sql
        );
        let mut named = Condition { sql: String::new(), ..condition };
        named.push("response = ?", [id.into()]);
        self.recall(&latest, named, query).await
    }

    async fn recall(&self, from: &str, condition: Condition, query: &EntryQuery) -> Result<Vec<Entry>> {
        let sql = format!(
            "SELECT {} FROM {from}{} ORDER BY attempt DESC LIMIT {} OFFSET {}",
            Line::selected(),
            condition.sql,
            whole(query.limit),
            whole(query.skip)
        );
        let rows = self.read().await?.rows(&sql, condition.values).await?;
        let lines: Vec<Line> = rows.iter().map(Line::read).collect::<Result<_>>()?;
        let names = self.named(lines.iter().flat_map(Line::names).collect()).await?;
        lines.into_iter().map(|line| line.entry(&names)).collect()
    }

    /// `None` where a name is asked for that nothing has.
    async fn condition(&self, query: &EntryQuery) -> Result<Option<Condition>> {
        let mut condition = Condition::default();
        if let Some(since) = query.since {
            condition.push("attempt >= ?", [at(since).into()]);
        }
        if let Some(until) = query.until {
            condition.push("attempt < ?", [at(until).into()]);
        }
        if let Some(before) = query.before {
            condition.push("attempt < ?", [uuid(before).into()]);
        }
        if let Some(call) = query.call {
            let call = Uuid::from_bytes(call.to_bytes());
            match self.database().is_postgres() {
                true => condition.push("call = ?", [call.into()]),
                false => condition.push(&format!("attempt IN ({OF_CALL})"), of_call(call)),
            }
        }
        match query.hit {
            // A failure that several calls had in common is no hit of those that waited for it.
            Some(true) => condition.push("(cache_hit AND ending <> ?)", [FAILED.into()]),
            Some(false) => {
                condition.push("(COALESCE(cache_hit, FALSE) = FALSE OR ending = ?)", [FAILED.into()])
            }
            None => {}
        }
        for (dimension, name) in &query.filters {
            if name.is_empty() {
                condition.push(&format!("{} IS NULL", dimension.column()), []);
                continue;
            }
            let Some(number) = self.number(name).await? else { return Ok(None) };
            condition.push(&format!("{} = ?", dimension.column()), [number.into()]);
        }
        Ok(Some(condition))
    }
}

/// The values of [`OF_CALL`].
fn of_call(call: Uuid) -> [Value; 4] {
    let (first, last) = (Uuid::from_u128(call.as_u128() & !WITHIN), Uuid::from_u128(call.as_u128() | WITHIN));
    [first, last, call, call].map(Value::from)
}

/// The first id of a moment.
pub(crate) fn at(moment: SystemTime) -> Uuid {
    let millis = moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Uuid::from_u128(millis << 80)
}

/// When a day begins.
pub(crate) fn begin(day: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(day.saturating_mul(86_400))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gatewright_core::SystemClock;

    use super::*;
    use crate::{Place, Settings};

    #[tokio::test]
    async fn no_question_for_a_call_looks_at_every_entry() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::Sqlite(dir.path().join("gatewright.db"));
        let store = Store::open(Settings::at(place), Arc::new(SystemClock)).await.unwrap();
        let all = EntryQuery { since: Some(UNIX_EPOCH), until: Some(begin(99_999)), ..EntryQuery::default() };
        let query = EntryQuery { call: Some(CallId::fresh()), ..all };
        let condition = store.condition(&query).await.unwrap().unwrap();
        let sql = format!("EXPLAIN QUERY PLAN SELECT * FROM entries{} ORDER BY attempt DESC", condition.sql);
        let rows = store.read().await.unwrap().rows(&sql, condition.values).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.at(3).unwrap()).collect();
        let ways: Vec<&str> =
            plan.iter().map(String::as_str).filter(|way| way.contains(" entries ")).collect();
        assert_eq!(
            ways,
            [
                "SEARCH entries USING PRIMARY KEY (attempt=?)",
                "SEARCH entries USING PRIMARY KEY (attempt>? AND attempt<?)",
                "SEARCH entries USING COVERING INDEX entries_late (call=?)",
            ],
            "{plan:?}"
        );
    }
}
