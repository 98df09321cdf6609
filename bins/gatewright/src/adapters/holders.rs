//! Whoever has a budget in the database, told to the meter before they call.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gatewright_admin::{Times, spent};
use gatewright_auth::Record;
use gatewright_core::{Caller, Clock, Names};
use gatewright_limits::Calendar;
use gatewright_store::{Error, Kind, Object, Query, Store};
use gatewright_telemetry::Meter;
use serde_json::{Map, Value};
use tracing::warn;

use super::keys::{obeyed, record};

/// How often they are read again, as in LiteLLM.
const EVERY: Duration = Duration::from_secs(300);

/// Rows that are read together.
const PAGE: u64 = 500;

/// Whose budgets are told, by LiteLLM's names for them.
const KINDS: [(Kind, &str); 5] = [
    (Kind::Key, "api_key"),
    (Kind::Team, "team"),
    (Kind::Organization, "organization"),
    (Kind::User, "user"),
    (Kind::Customer, "end_user"),
];

/// Reads them.
pub(crate) struct Holders {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) calendar: Calendar,
    pub(crate) meter: Meter,
    /// The most of one kind that are told.
    pub(crate) most: usize,
}

// === impl Holders ===

impl Holders {
    /// Reads them now, and again from time to time.
    pub(crate) async fn run(self) {
        loop {
            match self.read().await {
                Ok(holders) => self.meter.expect(holders),
                Err(err) => {
                    warn!(error = %err, "cannot read who has a budget; metrics tell of those who called")
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn read(&self) -> Result<Vec<Caller>, Error> {
        let mut all = Vec::new();
        for (kind, scope) in KINDS {
            let mut query = Query { limit: PAGE, ..Query::of([]) };
            let first = all.len();
            loop {
                let rows = self.store.objects(kind).list(&query).await?;
                all.extend(self.page((kind, scope), &rows).await?);
                let is_last = rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
                if is_last || all.len() - first >= self.most {
                    break;
                }
                query.skip += PAGE;
            }
        }
        Ok(all)
    }

    async fn page(&self, (kind, scope): (Kind, &'static str), rows: &[Object]) -> Result<Vec<Caller>, Error> {
        let named = rows.iter().filter_map(|row| row.draft.parents.budget.clone()).collect::<Vec<_>>();
        let budgets = self.store.objects(Kind::Budget).find_many(&named).await?;
        let budgets: HashMap<&str, &Object> = budgets.iter().map(|one| (&*one.id, one)).collect();
        let fields = |row: &Object| {
            let budget = row.draft.parents.budget.as_deref().and_then(|id| budgets.get(id).copied());
            obeyed(kind, row, budget)
        };
        let limited: Vec<(&Object, Map<String, Value>)> = rows
            .iter()
            .map(|row| (row, fields(row)))
            .filter(|(_, fields)| fields.get("max_budget").is_some_and(Value::is_number))
            .collect();
        let objects: Vec<_> = limited.iter().map(|(row, fields)| (kind, *row, fields)).collect();
        let now = self.clock.wall();
        let spent = spent(&self.store, &objects, Times { now, calendar: &self.calendar }).await?;
        let all = limited.into_iter().zip(spent);
        Ok(all.map(|((row, fields), spent)| holder(scope, record((kind, row), fields, spent), now)).collect())
    }
}

/// As if it had called.
fn holder(scope: &'static str, record: Record, now: std::time::SystemTime) -> Caller {
    let allowances = vec![record.allowance(scope, now)];
    let said = |field: &str| record.fields.get(field).and_then(Value::as_str).map(Arc::from);
    let id = Some(record.id.clone());
    let caller =
        Caller { allowances, ..Caller::new(if scope == "api_key" { record.id.clone() } else { "".into() }) };
    match scope {
        "api_key" => known_as(caller, Names { key: said("key_alias"), ..Names::default() }),
        "team" => {
            known_as(Caller { team: id, ..caller }, Names { team: said("team_alias"), ..Names::default() })
        }
        "organization" => known_as(
            Caller { organization: id, ..caller },
            Names { organization: said("organization_alias"), ..Names::default() },
        ),
        "user" => Caller { user: id, ..caller },
        _ => caller,
    }
}

fn known_as(caller: Caller, names: Names) -> Caller {
    Caller { known_as: Arc::new(names), ..caller }
}
