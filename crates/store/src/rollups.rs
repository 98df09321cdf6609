//! Sums by day, and the spend reports that are read off them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use gatewright_core::Money;
use gatewright_spend::{Ending, State};
use sea_orm::Value;

use crate::database::{Row, Transaction};
use crate::entries::{Numbered, whole};
use crate::insert::Rows;
use crate::names::NOBODY;
use crate::query::Condition;
use crate::{Result, Store, ledger};

/// What sums are kept by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// The day, in days since 1970 (UTC).
    Day,
    /// The key, by its hash.
    Caller,
    /// The team.
    Team,
    /// The user.
    User,
    /// The organization.
    Organization,
    /// The project.
    Project,
    /// The end user of a client.
    Customer,
    /// All tags of a call together, as a JSON list: so that nothing counts twice.
    Tags,
    /// The model group.
    Group,
    /// The provider.
    Provider,
    /// The model's name at the provider.
    Model,
}

/// What is wanted of the sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportQuery {
    /// The days, in days since 1970 (UTC).
    pub days: RangeInclusive<u32>,
    /// Only where these have these names; an empty name stands for nobody.
    pub filters: Vec<(Dimension, String)>,
    /// What the sums are told by, in this order.
    pub by: Vec<Dimension>,
    /// Only rows behind this one: the [`Report::place`] of the last row of the page before.
    pub after: Option<Vec<i64>>,
    /// The most rows that are wanted.
    pub limit: u64,
}

/// One row of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The names by which it was asked, in that order; `None` for nobody. A day is its number.
    pub by: Vec<Option<Arc<str>>>,
    /// Where it stands, for the page that follows.
    pub place: Vec<i64>,
    /// The sums.
    pub sums: Sums,
}

/// What attempts come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Attempts that were whole.
    pub succeeded: i64,
    /// The others.
    pub failed: i64,
    /// Input tokens, cached ones included.
    pub input: i64,
    /// Output tokens.
    pub output: i64,
    /// Input tokens read from a provider's cache.
    pub cache_read: i64,
    /// Input tokens written to a provider's cache.
    pub cache_write: i64,
    /// Output tokens spent on reasoning.
    pub reasoning: i64,
    /// What they cost.
    pub cost: Money,
}

/// The columns: those of the key, then those of [`Sums`].
const COLUMNS: [&str; 19] = [
    "day",
    "caller",
    "team",
    "user_name",
    "organization",
    "project",
    "customer",
    "tags",
    "model_group",
    "provider",
    "model",
    "succeeded",
    "failed",
    "input",
    "output",
    "cache_read",
    "cache_write",
    "reasoning",
    "cost",
];

/// How many of them are the key.
pub(crate) const KEY: usize = 11;

