//! Whoever a token of an identity provider stands for, as the database knows them, and the provider's keys.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gatewright_auth::{Claimed, Fetch, Holder, Part, Record};
use gatewright_core::{Error, ErrorKind, Result, shown_address};
use gatewright_store::{Draft, Error as StoreError, Kind, Object, Parents, Root};
use gatewright_transport::{Request, Transport};
use serde_json::{Map, json};
use tokio::time::timeout;

use super::keys::StoredKeys;

/// The name that rows are written down with which a token made.
const MAKER: &str = "jwt";

/// The largest document of an identity provider, and how long it may take.
const LARGEST: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(5);

/// Fetches the public keys of identity providers.
pub(crate) struct ProviderKeys(pub(crate) Transport);

// === impl ProviderKeys ===

impl Fetch for ProviderKeys {
    fn fetch<'a>(&'a self, url: &'a str) -> Pin<Box<dyn Future<Output = Result<Bytes>> + Send + 'a>> {
        Box::pin(async move {
            let failed =
                |why: String| Error::new(ErrorKind::Unavailable, format!("{}: {why}", shown_address(url)));
            let uri = url.parse().map_err(|_| failed("no address".to_owned()))?;
            let fetched = timeout(PATIENCE, async {
                let response =
                    self.0.send(Request::fetch(uri)).await.map_err(|err| failed(err.to_string()))?;
                let status = response.status;
                if !status.is_success() {
                    return Err(failed(format!("status {status}")));
                }
                response.decoded(LARGEST).await.map_err(|err| failed(err.to_string()))
            });
            fetched.await.unwrap_or_else(|_| Err(failed(format!("no answer within {PATIENCE:?}"))))
        })
    }
}

// === impl StoredKeys ===

impl StoredKeys {
    /// A holder without a key of its own.
    pub(super) async fn claimant(&self, claimed: &Claimed) -> Result<Option<Holder>, StoreError> {
        let team = self.team(claimed).await?;
        if team.is_none() && !claimed.teams.is_empty() {
            return Ok(None);
        }
        let user = claimed.user.as_deref().map(str::to_owned);
        if let Some(user) = &user
            && !self.has_user(user, claimed).await?
        {
            return Ok(None);
        }
        let of_team = team.as_ref().and_then(|team| team.draft.parents.organization.clone());
        let organization = claimed.organization.as_deref().map(str::to_owned);
        let team = team.map(|team| team.id);
        let parents = Parents { organization: organization.or(of_team), team, user, ..Parents::default() };
        let lineage = self.store.lineage(Root::Parents(&parents)).await?;
        let mut holder = self.held(&lineage, &parents, Some(key_of(claimed, &parents))).await?;
        if let Some(holder) = &mut holder {
            let others = claimed.teams.iter().cloned().map(|id| Part { kind: Kind::Team.name(), id });
            holder.parts.extend(others);
        }
        Ok(holder)
    }

    /// The first team that is there and open; else the first that is there.
    async fn team(&self, claimed: &Claimed) -> Result<Option<Object>, StoreError> {
        let Some(first) = claimed.teams.first() else { return Ok(None) };
        let ids: Vec<String> = claimed.teams.iter().map(|id| id.to_string()).collect();
        let mut found = self.store.objects(Kind::Team).find_many(&ids).await?;
        let place = |team: &Object| ids.iter().position(|id| *id == team.id);
        found.sort_by_key(|team| (team.draft.blocked, place(team)));
        match found.into_iter().next() {
            None if claimed.create_team => {
                let draft = Draft { alias: Some(first.to_string()), ..Draft::default() };
                self.made(Kind::Team, first, draft).await.map(Some)
            }
            found => Ok(found),
        }
    }

    async fn has_user(&self, user: &str, claimed: &Claimed) -> Result<bool, StoreError> {
        if self.store.objects(Kind::User).find(user).await?.is_some() {
            return Ok(true);
        }
        if claimed.create_user {
            let fields = json!({"user_role": "internal_user", "user_email": claimed.email.as_deref()});
            let fields = fields.as_object().cloned().unwrap_or_default();
            self.made(Kind::User, user, Draft { fields, ..Draft::default() }).await?;
        }
        Ok(claimed.create_user)
    }

    /// Another replica may be as fast.
    async fn made(&self, kind: Kind, id: &str, draft: Draft) -> Result<Object, StoreError> {
        match self.store.objects(kind).insert(id, draft, MAKER).await {
            Err(StoreError::Taken(taken)) => {
                self.store.objects(kind).find(id).await?.ok_or(StoreError::Missing(taken))
            }
            made => made,
        }
    }
}

/// What limits and the ledger know a token by: whoever it stands for. A new token is no new caller.
fn key_of(claimed: &Claimed, parents: &Parents) -> Record {
    let name = |id: &Option<String>| id.clone().unwrap_or_default();
    let id: Arc<str> = format!("jwt:{}:{}", name(&parents.team), name(&parents.user)).into();
    let mut fields = Map::new();
    let list = |list: &[Arc<str>]| json!(list.iter().map(|one| &**one).collect::<Vec<&str>>());
    if let Some(models) = &claimed.models {
        fields.insert("models".into(), list(models));
    }
    fields.insert("allowed_routes".into(), list(&claimed.routes));
    fields.insert("end_user".into(), json!(claimed.end_user.as_deref()));
    Record { id, fields, ..Record::default() }
}
