//! What was deleted, kept whole.

use std::collections::HashSet;
use std::time::SystemTime;

use sea_orm::Value;
use uuid::Uuid;

use crate::database::Transaction;
use crate::moment::{micros, moment};
use crate::query::Condition;
use crate::{Kind, Object, Result, Store};

/// A row that was deleted.
#[derive(Clone, Debug, PartialEq)]
pub struct Archived {
    /// When.
    pub at: SystemTime,
    /// By whom.
    pub by: String,
    /// The whole row as a JSON object.
    pub document: String,
}

// === impl Store ===

impl Store {
    /// What had this id and was deleted, the latest first: an id may have been used again.
    pub async fn archived(&self, kind: Kind, id: &str) -> Result<Vec<Archived>> {
        let sql = "SELECT archived_at, archived_by, document FROM archive WHERE kind = $1 AND object_id = $2 \
            ORDER BY id DESC";
        let work = async {
            let rows = self.read().await?.rows(sql, vec![kind.name().into(), id.into()]).await?;
            let read = |row: &crate::database::Row| {
                Ok(Archived { at: moment(row.at(0)?), by: row.at(1)?, document: row.at(2)? })
            };
            rows.iter().map(read).collect()
        };
        self.database().in_time(work).await
    }

    /// Which of these ids had something that was deleted.
    pub async fn archived_of(&self, kind: Kind, ids: &[String]) -> Result<HashSet<String>> {
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let mut condition = Condition::default();
        condition.push("kind = ?", [kind.name().into()]);
        let marks = vec!["?"; ids.len()].join(", ");
        condition.push(&format!("object_id IN ({marks})"), ids.iter().map(|id| id.as_str().into()));
        let sql = format!("SELECT DISTINCT object_id FROM archive{}", condition.sql);
        let work = async {
            let rows = self.read().await?.rows(&sql, condition.values).await?;
            rows.iter().map(|row| row.at(0)).collect()
        };
        self.database().in_time(work).await
    }
}

pub(crate) async fn put(
    transaction: &Transaction,
    store: &Store,
    kind: Kind,
    object: &Object,
    by: &str,
) -> Result<()> {
    let values: Vec<Value> = vec![
        Uuid::now_v7().into(),
        kind.name().into(),
        object.id.as_str().into(),
        micros(store.clock().wall()).into(),
        by.into(),
        object.to_json().to_string().into(),
    ];
    let sql = "INSERT INTO archive (id, kind, object_id, archived_at, archived_by, document) \
        VALUES ($1, $2, $3, $4, $5, $6)";
    transaction.run(sql, values).await.map(drop)
}