/// Adds entries to the sums of their days.
pub(crate) async fn add(transaction: &Transaction, entries: &[Numbered<'_>]) -> Result<()> {
    let mut sums: BTreeMap<[i64; KEY], Sums> = BTreeMap::new();
    for numbered in entries {
        sums.entry(key(numbered)).or_default().add(numbered);
    }
    raise(transaction, sums).await
}

/// Adds sums to those that are there.
pub(crate) async fn raise(transaction: &Transaction, sums: BTreeMap<[i64; KEY], Sums>) -> Result<()> {
    let (key, summed) = COLUMNS.split_at(KEY);
    let adds: Vec<String> =
        summed.iter().map(|column| format!("{column} = rollups.{column} + excluded.{column}")).collect();
    let tail = format!("ON CONFLICT ({}) DO UPDATE SET {}", key.join(", "), adds.join(", "));
    let rows = Box::new(sums.into_iter().map(values));
    transaction.insert(Rows { table: "rollups", columns: &COLUMNS, rows, tail: &tail }).await.map(drop)
}

impl Store {
    /// Sums of days, told by what is asked for.
    pub async fn report(&self, query: &ReportQuery) -> Result<Vec<Report>> {
        self.database().in_time(self.sums(query)).await
    }

    async fn sums(&self, query: &ReportQuery) -> Result<Vec<Report>> {
        let mut condition = Condition::default();
        let days = [i64::from(*query.days.start()).into(), i64::from(*query.days.end()).into()];
        condition.push("day >= ? AND day <= ?", days);
        for (dimension, name) in &query.filters {
            let number = match (dimension, name.as_str()) {
                (Dimension::Day, day) => day.parse().ok(),
                (_, "") => Some(NOBODY),
                (_, name) => self.number(name).await?,
            };
            let Some(number) = number else { return Ok(Vec::new()) };
            condition.push(&format!("{} = ?", dimension.column()), [number.into()]);
        }
        let columns: Vec<&str> = query.by.iter().map(|dimension| dimension.column()).collect();
        let list = columns.join(", ");
        if let Some(after) =
            query.after.as_ref().filter(|after| after.len() == columns.len() && !after.is_empty())
        {
            let marks = vec!["?"; after.len()].join(", ");
            condition.push(&format!("({list}) > ({marks})"), after.iter().map(|place| (*place).into()));
        }
        let sums = COLUMNS[KEY..].iter().map(|column| format!("CAST(COALESCE(SUM({column}), 0) AS BIGINT)"));
        let read: Vec<String> =
            columns.iter().map(|column| format!("CAST({column} AS BIGINT)")).chain(sums).collect();
        let order =
            if columns.is_empty() { String::new() } else { format!(" GROUP BY {list} ORDER BY {list}") };
        let sql = format!(
            "SELECT {} FROM rollups{}{order} LIMIT {}",
            read.join(", "),
            condition.sql,
            i64::try_from(query.limit).unwrap_or(i64::MAX)
        );
        let rows = self.read().await?.rows(&sql, condition.values).await?;
        let rows: Vec<(Vec<i64>, Sums)> =
            rows.iter().map(|row| self::row(row, columns.len())).collect::<Result<_>>()?;
        self.told(query, rows).await
    }

    /// Puts names in place of their numbers.
    async fn told(&self, query: &ReportQuery, rows: Vec<(Vec<i64>, Sums)>) -> Result<Vec<Report>> {
        let named = |dimension: &Dimension| *dimension != Dimension::Day;
        let numbers = rows.iter().flat_map(|(place, _)| {
            let numbers = place.iter().zip(&query.by);
            numbers
                .filter(|(number, dimension)| named(dimension) && **number != NOBODY)
                .map(|(number, _)| *number)
        });
        let names = self.named(numbers.collect()).await?;
        let tell = |(place, sums): (Vec<i64>, Sums)| {
            let by = place.iter().zip(&query.by).map(|(number, dimension)| match dimension {
                Dimension::Day => Some(number.to_string().into()),
                _ => names.get(number).cloned(),
            });
            Report { by: by.collect(), place, sums }
        };
        Ok(rows.into_iter().map(tell).collect())
    }
}

// === impl Dimension ===

impl Dimension {
    pub(crate) fn column(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Caller => "caller",
            Self::Team => "team",
            Self::User => "user_name",
            Self::Organization => "organization",
            Self::Project => "project",
            Self::Customer => "customer",
            Self::Tags => "tags",
            Self::Group => "model_group",
            Self::Provider => "provider",
            Self::Model => "model",
        }
    }
}

// === impl Sums ===

impl Sums {
    fn add(&mut self, Numbered { entry, .. }: &Numbered<'_>) {
        let usage = &entry.usage;
        match entry.state {
            State::Ended(Ending::Complete) => self.succeeded += 1,
            _ => self.failed += 1,
        }
        for (sum, number) in [
            (&mut self.input, usage.total_input()),
            (&mut self.output, usage.output),
            (&mut self.cache_read, usage.cache_read),
            (&mut self.cache_write, usage.cache_write()),
            (&mut self.reasoning, usage.reasoning),
        ] {
            *sum = sum.saturating_add(whole(number));
        }
        self.cost += entry.cost;
    }
}

/// In the order of [`COLUMNS`].
fn values((key, sums): ([i64; KEY], Sums)) -> [Value; COLUMNS.len()] {
    let [day, caller, team, user, organization, project, customer, tags, group, provider, model] = key;
    let Sums { succeeded, failed, input, output, cache_read, cache_write, reasoning, cost } = sums;
    [
        day,
        caller,
        team,
        user,
        organization,
        project,
        customer,
        tags,
        group,
        provider,
        model,
        succeeded,
        failed,
        input,
        output,
        cache_read,
        cache_write,
        reasoning,
        cost.0,
    ]
    .map(Value::from)
}

fn key(numbered: &Numbered<'_>) -> [i64; KEY] {
    [
        whole(ledger::day(numbered.entry)),
        numbered.caller,
        numbered.team,
        numbered.user,
        numbered.organization,
        numbered.project,
        numbered.customer,
        numbered.tags,
        numbered.group,
        numbered.provider,
        numbered.model,
    ]
}

fn row(row: &Row, width: usize) -> Result<(Vec<i64>, Sums)> {
    let at = |place: usize| row.at::<i64>(width + place);
    let sums = Sums {
        succeeded: at(0)?,
        failed: at(1)?,
        input: at(2)?,
        output: at(3)?,
        cache_read: at(4)?,
        cache_write: at(5)?,
        reasoning: at(6)?,
        cost: Money(at(7)?),
    };
    Ok(((0..width).map(|place| row.at(place)).collect::<Result<_>>()?, sums))
}
