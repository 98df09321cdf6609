//! Claims: which of several replicas does something that only one shall do.

use std::time::Duration;

use crate::moment::micros;
use crate::{Result, Store};

impl Store {
    /// Whether nobody has claimed this name for a time that is not over yet; it is claimed for so long then. Of several
    /// that claim it at the same moment one does.
    pub async fn claim(&self, name: &str, ttl: Duration) -> Result<bool> {
        let now = self.clock().wall();
        let ends = now.checked_add(ttl).map_or(i64::MAX, micros);
        let work = async {
            let transaction = self.write().await?;
            transaction.run("DELETE FROM claims WHERE ends_at <= $1", vec![micros(now).into()]).await?;
            let sql = "INSERT INTO claims (name, ends_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
            let made = transaction.run(sql, vec![name.into(), ends.into()]).await?;
            transaction.commit().await?;
            Ok(made == 1)
        };
        self.database().in_time(work).await
    }
}
