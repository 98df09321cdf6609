//! What health checks found, and how long that counts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gatewright_routing::LiveTable;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing::{info, warn};

/// What a check says of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Verdict {
    /// It answered.
    Well,
    /// It failed, and how.
    Sick(String),
    /// Nothing, and why: it was not asked, or its failure is none of its own.
    Unknown(String),
}

/// A verdict and when it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) verdict: Verdict,
    pub(crate) at: Instant,
}

/// The last finding of each deployment. Clones share them.
#[derive(Clone)]
pub(crate) struct Findings {
    table: LiveTable,
    by_id: Arc<Mutex<HashMap<Arc<str>, Finding>>>,
}

// === impl Findings ===

impl Findings {
    /// None yet of the deployments of this table.
    pub(crate) fn new(table: LiveTable) -> Self {
        Self { table, by_id: Arc::default() }
    }

    /// What was found last.
    pub(crate) fn of(&self, id: &str) -> Option<Finding> {
        self.by_id.lock().get(id).cloned()
    }

    /// Takes a finding, and tells the router. One that says nothing leaves what was known before, as long as that counts.
    pub(super) fn put(&self, id: &Arc<str>, finding: Finding) {
        let mut by_id = self.by_id.lock();
        let before = by_id.get(id).map(|before| &before.verdict);
        let sick = matches!(before, Some(Verdict::Sick(_)));
        match &finding.verdict {
            Verdict::Unknown(_) if matches!(before, Some(Verdict::Well | Verdict::Sick(_))) => return,
            Verdict::Unknown(_) => {}
            Verdict::Well if sick => info!(deployment = %id, "a deployment passes its health check again"),
            Verdict::Well => {}
            Verdict::Sick(why) if !sick => {
                warn!(deployment = %id, error = %why, "a deployment fails its health check");
            }
            Verdict::Sick(_) => {}
        }
        if let Some(health) = self.table.load().health(id) {
            health.checked(!matches!(finding.verdict, Verdict::Sick(_)));
        }
        by_id.insert(id.clone(), finding);
    }

    /// Forgets what is older than this, and what is of deployments that are no more: whose last check is long ago counts
    /// as well.
    pub(super) fn forget(&self, older: Duration, now: Instant) {
        let table = self.table.load();
        self.by_id.lock().retain(|id, finding| {
            let Some(health) = table.health(id) else { return false };
            let counts = now.saturating_duration_since(finding.at) <= older;
            if !counts {
                health.checked(true);
            }
            counts
        });
    }
}

#[cfg(test)]
mod tests {
    use gatewright_routing::{Deployment, Settings, Table};

    use super::*;

    const STALE: Duration = Duration::from_secs(10);

    #[test]
    fn a_finding_counts_until_a_later_one_or_until_it_is_old() {
        let deployment = Deployment {
            id: "a".into(),
            group: "m".into(),
            target: "openai/m".into(),
            ..Deployment::default()
        };
        let Ok(table) = Table::build(vec![deployment], Settings::default()) else { panic!("no table") };
        let (table, start, id) = (LiveTable::new(table), Instant::now(), Arc::<str>::from("a"));
        let findings = Findings::new(table.clone());
        let is_sick = || table.load().health("a").is_some_and(gatewright_routing::Health::is_sick);
        let put = |verdict: Verdict, after: u64| {
            findings.put(&id, Finding { verdict, at: start + Duration::from_secs(after) });
            is_sick()
        };
        let (sick, unknown) = (|| Verdict::Sick("no".to_owned()), || Verdict::Unknown("full".to_owned()));
        assert!(!put(unknown(), 0));
        assert_eq!(findings.of("a").map(|found| found.verdict), Some(unknown()));
        assert!(put(sick(), 1));
        // Not even that it is asked again makes an old result new.
        assert!(put(unknown(), 9));
        findings.forget(STALE, start + Duration::from_secs(11));
        assert!(is_sick());
        findings.forget(STALE, start + Duration::from_secs(12));
        assert_eq!((is_sick(), findings.of("a")), (false, None));
        assert!(put(sick(), 13) && !put(Verdict::Well, 14));
        findings.put(&"gone".into(), Finding { verdict: sick(), at: start });
        findings.forget(STALE, start);
        assert_eq!(findings.of("gone"), None);
    }
}
