//! The rows of one kind: read, made, changed, taken away. Every change leaves a line in the audit log.

use std::{iter, slice};

use serde_json::Map;

use crate::audit::Action;
use crate::database::{Row, Transaction};
use crate::insert::Rows;
use crate::moment::{micros, moment};
use crate::{
    Column, Cursor, Draft, Error, Filter, Kind, Object, Parents, Query, Result, Store, archive, audit,
};

/// The columns of a row, in the order in which [`read`] takes them.
pub(crate) const COLUMNS: &str = "id, alias, organization_id, team_id, user_id, project_id, budget_id, blocked, expires_at, \
    fields, version, created_at, created_by, updated_at, updated_by";

/// How many they are.
const WIDTH: usize = 15;

/// The rows of one kind.
#[derive(Clone, Copy)]
pub struct Objects<'a> {
    store: &'a Store,
    kind: Kind,
}

// === impl Objects ===

impl<'a> Objects<'a> {
    pub(crate) fn new(store: &'a Store, kind: Kind) -> Self {
        Self { store, kind }
    }

    /// The row with this id.
    pub async fn find(&self, id: &str) -> Result<Option<Object>> {
        Ok(self.find_many(&[id.to_owned()]).await?.pop())
    }

    /// The rows with these ids, in no order; those that are not there are left out.
    pub async fn find_many(&self, ids: &[String]) -> Result<Vec<Object>> {
        let limit = ids.len() as u64;
        self.list(&Query { limit, ..Query::of([Filter::In(Column::Id, ids.to_vec())]) }).await
    }

    /// Some rows.
    pub async fn list(&self, query: &Query) -> Result<Vec<Object>> {
        let page = query.page();
        let sql = format!("SELECT {COLUMNS} FROM {}{}", self.kind.table(), page.sql);
        let work = async {
            let rows = self.store.read().await?.rows(&sql, page.values).await?;
            rows.iter().map(read).collect()
        };
        self.store.database().in_time(work).await
    }

    /// How many rows there are for which the filters hold, wherever a page begins.
    pub async fn count(&self, query: &Query) -> Result<u64> {
        let condition = query.condition();
        let sql = format!("SELECT COUNT(*) FROM {}{}", self.kind.table(), condition.sql);
        let work = async {
            let row = self.store.read().await?.row(&sql, condition.values).await?;
            row.map_or(Ok(0), |row| row.at::<i64>(0)).map(i64::unsigned_abs)
        };
        self.store.database().in_time(work).await
    }

    /// Makes a row; [`Error::Taken`] where its id or alias is not free.
    pub async fn insert(&self, id: &str, draft: Draft, by: &str) -> Result<Object> {
        let work = async {
            let transaction = self.store.write().await?;
            let object = self.drafted(id, draft, by);
            self.make(&transaction, slice::from_ref(&object)).await?;
            transaction.commit().await?;
            Ok(object)
        };
        self.store.database().in_time(work).await
    }

    /// Changes a row that still has this version; [`Error::Stale`] where somebody else was faster.
    pub async fn update(&self, id: &str, version: i64, draft: Draft, by: &str) -> Result<Object> {
        let work = async {
            let transaction = self.store.write().await?;
            let object = self.change(&transaction, (id, version), draft, by).await?;
            transaction.commit().await?;
            Ok(object)
        };
        self.store.database().in_time(work).await
    }

    /// Takes a row away into the archive; answers it, or nothing where there was none.
    pub async fn delete(&self, id: &str, by: &str) -> Result<Option<Object>> {
        let work = async {
            let transaction = self.store.write().await?;
            let object = self.remove(&transaction, id, by).await?;
            transaction.commit().await?;
            Ok(object)
        };
        self.store.database().in_time(work).await
    }

    /// A row that is not made yet.
    pub(crate) fn drafted(&self, id: &str, draft: Draft, by: &str) -> Object {
        let now = moment(micros(self.store.clock().wall()));
        Object {
            id: id.to_owned(),
            draft,
            version: 1,
            created_at: now,
            created_by: by.to_owned(),
            updated_at: now,
            updated_by: by.to_owned(),
        }
    }

    /// Makes rows, many in one statement.
    pub(crate) async fn make(&self, transaction: &Transaction, objects: &[Object]) -> Result<()> {
        let mut names = COLUMNS.split(", ");
        let columns: [&str; WIDTH] = std::array::from_fn(|_| names.next().unwrap_or_default());
        let rows = Box::new(objects.iter().map(values));
        transaction.insert(Rows { table: self.kind.table(), columns: &columns, rows, tail: "" }).await?;
        audit::put(transaction, self.store, self.kind, objects.iter().map(Action::Created)).await
    }

