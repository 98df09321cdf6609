//! The ledger of `spend`: entries, balances, sums and positions, all in one transaction or not at all.

use std::sync::Arc;

use gatewright_spend::{Applied, Batch, Entry, InstanceId, Ledger, LedgerError, Position, Receipt};
use sea_orm::Value;
use uuid::Uuid;

use crate::database::Transaction;
use crate::entries::{self, Numbered, whole};
use crate::moment::micros;
use crate::{Error, Result, Store, balances, rollups};

const DAY_MILLIS: u64 = 86_400_000;

impl Ledger for Store {
    async fn applied(&self, instance: InstanceId) -> std::result::Result<Applied, LedgerError> {
        Ok(self.database().in_time(self.position(instance)).await?)
    }

    async fn apply(&self, batch: &Batch) -> std::result::Result<Receipt, LedgerError> {
        Ok(self.database().in_time(self.apply_all(batch)).await?)
    }
}

impl Store {
    async fn position(&self, instance: InstanceId) -> Result<Applied> {
        let sql = "SELECT whole_segment, whole_offset, read_segment, read_offset FROM positions WHERE instance = $1";
        let id = Uuid::from_bytes(instance.to_bytes());
        let Some(row) = self.read().await?.row(sql, vec![id.into()]).await? else {
            return Ok(Applied::default());
        };
        let number = |place| row.at::<i64>(place).map(i64::unsigned_abs);
        Ok(Applied {
            whole: Position { segment: number(0)?, offset: number(1)? },
            read: Position { segment: number(2)?, offset: number(3)? },
        })
    }

    async fn apply_all(&self, batch: &Batch) -> Result<Receipt> {
        // What was removed cannot be told from what never came: it may not count a second time.
        let first = self.first_day();
        let mut kept: Vec<&Entry> = batch.entries.iter().filter(|entry| day(entry) >= first).collect();
        // All replicas take locks in the same order.
        kept.sort_unstable_by_key(|entry| entry.begin.attempt);
        kept.dedup_by_key(|entry| entry.begin.attempt);
        let names: Vec<Arc<str>> = kept.iter().flat_map(|entry| entries::names(entry)).flatten().collect();
        let numbers = self.numbers(names).await?;
        let transaction = self.write().await?;
        let numbered = kept.iter().map(|entry| Numbered::new(entry, &numbers)).collect();
        let inserted = entries::insert(&transaction, numbered).await?;
        let fresh: Vec<&Entry> = inserted.iter().map(|numbered| numbered.entry).collect();
        balances::book(&transaction, &fresh).await?;
        rollups::add(&transaction, &inserted).await?;
        self.advance(&transaction, batch).await?;
        let refused = batch.entries.iter().filter(|entry| day(entry) < first).count() as u64;
        let inserted = inserted.len() as u64;
        transaction.commit().await?;
        Ok(Receipt { inserted, known: batch.entries.len() as u64 - refused - inserted, refused })
    }

    async fn advance(&self, transaction: &Transaction, batch: &Batch) -> Result<()> {
        let now = micros(self.clock().wall());
        let row = |(instance, applied): &(InstanceId, Applied)| -> Vec<Value> {
            vec![
                Uuid::from_bytes(instance.to_bytes()).into(),
                whole(applied.whole.segment).into(),
                whole(applied.whole.offset).into(),
                whole(applied.read.segment).into(),
                whole(applied.read.offset).into(),
                now.into(),
            ]
        };
        let head = "INSERT INTO positions (instance, whole_segment, whole_offset, read_segment, read_offset, applied_at)";
        let tail = "ON CONFLICT (instance) DO UPDATE SET whole_segment = excluded.whole_segment, \
            whole_offset = excluded.whole_offset, read_segment = excluded.read_segment, \
            read_offset = excluded.read_offset, applied_at = excluded.applied_at";
        let mut rows: Vec<_> = batch.applied.iter().collect();
        rows.sort_unstable_by_key(|(instance, _)| *instance);
        transaction.insert(head, rows.into_iter().map(row).collect(), tail).await.map(drop)
    }
}

impl From<Error> for LedgerError {
    fn from(err: Error) -> Self {
        Self(err.to_string())
    }
}

/// The day of an entry, which its attempt's id names, in days since 1970.
pub(crate) fn day(entry: &Entry) -> u64 {
    entry.begin.attempt.unix_millis() / DAY_MILLIS
}
