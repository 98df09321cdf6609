//! Deployments and credentials that are kept in the database: read, decrypted, built, and put into force.

use std::pin::Pin;
use std::sync::Arc;

use gatewright_admin::{
    Change, Configured, Deployed, Deployments, Vault, Waiting, opened, place, public_name,
};
use gatewright_core::{Caller, ErrorKind};
use gatewright_routing::Table;
use gatewright_store::{Draft, Error as StoreError, Kind, News, Object, Order, Query, Store};
use gatewright_transport::Trust;
use serde_json::{Map, Value, json};
use tracing::warn;

use crate::changes::Follow;
use crate::config::{Credential, Deployment, Entries};
use crate::live::Live;

/// Rows that are read at once.
const PAGE: u64 = 500;

/// The database's models.
#[derive(Clone)]
pub(crate) struct StoredModels {
    pub(crate) store: Store,
    pub(crate) vault: Option<Vault>,
    pub(crate) live: Arc<Live>,
    /// Whether models are kept in the database at all.
    pub(crate) enabled: bool,
}

/// All rows that deployments are built of.
#[derive(Clone, Default)]
struct Rows {
    models: Vec<(String, Draft)>,
    credentials: Vec<(String, Draft)>,
}

/// What the rows are when they are built.
#[derive(Default)]
struct Built {
    deployments: Vec<Deployment>,
    /// Rows that cannot be built, and why.
    broken: Vec<(String, String)>,
}

// === impl StoredModels ===

impl StoredModels {
    /// Puts what is stored into force beside what is configured. A model that does not build is left out.
    pub(crate) async fn reload(&self) -> Result<(), StoreError> {
        let built = self.build(&self.rows().await?);
        for (model, why) in &built.broken {
            warn!(model, why, "a stored model is left out");
        }
        let all = self.live.configured.load().deployments.iter().cloned().chain(built.deployments).collect();
        if let Err(err) = self.live.replace(all) {
            warn!(error = %err, "the stored models cannot be put into force");
        }
        Ok(())
    }

    async fn rows(&self) -> Result<Rows, StoreError> {
        let credentials = self.all(Kind::Credential).await?;
        Ok(Rows { models: self.all(Kind::Model).await?, credentials })
    }

    async fn all(&self, kind: Kind) -> Result<Vec<(String, Draft)>, StoreError> {
        let rows = self.store.objects(kind);
        let mut query = Query { order: Order::Oldest, limit: PAGE, ..Query::default() };
        let mut all = Vec::new();
        loop {
            let page: Vec<Object> = rows.list(&query).await?;
            let Some(last) = page.last() else { return Ok(all) };
            query.after = Some(last.cursor());
            all.extend(page.into_iter().map(|row| (row.id, row.draft)));
        }
    }

    fn build(&self, rows: &Rows) -> Built {
        let mut entries = self.live.configured.load().entries.clone();
        let of_file = std::mem::take(&mut entries.credentials);
        let stored = rows.credentials.iter().filter_map(|(name, draft)| self.credential(name, draft));
        // As with LiteLLM those of the database win.
        entries.credentials = stored.chain(of_file).collect();
        let mut built = Built::default();
        for (id, draft) in rows.models.iter().filter(|(_, draft)| !draft.blocked) {
            match self.deployment(&entries, id, draft) {
                Ok(deployment) => built.deployments.push(deployment),
                Err(why) => built.broken.push((id.clone(), why)),
            }
        }
        built
    }

    fn credential(&self, name: &str, draft: &Draft) -> Option<Credential> {
        let kept = draft.fields.get("credential_values")?.as_object()?;
        let values = match self.open(Kind::Credential, name, kept) {
            Ok(values) => values,
            Err(why) => {
                warn!(credential = name, why, "a stored credential is left out");
                return None;
            }
        };
        let info = draft.fields.get("credential_info").cloned().unwrap_or_default();
        Some(Credential { name: name.to_owned(), info, values })
    }