    pub(crate) async fn change(
        &self,
        transaction: &Transaction,
        (id, version): (&str, i64),
        draft: Draft,
        by: &str,
    ) -> Result<Object> {
        let before = self.locked(transaction, id, version).await?;
        let after = Object {
            draft,
            version: version + 1,
            updated_at: moment(micros(self.store.clock().wall())),
            updated_by: by.to_owned(),
            ..before.clone()
        };
        let sets: Vec<String> =
            COLUMNS.split(", ").enumerate().map(|(n, column)| format!("{column} = ${}", n + 1)).collect();
        let sql = format!("UPDATE {} SET {} WHERE id = $1", self.kind.table(), sets.join(", "));
        transaction.run(&sql, values(&after).into()).await?;
        self.note(transaction, Action::Updated { before: &before, after: &after }).await?;
        Ok(after)
    }

    pub(crate) async fn remove(
        &self,
        transaction: &Transaction,
        id: &str,
        by: &str,
    ) -> Result<Option<Object>> {
        let sql = format!("DELETE FROM {} WHERE id = $1 RETURNING {COLUMNS}", self.kind.table());
        let Some(row) = transaction.row(&sql, vec![id.into()]).await? else { return Ok(None) };
        let object = read(&row)?;
        archive::put(transaction, self.store, self.kind, &object, by).await?;
        self.note(transaction, Action::Deleted(&object, by)).await?;
        Ok(Some(object))
    }

    /// The row as it is, kept from others until the transaction ends.
    pub(crate) async fn locked(&self, transaction: &Transaction, id: &str, version: i64) -> Result<Object> {
        let lock = if transaction.is_postgres() { " FOR UPDATE" } else { "" };
        let sql = format!("SELECT {COLUMNS} FROM {} WHERE id = $1{lock}", self.kind.table());
        let row = transaction.row(&sql, vec![id.into()]).await?;
        let name = || format!("{} {id}", self.kind.name());
        let object = read(&row.ok_or_else(|| Error::Missing(name()))?)?;
        if object.version == version { Ok(object) } else { Err(Error::Stale(name())) }
    }

    async fn note(&self, transaction: &Transaction, action: Action<'_>) -> Result<()> {
        audit::put(transaction, self.store, self.kind, iter::once(action)).await
    }
}

// === impl Object ===

impl Object {
    /// Where a list goes on behind this row.
    pub fn cursor(&self) -> Cursor {
        Cursor { created_at: self.created_at, id: self.id.clone() }
    }
}

/// The values of [`COLUMNS`].
fn values(object: &Object) -> [sea_orm::Value; WIDTH] {
    let Draft { alias, parents, blocked, expires_at, fields } = &object.draft;
    let Parents { organization, team, user, project, budget } = parents.clone();
    [
        object.id.as_str().into(),
        alias.clone().into(),
        organization.into(),
        team.into(),
        user.into(),
        project.into(),
        budget.into(),
        (*blocked).into(),
        expires_at.map(micros).into(),
        document(fields).into(),
        object.version.into(),
        micros(object.created_at).into(),
        object.created_by.as_str().into(),
        micros(object.updated_at).into(),
        object.updated_by.as_str().into(),
    ]
}

pub(crate) fn read(row: &Row) -> Result<Object> {
    let fields: String = row.at(9)?;
    let parents = Parents {
        organization: row.at(2)?,
        team: row.at(3)?,
        user: row.at(4)?,
        project: row.at(5)?,
        budget: row.at(6)?,
    };
    let draft = Draft {
        alias: row.at(1)?,
        parents,
        blocked: row.at(7)?,
        expires_at: row.at::<Option<i64>>(8)?.map(moment),
        fields: serde_json::from_str(&fields)
            .map_err(|err| Error::Broken(format!("no JSON object: {err}")))?,
    };
    Ok(Object {
        id: row.at(0)?,
        draft,
        version: row.at(10)?,
        created_at: moment(row.at(11)?),
        created_by: row.at(12)?,
        updated_at: moment(row.at(13)?),
        updated_by: row.at(14)?,
    })
}

fn document(fields: &Map<String, serde_json::Value>) -> String {
    serde_json::to_string(fields).unwrap_or_else(|_| "{}".to_owned())
}
