//! Sums by day of all that can be asked for together, and narrower ones beside them, written with the entries.

use std::collections::BTreeMap;

use sea_orm::Value;

use crate::Result;
use crate::database::Transaction;
use crate::entries::Numbered;
use crate::insert::Rows;
use crate::ledger;
use crate::sheets::{self, SHEETS};
use crate::sums::{SUMMED, Sums};
use crate::value::whole;

/// How many columns are the key.
pub(crate) const KEY: usize = 11;

/// Those columns. Behind them stand those of [`Sums`].
pub(crate) const COLUMNS: [&str; KEY] = [
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
];

/// Adds entries to the sums of their days.
pub(crate) async fn add(transaction: &Transaction, entries: &[Numbered<'_>]) -> Result<()> {
    let mut sums: BTreeMap<[i64; KEY], Sums> = BTreeMap::new();
    for numbered in entries {
        *sums.entry(key(numbered)).or_default() += Sums::of(numbered.entry);
    }
    raise(transaction, sums).await
}

/// Adds sums to those that are there. All replicas take rows in the same order.
pub(crate) async fn raise(transaction: &Transaction, sums: BTreeMap<[i64; KEY], Sums>) -> Result<()> {
    let mut narrow: BTreeMap<[i64; sheets::KEY], Sums> = BTreeMap::new();
    for (key, sums) in &sums {
        for sheet in &SHEETS {
            *narrow.entry(sheet.key(key)).or_default() += *sums;
        }
    }
    upsert::<_, { KEY + SUMMED.len() }>(transaction, "rollups", &COLUMNS, sums).await?;
    upsert::<_, { sheets::KEY + SUMMED.len() }>(transaction, "sheets", &sheets::COLUMNS, narrow).await
}

/// Writes rows of a key of `K` columns, `N` with the sums.
async fn upsert<const K: usize, const N: usize>(
    transaction: &Transaction,
    table: &str,
    key: &[&'static str; K],
    sums: BTreeMap<[i64; K], Sums>,
) -> Result<()> {
    let mut columns = key.iter().chain(&SUMMED).copied();
    let columns: [&str; N] = std::array::from_fn(|_| columns.next().unwrap_or_default());
    let key = key.join(", ");
    let adds = SUMMED.map(|column| format!("{column} = {table}.{column} + excluded.{column}"));
    let tail = format!("ON CONFLICT ({key}) DO UPDATE SET {}", adds.join(", "));
    let row = |(key, sums): ([i64; K], Sums)| {
        let mut values = key.into_iter().map(Value::from).chain(sums.values());
        std::array::from_fn(|_| values.next().unwrap_or(Value::BigInt(None)))
    };
    let rows = Box::new(sums.into_iter().map(row));
    transaction.insert(Rows { table, columns: &columns, rows, tail: &tail }).await.map(drop)
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
