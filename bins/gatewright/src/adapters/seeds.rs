//! What was spent of the file's budgets before this process began, as the database says.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use gatewright_admin::{Spent, Times, spent_by};
use gatewright_core::{Clock, Money};
use gatewright_limits::{Calendar, Rule, Window};
use gatewright_store::{Error, Scope, Store};
use serde_json::{Map, json};
use tracing::warn;

use super::rules::{CallRules, DeploymentRules};
use crate::config::Purse;

/// How often what was spent is read again: so that a balance begins anew within the period that it is for, and a
/// deployment that came later has one.
const EVERY: Duration = Duration::from_secs(60);

/// A budget of the file.
pub(crate) struct FileBudget {
    pub(crate) scope: &'static str,
    pub(crate) id: Arc<str>,
    pub(crate) purse: Purse,
}

/// What was spent by scope and id, and when the time ends that it was spent in. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Known(Arc<ArcSwap<BySubject>>);

/// By scope and id.
type BySubject = HashMap<(&'static str, Arc<str>), Seed>;

#[derive(Clone, Copy)]
struct Seed {
    spent: Money,
    ends: Option<SystemTime>,
}

/// Reads what is known.
pub(crate) struct Seeds {
    pub(crate) known: Known,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) calendar: Calendar,
    pub(crate) call: Arc<CallRules>,
    pub(crate) deployments: Arc<DeploymentRules>,
}

// === impl Known ===

impl Known {
    /// The rule with what was spent in its window.
    pub(crate) fn seeded(&self, rule: Rule) -> Rule {
        let ends = match rule.window {
            Window::Period { ends, .. } => Some(ends),
            Window::Rolling(_) | Window::Forever => None,
        };
        let known = self.0.load();
        match known.get(&(rule.scope, Arc::clone(&rule.id))) {
            Some(seed) if seed.ends == ends => rule.spent(seed.spent),
            Some(_) | None => rule,
        }
    }
}

// === impl Seeds ===

impl Seeds {
    /// Reads it once. What cannot be read stays as it was.
    pub(crate) async fn read(&self) {
        let budgets = self.call.budgets().into_iter().chain(self.deployments.budgets());
        let mut known = HashMap::clone(&self.known.0.load());
        for FileBudget { scope, id, purse } in budgets {
            match self.spent(scope, &id, purse).await {
                Ok(Some(Spent { now, ends, .. })) => {
                    known.insert((scope, id), Seed { spent: now, ends });
                }
                Ok(None) => {}
                Err(err) => {
                    warn!(error = %err, scope, "cannot read what was spent of a budget of the file");
                    break;
                }
            }
        }
        self.known.0.store(Arc::new(known));
    }

    /// Reads it again from time to time.
    pub(crate) async fn keep(self) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.read().await;
        }
    }

    async fn spent(&self, scope: &str, id: &Arc<str>, purse: Purse) -> Result<Option<Spent>, Error> {
        let Some(scope) = Scope::ALL.into_iter().find(|known| known.name() == scope) else { return Ok(None) };
        let duration = purse.every.map(|every| ("budget_duration".to_owned(), json!(every.to_string())));
        let fields = Map::from_iter(duration);
        let times = Times { now: self.clock.wall(), calendar: &self.calendar };
        spent_by(&self.store, (scope, id), &fields, times).await.map(Some)
    }
}
