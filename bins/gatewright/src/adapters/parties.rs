//! End users and tags as they are kept in the database, for whoever asks what calls in their name may use.

use std::pin::Pin;
use std::sync::Arc;

use gatewright_admin::{Times, spent_by};
use gatewright_auth::{Finding, Joined, Parties, Party, Record};
use gatewright_core::{Clock, SystemClock};
use gatewright_limits::Calendar;
use gatewright_store::{Error as StoreError, Kind, News, Object, Scope, Store, clean};
use serde_json::{Map, Value};

use super::keys::{away, inherit, obeyed};
use crate::changes::Follow;
use crate::config::{CustomerDefaults, MoneySettings};

/// The database's end users and tags.
pub(crate) struct StoredParties {
    store: Store,
    clock: Arc<dyn Clock>,
    calendar: Calendar,
    customers: CustomerDefaults,
}

// === impl StoredParties ===

impl Parties for StoredParties {
    fn find(&self, party: Party) -> Finding<'_> {
        Box::pin(async move { self.party(&party).await.map_err(|err| away(&err)) })
    }
}

impl StoredParties {
    pub(crate) fn of(money: &MoneySettings, store: &Store, clock: &Arc<SystemClock>) -> Self {
        let (calendar, customers) = (money.calendar.clone(), money.customers.clone());
        Self { store: store.clone(), clock: clock.clone(), calendar, customers }
    }

    /// An end user without a budget of its own has the one that all have.
    async fn party(&self, party: &Party) -> Result<Option<Record>, StoreError> {
        let (kind, scope, id, of_key) = match party {
            Party::Customer { id, budget } => (Kind::Customer, Scope::Customer, id, budget.as_deref()),
            Party::Tag(name) => (Kind::Tag, Scope::Tag, name, None),
        };
        // The ledger books to the name that can be kept, so that one is meant.
        let id = &clean(id);
        let object = self.row(kind, Some(id)).await?;
        if kind == Kind::Customer && object.is_none() && self.customers.known_only {
            return Ok(None);
        }
        let mut fields = match &object {
            Some(object) => {
                let budget = self.row(Kind::Budget, object.draft.parents.budget.as_deref()).await?;
                obeyed(kind, object, budget.as_ref())
            }
            None => Map::new(),
        };
        if kind == Kind::Customer && !fields.contains_key("max_budget") {
            self.add_defaults(&mut fields, of_key).await?;
        }
        if object.is_none() && fields.is_empty() {
            return Ok(None);
        }
        let times = Times { now: self.clock.wall(), calendar: &self.calendar };
        let spent = spent_by(&self.store, (scope, id), &fields, times).await?;
        let (spent, spent_in, resets_at) = (spent.now, spent.within, spent.ends);
        Ok(Some(Record { id: Arc::clone(id), fields, spent, spent_in, resets_at }))
    }

    /// The key's budget for end users comes before that of all.
    async fn add_defaults(
        &self,
        fields: &mut Map<String, Value>,
        of_key: Option<&str>,
    ) -> Result<(), StoreError> {
        if let Some(budget) = self.row(Kind::Budget, of_key.or(self.customers.budget.as_deref())).await? {
            inherit(fields, &budget.draft.fields);
        }
        if let Some(most) = self.customers.most.and_then(|most| most.to_string().parse().ok()) {
            fields.entry("max_budget").or_insert(Value::Number(most));
        }
        Ok(())
    }

    async fn row(&self, kind: Kind, id: Option<&str>) -> Result<Option<Object>, StoreError> {
        match id {
            Some(id) => self.store.objects(kind).find(id).await,
            None => Ok(None),
        }
    }
}

/// Forgets all of them when one was changed, or a budget that one may have.
pub(crate) struct ForgettingParties(pub(crate) Joined);

impl Follow for ForgettingParties {
    fn hear<'a>(&'a self, news: &'a News) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        let theirs = |kind| matches!(kind, Kind::Customer | Kind::Tag | Kind::Budget);
        match news {
            News::Anything => self.0.doubt(),
            News::Changes(changes) if changes.iter().any(|change| theirs(change.kind)) => {
                self.0.forget_all();
            }
            News::Changes(_) => {}
        }
        Box::pin(std::future::ready(true))
    }
}
