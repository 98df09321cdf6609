//! The ledger of `spend`: entries, balances, sums and positions, all in one transaction or not at all.

use gatewright_spend::{Applied, Batch, Entry, InstanceId, Ledger, LedgerError, Position, Receipt};
use sea_orm::Value;
use uuid::Uuid;

use crate::database::Transaction;
use crate::entries;
use crate::insert::Rows;
use crate::moment::micros;
use crate::value::whole;
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
        let refused = (batch.entries.len() - kept.len()) as u64;
        // All replicas take locks in the same order.
        kept.sort_unstable_by_key(|entry| entry.begin.attempt);
        kept.dedup_by_key(|entry| entry.begin.attempt);
        let numbered = entries::numbered(self, &kept).await?;
        let mut transaction = self.write().await?;
        let fresh = match entries::insert(&transaction, &numbered).await? {
            true => numbered,
            false => {
                transaction.undo().await?;
                transaction = self.write().await?;
                entries::insert_new(&transaction, numbered).await?
            }
        };
        balances::book(&transaction, &fresh).await?;
        rollups::add(&transaction, &fresh).await?;
        self.advance(&transaction, batch).await?;
        transaction.commit().await?;
        let inserted = fresh.len() as u64;
        Ok(Receipt { inserted, known: batch.entries.len() as u64 - refused - inserted, refused })
    }

    async fn advance(&self, transaction: &Transaction, batch: &Batch) -> Result<()> {
        let now = micros(self.clock().wall());
        let row = |(instance, applied): &(InstanceId, Applied)| -> [Value; 6] {
            [
                Uuid::from_bytes(instance.to_bytes()).into(),
                whole(applied.whole.segment).into(),
                whole(applied.whole.offset).into(),
                whole(applied.read.segment).into(),
                whole(applied.read.offset).into(),
                now.into(),
            ]
        };
        let columns =
            &["instance", "whole_segment", "whole_offset", "read_segment", "read_offset", "applied_at"];
        let tail = "ON CONFLICT (instance) DO UPDATE SET whole_segment = excluded.whole_segment, \
            whole_offset = excluded.whole_offset, read_segment = excluded.read_segment, \
            read_offset = excluded.read_offset, applied_at = excluded.applied_at";
        let mut rows: Vec<_> = batch.applied.iter().collect();
        rows.sort_unstable_by_key(|(instance, _)| *instance);
        let rows = Box::new(rows.into_iter().map(row));
        transaction.insert(Rows { table: "positions", columns, rows, tail }).await.map(drop)
    }
}

impl From<Error> for LedgerError {
    fn from(err: Error) -> Self {
        match err {
            Error::Unfit(_) => Self::Refused(err.to_string()),
            // Whatever else is wrong, an administrator can mend it; entries wait.
            Error::Taken(_) | Error::Missing(_) | Error::Stale(_) | Error::Away(_) | Error::Broken(_) => {
                Self::Away(err.to_string())
            }
        }
    }
}

/// The day of an entry, which its attempt's id names, in days since 1970.
pub(crate) fn day(entry: &Entry) -> u64 {
    entry.begin.attempt.unix_millis() / DAY_MILLIS
}