    /// A row as an entry of `model_list` would be.
    fn deployment(&self, entries: &Entries, id: &str, draft: &Draft) -> Result<Deployment, String> {
        if self.live.configured.load().deployments.iter().any(|deployment| &*deployment.routing.id == id) {
            return Err("the configuration has a deployment of this id".to_owned());
        }
        let field =
            |name: &str| draft.fields.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
        let params = self.open(Kind::Model, id, &field("litellm_params"))?;
        let mut info = field("model_info");
        info.insert("id".into(), id.into());
        let entry = json!({"model_name": public_name(draft), "litellm_params": params, "model_info": info});
        let trusted = draft.fields.get("by_admin").and_then(Value::as_bool).unwrap_or(false);
        let nothing = |_: &str| None;
        let read = match trusted {
            true => entries.read_one(&entry, &*self.live.configured.load().env),
            // Neither variables nor credentials of the operator's go where somebody else says.
            false => entries.without_credentials().read_one(&entry, &nothing),
        };
        let mut deployment = read.map_err(|problems| problems.join("; "))?;
        deployment.routing.team = draft.parents.team.as_deref().map(Arc::from);
        deployment.stored = true;
        if !trusted {
            deployment.params.trust = Trust::Untrusted;
        }
        Table::build(vec![deployment.routing.clone()], gatewright_routing::Settings::default())
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        Ok(deployment)
    }

    fn open(&self, kind: Kind, id: &str, kept: &Map<String, Value>) -> Result<Map<String, Value>, String> {
        let vault = self.vault.as_ref().ok_or("there is neither LITELLM_SALT_KEY nor a master key")?;
        opened(vault, &place(kind, id), kept).map_err(|err| err.to_string())
    }

    /// Why the rows with these changes would be worse than without.
    fn worsened(&self, before: &Rows, changes: &[Change]) -> Option<String> {
        let old = self.build(before);
        let new = self.build(&before.with(changes));
        let changed = |id: &str| changes.iter().any(|change| change.kind == Kind::Model && change.id == id);
        let was_broken = |id: &str| old.broken.iter().any(|(other, _)| other == id);
        for (id, why) in &new.broken {
            match (changed(id), was_broken(id)) {
                (true, _) => return Some(why.clone()),
                (false, false) => return Some(format!("model {id} would not work any more: {why}")),
                (false, true) => {}
            }
        }
        let mine = new.deployments.iter().filter(|deployment| changed(&deployment.routing.id));
        // A provider that is not supported yet is listed, as where the configuration names it.
        let problem = |deployment| {
            let callable = self.live.callable(deployment);
            let problem = callable.problem().filter(|err| err.kind() == ErrorKind::InvalidRequest);
            problem.map(|err| err.message().to_owned())
        };
        mine.into_iter().find_map(problem)
    }
}

// === impl Rows ===

impl Rows {
    fn with(&self, changes: &[Change]) -> Self {
        let mut rows = self.clone();
        for Change { kind, id, draft } in changes {
            let list = if *kind == Kind::Model { &mut rows.models } else { &mut rows.credentials };
            list.retain(|(other, _)| other != id);
            list.extend(draft.clone().map(|draft| (id.clone(), draft)));
        }
        rows
    }
}

impl Deployments for StoredModels {
    fn are_stored(&self) -> bool {
        self.enabled
    }

    fn check<'a>(&'a self, changes: &'a [Change]) -> Waiting<'a, Result<(), String>> {
        Box::pin(async move {
            match self.rows().await {
                Ok(rows) => self.worsened(&rows, changes).map_or(Ok(()), Err),
                Err(err) => {
                    warn!(error = %err, "models cannot be checked");
                    Err("the database cannot be asked for the other models now".to_owned())
                }
            }
        })
    }

    fn find(&self, name: &str) -> Option<Deployed> {
        let table = self.live.table.load();
        let known = table.deployments().find(|deployment| &*deployment.id == name).cloned();
        let deployment = known.or_else(|| table.resolve(name)?.deployments().next().cloned())?;
        Some(Deployed {
            name: deployment.group.to_string(),
            credential: self.live.models.credential_of(&deployment.id),
        })
    }

    fn permits(&self, caller: &Caller, model: &str) -> bool {
        self.live.table.load().permits(caller, model)
    }

    fn has_access_group(&self, name: &str) -> bool {
        self.live.table.load().has_access_group(name)
    }

    fn credentials(&self) -> Vec<Configured> {
        let configured = |credential: &Credential| {
            let Credential { name, info, values } = credential.clone();
            Configured { name, info, values }
        };
        self.live.configured.load().entries.credentials.iter().map(configured).collect()
    }
}

impl Follow for StoredModels {
    fn hear<'a>(&'a self, news: &'a News) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(async move {
            let ours = |kind: Kind| matches!(kind, Kind::Model | Kind::Credential);
            let concerned = match news {
                News::Anything => true,
                News::Changes(changes) => changes.iter().any(|change| ours(change.kind)),
            };
            if !concerned || !self.enabled {
                return true;
            }
            match self.reload().await {
                Ok(()) => true,
                Err(err) => {
                    warn!(error = %err, "the stored models cannot be read; they are read again");
                    false
                }
            }
        })
    }
}
