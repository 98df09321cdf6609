//! Rows become objects: made where there is none, changed where only an import has changed it before.

use std::sync::Arc;

use gatewright_admin::{adopted, opened, place, sealed, table};
use gatewright_store::{Draft, Error as StoreError, Kind, Object};
use serde_json::{Map, Value};

use super::plan::{Step, document};
use super::{Import, Row};

/// Who changed what an import brought.
const BY: &str = "import:litellm";

/// LiteLLM's name for whoever holds the master key.
const MASTER: &str = "default_user_id";

/// The fields whose values are secret, by kind.
fn secrets(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Model => Some("litellm_params"),
        Kind::Credential => Some("credential_values"),
        _ => None,
    }
}

impl Import {
    /// Brings a page of a table, and what its rows have spent.
    pub(super) async fn objects(&mut self, step: &Step, rows: Vec<Row>) -> Result<(), StoreError> {
        let mut balances = Vec::new();
        for mut row in rows {
            let Some(Value::String(id)) = row.remove(step.id) else { continue };
            balances.extend(step.scope.and_then(|scope| self.balance(scope, &id, &row)));
            let otherwise: Row = step
                .otherwise
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), row.remove(*name)?)))
                .collect();
            let creator = row.get("created_by").and_then(Value::as_str).unwrap_or_default().to_owned();
            let mut draft = self.adopt(step.kind, &row);
            self.note(step.kind, &id, &mut draft, &otherwise);
            if let Some(name) = secrets(step.kind)
                && !self.reseal(step.kind, &id, &mut draft, name)
            {
                self.report.trouble(
                    "secrets that this salt key does not open",
                    &format!("{} {id}", step.kind.name()),
                );
                continue;
            }
            if step.kind == Kind::Model {
                self.settle_model(&mut draft, &creator);
            }
            self.put(step.kind, &id, draft).await?;
        }
        self.carry(&balances).await
    }

    /// The row by the table of its kind; columns without a place are told.
    pub(super) fn adopt(&mut self, kind: Kind, row: &Row) -> Draft {
        let Some(table) = table(kind) else { return Draft::default() };
        let (draft, left) = adopted(table, row, self.times());
        for column in left {
            self.report.left(kind.name(), &column);
        }
        draft
    }

    /// Makes it, or changes what only imports have changed.
    pub(super) async fn put(&mut self, kind: Kind, id: &str, draft: Draft) -> Result<(), StoreError> {
        let rows = self.store.objects(kind);
        let how = match rows.find(id).await? {
            Some(before) if before.updated_by != BY => "kept as changed here",
            Some(before) if self.same(kind, &before, &draft) => "there already",
            Some(_) | None if self.dry => "new or changed",
            Some(before) => {
                rows.update(id, before.version, draft, BY).await?;
                "changed"
            }
            None => match rows.insert(id, draft.clone(), BY).await {
                Err(StoreError::Taken(_)) => {
                    rows.insert(id, Draft { alias: None, ..draft }, BY).await?;
                    self.report.trouble("a key has this alias already; it was left out", id);
                    "new"
                }
                made => made.map(|_| "new")?,
            },
        };
        self.report.count(kind.name(), how, 1);
        Ok(())
    }

    /// What a sealed secret looks like is another thing each time.
    fn same(&self, kind: Kind, before: &Object, draft: &Draft) -> bool {
        let Some(name) = secrets(kind) else { return before.draft == *draft };
        let open = |draft: &Draft| {
            let kept = draft.fields.get(name)?.as_object()?;
            opened(self.vault.as_ref()?, &place(kind, &before.id), kept).ok()
        };
        let without = |draft: &Draft| {
            let mut draft = draft.clone();
            draft.fields.remove(name);
            draft
        };
        open(&before.draft) == open(draft) && without(&before.draft) == without(draft)
    }

    /// What later rows need of this one.
    fn note(&mut self, kind: Kind, id: &str, draft: &mut Draft, otherwise: &Row) {
        match kind {
            Kind::Team => {
                let alias = otherwise.get("model_id").map(Value::to_string);
                if let Some(aliases) =
                    alias.and_then(|id| self.seen.aliases.get(&id)).filter(|all| all.is_object())
                {
                    draft.fields.insert("model_aliases".into(), aliases.clone());
                }
                self.note_members(id, otherwise.get("members_with_roles"));
                if let Some(organization) = &draft.parents.organization {
                    self.seen.organizations.insert(id.to_owned(), organization.clone());
                }
            }
            Kind::User if draft.fields.get("user_role").and_then(Value::as_str) == Some("proxy_admin") => {
                self.seen.administrators.push(id.to_owned());
            }
            Kind::Key => {
                let parents = &draft.parents;
                let of_team = parents.team.as_ref().and_then(|team| self.seen.organizations.get(team));
                let organization = parents.organization.as_ref().or(of_team);
                let text = |id: Option<&String>| id.map(|id| Arc::from(id.as_str()));
                let above = [text(parents.team.as_ref()), text(organization), text(parents.project.as_ref())];
                self.seen.keys.insert(id.to_owned(), above);
            }
            _ => {}
        }
    }

    fn note_members(&mut self, team: &str, members: Option<&Value>) {
        let members = document(members.cloned().unwrap_or_default());
        for member in members.as_array().into_iter().flatten() {
            let field = |name: &str| member.get(name).cloned().unwrap_or_default();
            if let Some(user) = member.get("user_id").and_then(Value::as_str) {
                let place = (team.to_owned(), user.to_owned());
                self.seen.members.insert(place, (field("role"), field("user_email")));
            }
        }
    }

    /// Opens LiteLLM's secrets and seals them with our key.
    fn reseal(&self, kind: Kind, id: &str, draft: &mut Draft, name: &str) -> bool {
        let kept = document(draft.fields.get(name).cloned().unwrap_or_default());
        let values: Map<String, Value> = kept.as_object().cloned().unwrap_or_default();
        let (Some(salt), Some(vault)) = (&self.salt, &self.vault) else { return false };
        let given = salt.opened(&values).ok();
        let ours = given.and_then(|given| sealed(vault, &place(kind, id), &given).ok());
        ours.map(|ours| draft.fields.insert(name.to_owned(), ours.into())).is_some()
    }

    /// A model of a team that its administrators made may not name what is the operator's.
    fn settle_model(&self, draft: &mut Draft, creator: &str) {
        let info = draft.fields.get("model_info").cloned().map(document).unwrap_or_default();
        draft.parents.team = info.get("team_id").and_then(Value::as_str).map(str::to_owned);
        draft.fields.insert("model_info".into(), info);
        let by_admin = draft.parents.team.is_none()
            || creator == MASTER
            || self.seen.administrators.iter().any(|administrator| administrator == creator);
        draft.fields.insert("by_admin".into(), by_admin.into());
    }
}
