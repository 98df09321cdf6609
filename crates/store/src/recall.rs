//! Reads entries back: the lists that people look at.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gatewright_core::{AttemptId, CallId, Money, Usage};
use gatewright_spend::{Begin, Certainty, Ending, Entry, State, Tenant};
use uuid::Uuid;

use crate::database::Row;
use crate::entries::{COLUMNS, uuid};
use crate::names::NOBODY;
use crate::query::Condition;
use crate::{Dimension, Error, Result, Store};

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
    /// Only before this one: the last one of the page before.
    pub before: Option<AttemptId>,
    /// The most that are wanted.
    pub limit: u64,
}

/// Those that are no numbers.
const UUIDS: std::ops::Range<usize> = 0..2;
const NAMES: std::ops::Range<usize> = 3..15;
const FLAGS: std::ops::Range<usize> = 17..19;
const TEXTS: std::ops::Range<usize> = 35..COLUMNS.len();

/// A row, its columns by what they are.
struct Raw {
    attempt: Uuid,
    call: Uuid,
    numbers: [Option<i64>; COLUMNS.len()],
    flags: [bool; 2],
    texts: [Option<String>; 2],
}

impl Store {
    /// Some entries, the latest first. What an attempt was estimated at before it began is not kept.
    pub async fn entries(&self, query: &EntryQuery) -> Result<Vec<Entry>> {
        self.database().in_time(self.recall(query)).await
    }

    async fn recall(&self, query: &EntryQuery) -> Result<Vec<Entry>> {
        let Some(condition) = self.condition(query).await? else { return Ok(Vec::new()) };
        let columns = COLUMNS.iter().enumerate().map(|(place, column)| match is_number(place) {
            true => format!("CAST({column} AS BIGINT)"),
            false => (*column).to_owned(),
        });
        let columns: Vec<String> = columns.collect();
        let sql = format!(
            "SELECT {} FROM entries{} ORDER BY attempt DESC LIMIT {}",
            columns.join(", "),
            condition.sql,
            i64::try_from(query.limit).unwrap_or(i64::MAX)
        );
        let rows = self.read().await?.rows(&sql, condition.values).await?;
        let raw: Vec<Raw> = rows.iter().map(Raw::read).collect::<Result<_>>()?;
        let numbers =
            raw.iter().flat_map(|raw| raw.numbers.get(NAMES).unwrap_or_default()).flatten().copied();
        let names = self.named(numbers.collect()).await?;
        raw.into_iter().map(|raw| raw.entry(&names)).collect()
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
            condition.push("call = ?", [Uuid::from_bytes(call.to_bytes()).into()]);
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

// === impl Raw ===

impl Raw {
    fn read(row: &Row) -> Result<Self> {
        let mut numbers = [None; COLUMNS.len()];
        for (place, number) in numbers.iter_mut().enumerate().filter(|(place, _)| is_number(*place)) {
            *number = row.at(place)?;
        }
        Ok(Self {
            attempt: row.at(UUIDS.start)?,
            call: row.at(UUIDS.start + 1)?,
            numbers,
            flags: [row.at(FLAGS.start)?, row.at(FLAGS.start + 1)?],
            texts: [row.at(TEXTS.start)?, row.at(TEXTS.start + 1)?],
        })
    }

    fn entry(self, names: &HashMap<i64, Arc<str>>) -> Result<Entry> {
        let number = |place: usize| self.numbers.get(place).copied().flatten();
        let count = |place: usize| number(place).unwrap_or_default().unsigned_abs();
        let name = |place: usize| names.get(&number(place).unwrap_or(NOBODY)).cloned();
        let known = |place: usize| {
            name(place)
                .ok_or_else(|| Error::Broken(format!("entry {} has a name that is gone", self.attempt)))
        };
        let tags = name(13).map_or_else(Vec::new, |list| {
            serde_json::from_str::<Vec<String>>(&list)
                .unwrap_or_default()
                .into_iter()
                .map(Into::into)
                .collect()
        });
        let cost = Money(number(23).unwrap_or_default());
        let bound = number(24).map_or(cost, Money);
        let status = u16::try_from(count(15)).unwrap_or_default();
        let state = State::Ended(match number(16) {
            Some(0) => Ending::Complete,
            Some(1) => Ending::Failed { kind: known(14)?, status },
            Some(2) => Ending::Abandoned,
            _ => Ending::Interrupted,
        });
        let [trace, response] = self.texts.clone();
        let [estimated, cache_in_input] = self.flags;
        let attempt = AttemptId::from_bytes(self.attempt.into_bytes());
        let begin = Begin {
            attempt,
            call: CallId::from_bytes(self.call.into_bytes()),
            caller: known(3)?,
            tenant: Tenant {
                team: name(8),
                user: name(9),
                organization: name(10),
                project: name(11),
                customer: name(12),
                trace: trace.map(Into::into),
                tags,
            },
            group: known(4)?,
            deployment: known(5)?,
            provider: known(6)?,
            model: known(7)?,
            started: (attempt.unix_millis() * 1000).saturating_add_signed(number(2).unwrap_or_default()),
            input_estimate: 0,
            output_cap: 0,
            floor: Money::ZERO,
            bound,
        };
        let usage = Usage {
            input: count(21),
            output: count(22),
            cache_read: count(25),
            cache_write_5m: count(26),
            cache_write_1h: count(27),
            reasoning: count(28),
            audio_input: count(29),
            audio_output: count(30),
            image_input: count(31),
            image_output: count(32),
            web_searches: count(33),
            cache_in_input,
            reported_cost: number(34).map(Money),
        };
        let millis = |place: usize| number(place).map(|millis| Duration::from_millis(millis.unsigned_abs()));
        Ok(Entry {
            begin,
            state,
            certainty: if estimated { Certainty::Estimated } else { Certainty::Exact },
            usage,
            cost,
            bound,
            first_content: millis(19),
            duration: millis(20),
            response: response.map(Into::into),
        })
    }
}

fn is_number(place: usize) -> bool {
    ![UUIDS, FLAGS, TEXTS].iter().any(|other| other.contains(&place))
}

/// The first id of a moment.
pub(crate) fn at(moment: SystemTime) -> Uuid {
    let millis = moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Uuid::from_u128(millis << 80)
}
