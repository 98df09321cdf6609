//! Who of several replicas tells what all of them saw: the first one that writes it into the database.

use std::pin::Pin;
use std::time::Duration;

use gatewright_alerts::Claims;
use gatewright_store::Store;
use sha2::{Digest, Sha256};

use crate::ledger::Watched;

/// How long an alert waits for a database that does not answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Claims in the database. Where that is away every replica tells what it saw.
pub(crate) struct StoredClaims {
    pub(crate) store: Store,
    pub(crate) ledger: Watched,
}

impl Claims for StoredClaims {
    fn claim<'a>(&'a self, name: &'a str, ttl: Duration) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(async move {
            if !self.ledger.health().connected {
                return true;
            }
            // A name may be as long as a client likes.
            let name: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
            let claimed = tokio::time::timeout(PATIENCE, self.store.claim(&name, ttl)).await;
            claimed.ok().and_then(Result::ok).unwrap_or(true)
        })
    }
}
