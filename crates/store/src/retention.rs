//! Takes entries away whose time is over.

use crate::{Result, Store, recall};

/// Entries that go in one transaction, so that nobody waits long for it.
const BATCH: u64 = 5_000;

impl Store {
    /// Removes entries of days that are no longer kept; answers how many. Sums and balances stay.
    pub async fn expire(&self) -> Result<u64> {
        // The time is at the front of an attempt's id, so the oldest are at the front of the table's key.
        let bound = recall::at(recall::begin(self.first_day()));
        let sql = format!(
            "DELETE FROM entries WHERE attempt IN \
             (SELECT attempt FROM entries WHERE attempt < $1 ORDER BY attempt LIMIT {BATCH})"
        );
        let mut removed = 0;
        loop {
            let work = async {
                let transaction = self.write().await?;
                let some = transaction.run(&sql, vec![bound.into()]).await?;
                transaction.commit().await?;
                Ok(some)
            };
            let some = self.database().in_time(work).await?;
            removed += some;
            if some < BATCH {
                return Ok(removed);
            }
        }
    }
}
