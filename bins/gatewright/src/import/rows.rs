//! Rows of tables become what they are here.

use gatewright_admin::{Form, ROLES, Unfit, adopted, moment, place, sealed, table};
use gatewright_core::Money;
use gatewright_store::{Draft, Error as StoreError, Kind, Parents};
use serde_json::{Map, Value};

use super::plan::{Step, document};
use super::put::Brought;
use super::{Import, Row};

/// Why most rows stay that cannot be brought; the column is named with the row.
pub(super) const UNFIT: &str = "rows with a column that does not fit";

/// LiteLLM's name for whoever holds the master key.
const MASTER: &str = "default_user_id";

/// The fields whose values are secret, by kind.
pub(super) fn secrets(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Model => Some("litellm_params"),
        Kind::Credential => Some("credential_values"),
        _ => None,
    }
}

impl Import {
    /// Brings a page of a table, and what its rows have spent.
    pub(super) async fn objects(&mut self, step: &Step, rows: Vec<Row>) -> Result<(), StoreError> {
        let mut brought = Vec::new();
        for mut row in rows {
            let Some(Value::String(id)) = row.remove(step.id) else { continue };
            let balance = match step.scope.map(|scope| self.balance(scope, &id, &row)).transpose() {
                Ok(balance) => balance.flatten(),
                Err(column) => {
                    self.refuse(step.kind, &id, UNFIT, column);
                    continue;
                }
            };
            let Some(draft) = self.draft(step, &id, row) else { continue };
            brought.push(Brought { id, draft, balance });
        }
        self.put(step.kind, &brought).await
    }

    /// What a row will be here; nothing where it cannot be brought, which is told.
    fn draft(&mut self, step: &Step, id: &str, mut row: Row) -> Option<Draft> {
        if step.kind == Kind::Key && !is_hash(id) {
            self.refuse(step.kind, id, UNFIT, "token");
            return None;
        }
        let otherwise: Row =
            step.otherwise.iter().filter_map(|name| Some(((*name).to_owned(), row.remove(*name)?))).collect();
        let creator = row.get("created_by").and_then(Value::as_str).unwrap_or_default().to_owned();
        if step.kind == Kind::Budget {
            // As LiteLLM has it: what is foreseen here where it says nothing is another moment each time.
            let resets = row.get("budget_reset_at").and_then(moment);
            self.seen.resets.extend(resets.map(|at| (id.to_owned(), at)));
        }
        self.lighten(step.kind, id, &mut row);
        let mut draft = self.adopt(step.kind, id, &row)?;
        self.note(step.kind, id, &mut draft, &otherwise);
        if let Some(name) = secrets(step.kind)
            && !self.reseal(step.kind, id, &mut draft, name)
        {
            self.report
                .trouble("secrets that this salt key does not open", &format!("{} {id}", step.kind.name()));
            return None;
        }
        if step.kind == Kind::Model {
            self.settle_model(&mut draft, &creator);
        }
        Some(draft)
    }

    /// Takes away what would keep a row from coming and is no loss: budgets that nobody can reach, and roles that there
    /// are not.
    fn lighten(&mut self, kind: Kind, id: &str, row: &mut Row) {
        let row_name = || format!("{} {id}", kind.name());
        for field in table(kind).map_or(&[] as &[_], |table| table.fields) {
            let endless = |value: &Value| {
                value.as_f64().is_some_and(|amount| amount > 0.0)
                    && Money::parse_dollars(&value.to_string()).is_none()
            };
            if field.form == Form::Dollars && row.get(field.name).is_some_and(endless) {
                row.remove(field.name);
                self.report.trouble("budgets that are more than can be counted: none is here", &row_name());
            }
        }
        let role = row.get("user_role").and_then(Value::as_str).unwrap_or_default();
        if kind == Kind::User && !role.is_empty() && !ROLES.contains(&role) {
            row.remove("user_role");
            self.report.trouble("users without their role, which there is not here", &row_name());
        }
    }

    /// The row by the table of its kind; columns without a place are told. Nothing where it cannot be ours.
    pub(super) fn adopt(&mut self, kind: Kind, id: &str, row: &Row) -> Option<Draft> {
        let (draft, left) = match adopted(table(kind)?, row, self.times()) {
            Ok(adopted) => adopted,
            Err(Unfit(column)) => {
                self.refuse(kind, id, UNFIT, &column);
                return None;
            }
        };
        let Parents { organization, team, user, project, budget } = &draft.parents;
        let above = [
            (Kind::Organization, organization),
            (Kind::Team, team),
            (Kind::User, user),
            (Kind::Project, project),
            (Kind::Budget, budget),
        ];
        let missing = above.into_iter().find_map(|(kind, id)| {
            let id = id.as_ref()?;
            self.seen.refused.contains(&(kind, id.clone())).then(|| format!("{} {id}", kind.name()))
        });
        if let Some(missing) = missing {
            self.refuse(
                kind,
                id,
                "rows whose limits would be missing, for what they belong to is not brought",
                &missing,
            );
            return None;
        }
        for column in left {
            self.report.left(kind.name(), &column);
        }
        Some(draft)
    }

    /// Tells that a row is not brought.
    pub(super) fn refuse(&mut self, kind: Kind, id: &str, why: &str, what: &str) {
        self.report.trouble(why, &format!("{} {id}: {what}", kind.name()));
        self.seen.refused.insert((kind, id.to_owned()));
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

fn is_hash(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
