//! Who of several replicas tells what all of them saw: the first one that says so in what they share.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use gatewright_alerts::Claims;
use gatewright_limits::Counts;
use gatewright_store::Store;
use redis::{Pipeline, Value};
use sha2::{Digest, Sha256};

use crate::ledger::Watched;

/// How long an alert waits for a database that does not answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Claims in the database, which remembers them over a restart, and in the Redis that replicas share, where they do:
/// their databases may be files of their own, or away. Where neither can say, every replica tells what it saw.
pub(crate) struct StoredClaims {
    pub(crate) store: Store,
    pub(crate) ledger: Watched,
    pub(crate) counts: Arc<Counts>,
}

// === impl StoredClaims ===

impl StoredClaims {
    async fn in_database(&self, name: &str, ttl: Duration) -> bool {
        if !self.ledger.health().connected {
            return true;
        }
        let claimed = tokio::time::timeout(PATIENCE, self.store.claim(name, ttl)).await;
        claimed.ok().and_then(Result::ok).unwrap_or(true)
    }

    async fn in_redis(&self, name: &str, ttl: Duration) -> bool {
        let Counts::Shared(shared) = &*self.counts else { return true };
        let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut commands = Pipeline::new();
        let claim = commands.cmd("SET").arg(shared.key(&format!("alert:{name}")));
        claim.arg(shared.replica()).arg("NX").arg("PX").arg(ttl);
        let answers = shared.ask(&commands).await;
        // Nothing is what it answers where there is one already.
        !matches!(answers.as_deref(), Some([Value::Nil]))
    }
}

impl Claims for StoredClaims {
    fn claim<'a>(&'a self, name: &'a str, ttl: Duration) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(async move {
            // A name may be as long as a client likes.
            let name: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
            self.in_database(&name, ttl).await && self.in_redis(&name, ttl).await
        })
    }
}
