//! Virtual keys as they are kept in the database, for whoever asks who is calling.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use gatewright_admin::{Spent, Times, booked_as, document, membership, spent, table};
use gatewright_auth::{Authenticator, Claimed, Holder, KeyHash, Keys, Part, Record};
use gatewright_core::{Clock, Error, ErrorKind, Result};
use gatewright_limits::Calendar;
use gatewright_store::{Error as StoreError, Kind, Lineage, News, Object, Parents, Root, Store};
use serde_json::{Map, Value};

use crate::changes::Follow;

/// The database's keys.
pub(crate) struct StoredKeys {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) calendar: Calendar,
}

/// Forgets keys that were changed, or that something above them was changed of.
pub(crate) struct Forgetting(pub(crate) Authenticator);

/// What a holder is made of.
const HELD: [Kind; 6] =
    [Kind::Key, Kind::Team, Kind::Membership, Kind::User, Kind::Project, Kind::Organization];

// === impl StoredKeys ===

impl Keys for StoredKeys {
    fn find(&self, key: KeyHash) -> Pin<Box<dyn Future<Output = Result<Option<Holder>>> + Send + '_>> {
        Box::pin(async move { self.holder(key).await.map_err(|err| away(&err)) })
    }

    fn claimed<'a>(
        &'a self,
        claimed: &'a Claimed,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Holder>>> + Send + 'a>> {
        Box::pin(async move { self.claimant(claimed).await.map_err(|err| away(&err)) })
    }
}

impl StoredKeys {
    async fn holder(&self, key: KeyHash) -> Result<Option<Holder>, StoreError> {
        let lineage = self.store.lineage(Root::Key(&key.to_string())).await?;
        let Some(key) = lineage.row(Kind::Key) else { return Ok(None) };
        let above = lineage.row(Kind::Team).and_then(|team| team.draft.parents.organization.clone());
        let mut parents = key.draft.parents.clone();
        parents.organization = parents.organization.or(above);
        self.held(&lineage, &parents, None).await
    }

    /// Everything of a lineage, with a key that has no row where one is given.
    pub(super) async fn held(
        &self,
        lineage: &Lineage,
        parents: &Parents,
        key: Option<Record>,
    ) -> Result<Option<Holder>, StoreError> {
        let rows: Vec<(Kind, &Object)> =
            HELD.into_iter().filter_map(|kind| Some((kind, lineage.row(kind)?))).collect();
        let fields: Vec<Map<String, Value>> =
            rows.iter().map(|(kind, row)| obeyed(*kind, row, lineage.budget(row))).collect();
        let objects: Vec<_> =
            rows.iter().zip(&fields).map(|((kind, row), fields)| (*kind, *row, fields)).collect();
        let times = Times { now: self.clock.wall(), calendar: &self.calendar };
        let spent = spent(&self.store, &objects, times).await?;
        let parts = parts(parents, lineage);
        let all = rows.iter().zip(fields).zip(spent);
        let mut records: HashMap<Kind, Record> =
            all.map(|(((kind, row), fields), spent)| (*kind, record((*kind, row), fields, spent))).collect();
        let Some(key) = key.or_else(|| records.remove(&Kind::Key)) else { return Ok(None) };
        Ok(Some(Holder {
            key,
            team: records.remove(&Kind::Team),
            member: records.remove(&Kind::Membership),
            user: records.remove(&Kind::User),
            project: records.remove(&Kind::Project),
            organization: records.remove(&Kind::Organization),
            parts,
        }))
    }
}

/// What was set for a row, and where it says nothing, what its budget sets.
pub(super) fn obeyed(kind: Kind, object: &Object, budget: Option<&Object>) -> Map<String, Value> {
    let mut fields = table(kind).map(|table| document(table, object)).unwrap_or_default();
    if let Some(budget) = budget {
        inherit(&mut fields, &budget.draft.fields);
    }
    fields
}

pub(super) fn record((kind, row): (Kind, &Object), fields: Map<String, Value>, spent: Spent) -> Record {
    let id = booked_as(kind, row).map_or_else(|| row.id.as_str().into(), |(_, id)| id);
    Record { id, fields, spent: spent.now, spent_in: spent.within, resets_at: spent.ends }
}

/// Everything that has a say, also where it is not there yet.
fn parts(parents: &Parents, lineage: &Lineage) -> Vec<Part> {
    let Parents { organization, team, user, project, .. } = parents;
    let member = team.as_ref().zip(user.as_ref()).map(|(team, user)| membership(Kind::Team, team, user));
    let named = [
        (Kind::Team, team.clone()),
        (Kind::Membership, member),
        (Kind::User, user.clone()),
        (Kind::Project, project.clone()),
        (Kind::Organization, organization.clone()),
    ];
    let budgets = HELD.into_iter().filter_map(|kind| lineage.row(kind)?.draft.parents.budget.clone());
    let budgets = budgets.map(|id| (Kind::Budget, id));
    let named = named.into_iter().filter_map(|(kind, id)| Some((kind, id?)));
    named.chain(budgets).map(|(kind, id)| Part { kind: kind.name(), id: id.into() }).collect()
}

// === impl Forgetting ===

impl Follow for Forgetting {
    fn hear<'a>(&'a self, news: &'a News) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(async move {
            match news {
                News::Anything => self.0.doubt(),
                News::Changes(changes) => {
                    let parts = changes
                        .iter()
                        .map(|change| Part { kind: change.kind.name(), id: change.object.as_str().into() });
                    self.0.forget(&parts.collect::<Vec<_>>());
                }
            }
            true
        })
    }
}

pub(super) fn inherit(fields: &mut Map<String, Value>, budget: &Map<String, Value>) {
    for (name, value) in budget {
        let name = if name == "allowed_models" { "models" } else { name };
        // An empty list says nothing.
        let said = fields.get(name).is_some_and(|own| !own.as_array().is_some_and(Vec::is_empty));
        if !said {
            fields.insert(name.to_owned(), value.clone());
        }
    }
}

pub(super) fn away(err: &StoreError) -> Error {
    let kind = if err.is_away() { ErrorKind::Unavailable } else { ErrorKind::Internal };
    Error::new(kind, "keys cannot be looked up now").with_detail(err.to_string())
}
