//! Virtual keys as they are kept in the database, for whoever asks who is calling.

use std::pin::Pin;
use std::sync::Arc;

use gatewright_admin::{Times, document, membership, spent, table};
use gatewright_auth::{Authenticator, Holder, KeyHash, Keys, Record};
use gatewright_core::{Clock, Error, ErrorKind, Result};
use gatewright_limits::Calendar;
use gatewright_store::{Error as StoreError, Kind, News, Object, Store};
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

// === impl StoredKeys ===

impl Keys for StoredKeys {
    fn find(&self, key: KeyHash) -> Pin<Box<dyn Future<Output = Result<Option<Holder>>> + Send + '_>> {
        Box::pin(async move { self.holder(key).await.map_err(|err| away(&err)) })
    }
}

impl StoredKeys {
    async fn holder(&self, key: KeyHash) -> Result<Option<Holder>, StoreError> {
        let Some(key) = self.store.objects(Kind::Key).find(&key.to_string()).await? else { return Ok(None) };
        let parents = &key.draft.parents;
        let team = self.row(Kind::Team, parents.team.as_deref()).await?;
        let member = match (&parents.team, &parents.user) {
            (Some(team), Some(user)) => {
                self.row(Kind::Membership, Some(&membership(Kind::Team, team, user))).await?
            }
            _ => None,
        };
        let of_team = team.as_ref().and_then(|team| team.draft.parents.organization.as_deref());
        let organization = parents.organization.as_deref().or(of_team);
        let organization = self.row(Kind::Organization, organization).await?;
        let user = self.row(Kind::User, parents.user.as_deref()).await?;
        let project = self.row(Kind::Project, parents.project.as_deref()).await?;
        Ok(Some(Holder {
            key: self.record(Kind::Key, key).await?,
            team: self.above(Kind::Team, team).await?,
            member: self.above(Kind::Membership, member).await?,
            user: self.above(Kind::User, user).await?,
            project: self.above(Kind::Project, project).await?,
            organization: self.above(Kind::Organization, organization).await?,
        }))
    }

    async fn row(&self, kind: Kind, id: Option<&str>) -> Result<Option<Object>, StoreError> {
        match id {
            Some(id) => self.store.objects(kind).find(id).await,
            None => Ok(None),
        }
    }

    async fn above(&self, kind: Kind, object: Option<Object>) -> Result<Option<Record>, StoreError> {
        match object {
            Some(object) => self.record(kind, object).await.map(Some),
            None => Ok(None),
        }
    }

    /// What was set for it, and where it says nothing, what its budget sets.
    async fn record(&self, kind: Kind, object: Object) -> Result<Record, StoreError> {
        let mut fields = table(kind).map(|table| document(table, &object)).unwrap_or_default();
        if let Some(budget) = self.row(Kind::Budget, object.draft.parents.budget.as_deref()).await? {
            inherit(&mut fields, budget.draft.fields);
        }
        let times = Times { now: self.clock.wall(), calendar: &self.calendar };
        let spent = spent(&self.store, &object, kind, &fields, times).await?;
        // A key that came from another one counts as that one.
        let id = fields.get("counts_as").and_then(Value::as_str).unwrap_or(&object.id).into();
        Ok(Record { id, fields, spent: spent.now, spent_in: spent.within, resets_at: spent.ends })
    }
}

// === impl Forgetting ===

impl Follow for Forgetting {
    fn hear<'a>(&'a self, news: &'a News) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(async move {
            let News::Changes(changes) = news else {
                self.0.forget_all();
                return true;
            };
            for change in changes {
                match KeyHash::parse(&change.object).filter(|_| change.kind == Kind::Key) {
                    Some(key) => self.0.forget(&key).await,
                    None => self.0.forget_all(),
                }
            }
            true
        })
    }
}

fn inherit(fields: &mut Map<String, Value>, budget: Map<String, Value>) {
    for (name, value) in budget {
        let name = if name == "allowed_models" { "models".to_owned() } else { name };
        // An empty list says nothing.
        let said = fields.get(&name).is_some_and(|own| !own.as_array().is_some_and(Vec::is_empty));
        if !said {
            fields.insert(name, value);
        }
    }
}

fn away(err: &StoreError) -> Error {
    let kind = if err.is_away() { ErrorKind::Unavailable } else { ErrorKind::Internal };
    Error::new(kind, "keys cannot be looked up now").with_detail(err.to_string())
}
