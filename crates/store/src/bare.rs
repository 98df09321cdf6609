//! Transactions of SQLite's writer, given to the driver as they are: the layer between copies each value of a batch twice and
//! looks at each of its columns.

use sea_orm::{DbErr, QueryResult, RuntimeErr, Value};
use sqlx::sqlite::{SqliteArguments, SqlitePool};
use sqlx::{Arguments, AssertSqlSafe, Sqlite};
use tokio::sync::Mutex;

use crate::{Error, Result};

/// One transaction: rolled back unless it is committed.
pub(crate) struct Bare(Mutex<sqlx::Transaction<'static, Sqlite>>);

// === impl Bare ===

impl Bare {
    pub(crate) async fn begin(pool: &SqlitePool) -> Result<Self> {
        // A transaction that reads first and writes later would fail at once where another process wrote.
        let begun = pool.begin_with("BEGIN IMMEDIATE").await;
        let begun = begun.map_err(|err| Error::from(DbErr::Conn(RuntimeErr::SqlxError(err.into()))))?;
        Ok(Self(Mutex::new(begun)))
    }

    /// Runs a statement; answers how many rows it changed.
    pub(crate) async fn run(&self, sql: String, values: SqliteArguments) -> Result<u64> {
        let mut transaction = self.0.lock().await;
        let done = sqlx::query_with(AssertSqlSafe(sql), values).execute(&mut **transaction).await?;
        Ok(done.rows_affected())
    }

    pub(crate) async fn rows(&self, sql: String, values: SqliteArguments) -> Result<Vec<QueryResult>> {
        let mut transaction = self.0.lock().await;
        let rows = sqlx::query_with(AssertSqlSafe(sql), values).fetch_all(&mut **transaction).await?;
        Ok(rows.into_iter().map(QueryResult::from).collect())
    }

    /// Runs a script of several statements.
    pub(crate) async fn script(&self, sql: &str) -> Result<()> {
        let mut transaction = self.0.lock().await;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut **transaction).await?;
        Ok(())
    }

    pub(crate) async fn commit(self) -> Result<()> {
        Ok(self.0.into_inner().commit().await?)
    }

    pub(crate) async fn undo(self) -> Result<()> {
        Ok(self.0.into_inner().rollback().await?)
    }
}

/// Values as the driver takes them.
pub(crate) fn bound(values: Vec<Value>) -> Result<SqliteArguments> {
    let mut bound = SqliteArguments::default();
    bound.reserve(values.len(), 0);
    for value in values {
        let added = match value {
            Value::Bool(value) => bound.add(value),
            Value::SmallInt(value) => bound.add(value),
            Value::Int(value) => bound.add(value),
            Value::BigInt(value) => bound.add(value),
            Value::String(value) => bound.add(value),
            Value::Bytes(value) => bound.add(value),
            Value::Uuid(value) => bound.add(value),
            _ => Err("no column has values of this type".into()),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(bound)
}
