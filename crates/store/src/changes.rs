//! What was changed, by whichever replica: each line of the audit log once, for whoever remembers rows.

use std::collections::HashSet;

use uuid::Uuid;

use crate::database::{Row, Transaction};
use crate::{Kind, Result, Store};

/// Changes that are told one by one; after more it is cheaper to look at everything anew.
const MOST: usize = 500;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The line of the audit log.
    pub id: Uuid,
    /// The kind of what was changed.
    pub kind: Kind,
    /// Its id.
    pub object: String,
    /// `created`, `updated` or `deleted`.
    pub action: String,
}

/// What happened since the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// These changes, and no others.
    Changes(Vec<Change>),
    /// Nobody can say: it is the first time, there were too many, or the database is another one.
    Anything,
}

/// Follows the changes.
///
/// In PostgreSQL a line carries the number of its transaction. A snapshot sees all transactions below a bound; those at
/// or above it are looked at again the next time, so no line is missed that was written early and committed late, and
/// no clock is trusted. In SQLite writers come one after the other.
pub struct Changes {
    store: Store,
    /// What was below was told.
    bound: Option<i64>,
    /// Lines at or above the bound that were told already.
    told: HashSet<Uuid>,
}

// === impl Store ===

impl Store {
    /// Follows the changes from now on.
    pub fn changes(&self) -> Changes {
        Changes { store: self.clone(), bound: None, told: HashSet::new() }
    }
}

// === impl Changes ===

impl Changes {
    /// What happened since it was asked last. After an error the next answer misses nothing.
    pub async fn next(&mut self) -> Result<News> {
        let store = self.store.clone();
        let (bound, lines) = store.database().in_time(lines(&store, self.bound)).await?;
        let known = self.bound.replace(bound).is_some_and(|last| last <= bound) && lines.len() <= MOST;
        let before = std::mem::take(&mut self.told);
        self.told = lines.iter().filter(|line| line.written >= bound).map(|line| line.id).collect();
        if !known {
            return Ok(News::Anything);
        }
        let fresh = lines.into_iter().filter(|line| !before.contains(&line.id));
        Ok(News::Changes(fresh.filter_map(Line::change).collect()))
    }
}

/// A line of the audit log as it is read here.
struct Line {
    written: i64,
    id: Uuid,
    kind: String,
    object: String,
    action: String,
}

// === impl Line ===

impl Line {
    fn read(row: &Row) -> Result<Option<Self>> {
        let Some(written) = row.at(1)? else { return Ok(None) };
        Ok(Some(Self { written, id: row.at(2)?, kind: row.at(3)?, object: row.at(4)?, action: row.at(5)? }))
    }

    /// Of a kind that only a newer release has, nothing is remembered here.
    fn change(self) -> Option<Change> {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == self.kind)?;
        Some(Change { id: self.id, kind, object: self.object, action: self.action })
    }
}

/// The bound of this moment, and the lines from the last bound on: both as one statement sees them.
async fn lines(store: &Store, from: Option<i64>) -> Result<(i64, Vec<Line>)> {
    let transaction = store.read().await?;
    let rows = transaction.rows(&sql(&transaction), vec![from.unwrap_or(i64::MAX).into()]).await?;
    transaction.commit().await?;
    let bound = rows.first().map_or(Ok(0), |row| row.at(0))?;
    let lines = rows.iter().filter_map(|row| Line::read(row).transpose());
    Ok((bound, lines.collect::<Result<_>>()?))
}

fn sql(transaction: &Transaction) -> String {
    let (bound, number, end) = match transaction.is_postgres() {
        // What comes from a dump of another server may have any number.
        true => (
            "SELECT CAST(CAST(pg_snapshot_xmin(now.snapshot) AS TEXT) AS BIGINT) AS bound, \
                CAST(CAST(pg_snapshot_xmax(now.snapshot) AS TEXT) AS BIGINT) AS ends \
                FROM (SELECT pg_current_snapshot() AS snapshot) now",
            "audit.written",
            "AND audit.written < now.ends",
        ),
        false => ("SELECT COALESCE(MAX(rowid), 0) + 1 AS bound FROM audit", "audit.rowid", ""),
    };
    format!(
        "SELECT now.bound, {number}, audit.id, audit.kind, audit.object_id, audit.action FROM ({bound}) now \
            LEFT JOIN audit ON {number} >= $1 {end} ORDER BY audit.id LIMIT {}",
        MOST + 1
    )
}
