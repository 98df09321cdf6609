//! Who changed what, and when: one line a change, written with it.

use std::time::SystemTime;

use sea_orm::Value;
use uuid::Uuid;

use crate::database::{Row, Transaction};
use crate::insert::Rows;
use crate::moment::{micros, moment};
use crate::query::Condition;
use crate::value::whole;
use crate::{Kind, Object, Result, Store};

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub struct Audit {
    /// Names it; later ones are greater.
    pub id: Uuid,
    /// When.
    pub at: SystemTime,
    /// Who.
    pub actor: String,
    /// `created`, `updated` or `deleted`.
    pub action: String,
    /// The kind of what was changed, by its name.
    pub kind: String,
    /// Its id.
    pub object_id: String,
    /// The row before, as a JSON object.
    pub before: Option<String>,
    /// The row afterwards.
    pub after: Option<String>,
}

/// Which changes, the latest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditQuery {
    /// The one with this id.
    pub id: Option<Uuid>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// Of what has this id.
    pub object_id: Option<String>,
    /// By this one.
    pub actor: Option<String>,
    /// What was done: `created`, `updated` or `deleted`.
    pub action: Option<String>,
    /// Only before this one: the last one of the page before.
    pub before: Option<Uuid>,
    /// So many are left out first.
    pub skip: u64,
    /// The most that are wanted.
    pub limit: u64,
}

/// What was done, to which row. One that was deleted cannot say who deleted it.
pub(crate) enum Action<'a> {
    Created(&'a Object),
    Updated { before: &'a Object, after: &'a Object },
    Deleted(&'a Object, &'a str),
}

// === impl Action ===

impl Action<'_> {
    /// The values of a line.
    fn values(&self, kind: Kind, at: i64) -> [Value; 8] {
        let (word, before, after) = match *self {
            Self::Created(object) => ("created", None, Some(object)),
            Self::Updated { before, after } => ("updated", Some(before), Some(after)),
            Self::Deleted(object, _) => ("deleted", Some(object), None),
        };
        let (object, actor) = match *self {
            Self::Created(object) | Self::Updated { after: object, .. } => (object, &*object.updated_by),
            Self::Deleted(object, by) => (object, by),
        };
        let document = |object: Option<&Object>| object.map(|object| object.to_json().to_string());
        [
            Uuid::now_v7().into(),
            at.into(),
            actor.into(),
            word.into(),
            kind.name().into(),
            object.id.as_str().into(),
            document(before).into(),
            document(after).into(),
        ]
    }
}

// === impl Store ===

impl Store {
    /// Some changes, the latest first.
    pub async fn audits(&self, query: &AuditQuery) -> Result<Vec<Audit>> {
        let condition = query.condition();
        let sql = format!(
            "SELECT id, at, actor, action, kind, object_id, before, after FROM audit{} \
             ORDER BY id DESC LIMIT {} OFFSET {}",
            condition.sql,
            whole(query.limit),
            whole(query.skip)
        );
        let work = async {
            let rows = self.read().await?.rows(&sql, condition.values).await?;
            rows.iter().map(read).collect()
        };
        self.database().in_time(work).await
    }

    /// How many changes there are, counted up to this number.
    pub async fn count_audits(&self, query: &AuditQuery, most: u64) -> Result<u64> {
        let work = async { self.read().await?.count("audit", query.condition(), most).await };
        self.database().in_time(work).await
    }
}

// === impl AuditQuery ===

impl AuditQuery {
    fn condition(&self) -> Condition {
        let mut condition = Condition::default();
        let kind = self.kind.map(Kind::name);
        for (column, text) in [
            ("kind", kind),
            ("object_id", self.object_id.as_deref()),
            ("actor", self.actor.as_deref()),
            ("action", self.action.as_deref()),
        ] {
            if let Some(text) = text {
                condition.push(&format!("{column} = ?"), [text.into()]);
            }
        }
        if let Some(id) = self.id {
            condition.push("id = ?", [id.into()]);
        }
        if let Some(before) = self.before {
            condition.push("id < ?", [before.into()]);
        }
        condition
    }
}

/// Writes a line for each of these, in their order.
pub(crate) async fn put<'a>(
    transaction: &Transaction,
    store: &Store,
    kind: Kind,
    actions: impl ExactSizeIterator<Item = Action<'a>> + Send,
) -> Result<()> {
    let at = micros(store.clock().wall());
    let rows = Box::new(actions.map(|action| action.values(kind, at)));
    let columns = &["id", "at", "actor", "action", "kind", "object_id", "before", "after"];
    transaction.insert(Rows { table: "audit", columns, rows, tail: "" }).await.map(drop)
}

fn read(row: &Row) -> Result<Audit> {
    Ok(Audit {
        id: row.at(0)?,
        at: moment(row.at(1)?),
        actor: row.at(2)?,
        action: row.at(3)?,
        kind: row.at(4)?,
        object_id: row.at(5)?,
        before: row.at(6)?,
        after: row.at(7)?,
    })
}
