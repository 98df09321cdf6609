//! Rows are written: made where there is none, changed where only an import has changed it before.

use std::collections::{HashMap, HashSet};
use std::slice;

use gatewright_admin::{opened, place};
use gatewright_store::{CarriedBalance, Draft, Error as StoreError, Kind, Object, Step};

use super::Import;
use super::rows::secrets;

/// Who changed what an import brought.
const BY: &str = "import:litellm";

/// A row as it will be here.
#[derive(Clone)]
pub(super) struct Brought {
    pub(super) id: String,
    pub(super) draft: Draft,
    /// What it has spent.
    pub(super) balance: Option<CarriedBalance>,
}

/// What is here under the ids of some rows.
#[derive(Default)]
struct Here {
    objects: HashMap<String, Object>,
    /// What was deleted here does not come back: a key that was taken from somebody least of all.
    deleted: HashSet<String>,
}

impl Import {
    /// Writes rows, and what those have spent that were not made here.
    pub(super) async fn put(&mut self, kind: Kind, rows: &[Brought]) -> Result<(), StoreError> {
        let ours = match self.write(kind, rows).await {
            Ok(ours) => ours,
            Err(_) => self.write_each(kind, rows).await?,
        };
        let spent = rows.iter().filter(|row| ours.contains(&row.id));
        let balances: Vec<CarriedBalance> = spent.filter_map(|row| row.balance.clone()).collect();
        self.carry(&balances).await
    }

    /// Writes each by itself: one that cannot be written keeps none of the others away, and is told.
    async fn write_each(&mut self, kind: Kind, rows: &[Brought]) -> Result<HashSet<String>, StoreError> {
        let mut ours = HashSet::new();
        for row in rows {
            let id = &row.id;
            match self.write(kind, slice::from_ref(row)).await {
                Ok(written) => ours.extend(written),
                Err(StoreError::Taken(_)) if row.draft.alias.is_some() => {
                    let draft = Draft { alias: None, ..row.draft.clone() };
                    ours.extend(self.write(kind, &[Brought { draft, ..row.clone() }]).await?);
                    self.report.trouble("a key has this alias already; it was left out", id);
                }
                Err(StoreError::Unfit(why)) => {
                    self.refuse(kind, id, "rows that the database cannot keep", &why);
                }
                Err(err) => return Err(err),
            }
        }
        Ok(ours)
    }

    /// Writes all of them in one transaction, or none, and counts them once they are written. Answers those whose spend
    /// counts here.
    async fn write(&mut self, kind: Kind, rows: &[Brought]) -> Result<HashSet<String>, StoreError> {
        let here = self.here(kind, rows).await?;
        let (mut steps, mut counted, mut ours) = (Vec::new(), Vec::new(), HashSet::new());
        for Brought { id, draft, .. } in rows {
            let before = here.objects.get(id);
            let deleted = before.is_none() && here.deleted.contains(id);
            if !deleted && before.is_none_or(|before| before.created_by == BY) {
                ours.insert(id.clone());
            }
            counted.push(match before {
                None if deleted => "kept as deleted here",
                Some(before) if before.updated_by != BY => "kept as changed here",
                Some(before) if self.same(kind, before, draft) => "there already",
                Some(_) | None if self.dry => "new or changed",
                Some(Object { version, .. }) => {
                    steps.push(Step::Change {
                        kind,
                        id: id.clone(),
                        version: *version,
                        draft: draft.clone(),
                    });
                    "changed"
                }
                None => {
                    steps.push(Step::Make { kind, id: id.clone(), draft: draft.clone() });
                    "new"
                }
            });
        }
        if !steps.is_empty() {
            self.store.together(steps, BY).await?;
        }
        for how in counted {
            self.report.count(kind.name(), how, 1);
        }
        Ok(ours)
    }

    async fn here(&self, kind: Kind, rows: &[Brought]) -> Result<Here, StoreError> {
        if self.dry && !self.made {
            return Ok(Here::default());
        }
        let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        let objects = self.store.objects(kind).find_many(&ids).await?;
        let deleted = self.store.archived_of(kind, &ids).await?;
        Ok(Here { objects: objects.into_iter().map(|object| (object.id.clone(), object)).collect(), deleted })
    }

    /// What a sealed secret looks like is another thing each time.
    fn same(&self, kind: Kind, before: &Object, draft: &Draft) -> bool {
        let Some(name) = secrets(kind) else {
            // A key that came without its alias still has none.
            let left_out = kind == Kind::Key && before.draft.alias.is_none();
            let alias = draft.alias.clone().filter(|_| !left_out);
            return before.draft == Draft { alias, ..draft.clone() };
        };
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
}
