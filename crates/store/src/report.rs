//! Spend reports, read off the sums of days.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::database::Row;
use crate::names::NOBODY;
use crate::query::Condition;
use crate::rollups;
use crate::sheets::Source;
use crate::sums::SUMMED;
use crate::value::whole;
use crate::{Dimension, Result, Store, Sums};

/// What is wanted of the sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportQuery {
    /// The days, in days since 1970 (UTC).
    pub days: RangeInclusive<u32>,
    /// Only where these have these names; an empty name stands for nobody.
    pub filters: Vec<(Dimension, String)>,
    /// What the sums are told by, in this order.
    pub by: Vec<Dimension>,
    /// Which rows come first.
    pub order: Rank,
    /// Only rows behind this one: the [`Report::place`] of the last row of the page before.
    pub after: Option<Vec<i64>>,
    /// The most rows that are wanted.
    pub limit: u64,
}

/// Which rows of a report come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rank {
    /// Those of the first day, then as numbers of names come.
    #[default]
    Place,
    /// Those that cost most.
    Cost,
}

/// Which sums, as they are kept and not summed any further; the latest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupQuery {
    /// The days, in days since 1970 (UTC).
    pub days: RangeInclusive<u32>,
    /// Only where these have these names; an empty name stands for nobody.
    pub filters: Vec<(Dimension, String)>,
    /// What is told of each.
    pub by: Vec<Dimension>,
    /// So many are left out first.
    pub skip: u64,
    /// The most that are wanted.
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

impl Store {
    /// Sums of days, told by what is asked for.
    pub async fn report(&self, query: &ReportQuery) -> Result<Vec<Report>> {
        self.database().in_time(self.sums(query)).await
    }

    /// A page of sums as they are kept.
    pub async fn rollups(&self, query: &RollupQuery) -> Result<Vec<Report>> {
        self.database().in_time(self.kept(query)).await
    }

    /// How many sums there are, counted up to this number.
    pub async fn count_rollups(&self, query: &RollupQuery, most: u64) -> Result<u64> {
        let work = async {
            let source = Source::Rollups;
            let Some(condition) = self.narrowed(source, &query.days, &query.filters).await? else {
                return Ok(0);
            };
            self.read().await?.count(source.table(), condition, most).await
        };
        self.database().in_time(work).await
    }

    async fn sums(&self, query: &ReportQuery) -> Result<Vec<Report>> {
        let filters = query.filters.iter().map(|(dimension, _)| *dimension);
        let wanted: Vec<Dimension> = query.by.iter().copied().chain(filters).collect();
        let source = Source::of(&wanted);
        let Some(mut condition) = self.narrowed(source, &query.days, &query.filters).await? else {
            return Ok(Vec::new());
        };
        let columns: Vec<&str> = query.by.iter().map(|dimension| source.column(*dimension)).collect();
        let list = columns.join(", ");
        if let Some(after) =
            query.after.as_ref().filter(|after| after.len() == columns.len() && !after.is_empty())
        {
            let marks = vec!["?"; after.len()].join(", ");
            condition.push(&format!("({list}) > ({marks})"), after.iter().map(|place| (*place).into()));
        }
        // By the table's columns: of the same name in the answer are casts, which no index has in order.
        let ordered: Vec<String> =
            columns.iter().map(|column| format!("{}.{column}", source.table())).collect();
        let ordered = ordered.join(", ");
        let sums = SUMMED.iter().map(|column| format!("CAST(COALESCE(SUM({column}), 0) AS BIGINT)"));
        let group = if columns.is_empty() { String::new() } else { format!(" GROUP BY {list}") };
        let order = match query.order {
            _ if columns.is_empty() => String::new(),
            Rank::Place => format!(" ORDER BY {ordered}"),
            Rank::Cost => format!(" ORDER BY SUM(cost) DESC, {ordered}"),
        };
        let sql = format!(
            "SELECT {} FROM {}{}{group}{order} LIMIT {}",
            selected(&columns, sums),
            source.table(),
            condition.sql,
            whole(query.limit)
        );
        let rows = self.read().await?.rows(&sql, condition.values).await?;
        self.told(&query.by, &rows).await
    }

    async fn kept(&self, query: &RollupQuery) -> Result<Vec<Report>> {
        let source = Source::Rollups;
        let Some(condition) = self.narrowed(source, &query.days, &query.filters).await? else {
            return Ok(Vec::new());
        };
        let columns: Vec<&str> = query.by.iter().map(|dimension| source.column(*dimension)).collect();
        let order = rollups::COLUMNS.map(|column| format!("rollups.{column} DESC"));
        let sql = format!(
            "SELECT {} FROM {}{} ORDER BY {} LIMIT {} OFFSET {}",
            selected(&columns, SUMMED.iter().map(|column| (*column).to_owned())),
            source.table(),
            condition.sql,
            order.join(", "),
            whole(query.limit),
            whole(query.skip)
        );
        let rows = self.read().await?.rows(&sql, condition.values).await?;
        self.told(&query.by, &rows).await
    }

    /// `None` where a name is asked for that nothing has.
    async fn narrowed(
        &self,
        source: Source,
        days: &RangeInclusive<u32>,
        filters: &[(Dimension, String)],
    ) -> Result<Option<Condition>> {
        let mut condition = source.condition();
        let days = [i64::from(*days.start()).into(), i64::from(*days.end()).into()];
        condition.push("day >= ? AND day <= ?", days);
        for (dimension, name) in filters {
            let number = match (dimension, name.as_str()) {
                (Dimension::Day, day) => day.parse().ok(),
                (_, "") => Some(NOBODY),
                (_, name) => self.number(name).await?,
            };
            let Some(number) = number else { return Ok(None) };
            condition.push(&format!("{} = ?", source.column(*dimension)), [number.into()]);
        }
        Ok(Some(condition))
    }

    /// Puts names in place of their numbers.
    async fn told(&self, by: &[Dimension], rows: &[Row]) -> Result<Vec<Report>> {
        let rows: Vec<(Vec<i64>, Sums)> =
            rows.iter().map(|row| read(row, by.len())).collect::<Result<_>>()?;
        let named = |dimension: &Dimension| *dimension != Dimension::Day;
        let numbers = rows.iter().flat_map(|(place, _)| {
            let numbers = place.iter().zip(by);
            numbers
                .filter(|(number, dimension)| named(dimension) && **number != NOBODY)
                .map(|(number, _)| *number)
        });
        let names = self.named(numbers.collect()).await?;
        let tell = |(place, sums): (Vec<i64>, Sums)| {
            let by = place.iter().zip(by).map(|(number, dimension)| match dimension {
                Dimension::Day => Some(number.to_string().into()),
                _ => names.get(number).cloned(),
            });
            Report { by: by.collect(), place, sums }
        };
        Ok(rows.into_iter().map(tell).collect())
    }
}

fn selected(columns: &[&str], sums: impl Iterator<Item = String>) -> String {
    let columns = columns.iter().map(|column| format!("CAST({column} AS BIGINT)"));
    columns.chain(sums).collect::<Vec<_>>().join(", ")
}

fn read(row: &Row, width: usize) -> Result<(Vec<i64>, Sums)> {
    let place = (0..width).map(|place| row.at(place)).collect::<Result<_>>()?;
    Ok((place, Sums::read(row, width)?))
}
