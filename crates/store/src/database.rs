//! Connections and transactions: the one place that knows which database it is.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use gatewright_core::Secret;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database as Orm, DatabaseConnection, DatabaseTransaction, DbBackend,
    QueryResult, Statement, TransactionTrait, Value,
};
use sqlx::Connection;
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};

use crate::bare::{Bare, bound};
use crate::insert::{self, Rows};
use crate::line::{self, Line};
use crate::query::Condition;
use crate::value::whole;
use crate::{Error, Place, Result, Settings};

/// The memory that PostgreSQL may sort or hash one report in.
const SORTING: &str = "64MB";

/// Statements that SQLite keeps prepared. The largest takes 300 KB, so this bounds their memory.
const PREPARED: usize = 32;

/// Bytes in a page of a new file. Pages are what is written: with larger ones, fewer are written twice because the next
/// batch goes on in them.
const PAGE: u32 = 8192;

/// Pages that are written ahead before they are carried into the file, as text: 16 MB. What is written again until then is
/// carried once.
const CHECKPOINT: &str = "2000";

/// How long SQLite waits for a lock that another process holds.
const BUSY: Duration = Duration::from_secs(10);

/// A connection that rested this long is asked whether it lives before it is used.
const RESTED: Duration = Duration::from_secs(5);

/// The connections. Nothing is left in one behind a transaction, so that a pooler may hand the next transaction to
/// another server process.
#[derive(Clone)]
pub(crate) struct Database {
    writer: DatabaseConnection,
    readers: DatabaseConnection,
    backend: DbBackend,
    /// What every transaction begins with.
    preamble: Option<Arc<str>>,
    total: Duration,
}

/// What is waited for. Its code stands here: without the box it would be made anew in every crate that waits, with all
/// that the driver does.
pub(crate) type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// One transaction: rolled back unless it is committed.
pub(crate) struct Transaction {
    inner: Inner,
    pub(crate) backend: DbBackend,
}

enum Inner {
    /// That of SQLite's writer.
    Bare(Bare),
    Orm(DatabaseTransaction),
}

/// One row.
pub(crate) struct Row(QueryResult);

// === impl Database ===

impl Database {
    /// Connects when it is first needed.
    pub(crate) fn open(settings: &Settings) -> Work<'_, Self> {
        Box::pin(async move {
            match &settings.place {
                Place::Sqlite(path) => Self::in_sqlite(settings, path).await,
                Place::Postgres(url) => Self::in_postgres(settings, url).await,
            }
        })
    }

    /// Whether it is PostgreSQL.
    pub(crate) fn is_postgres(&self) -> bool {
        self.backend == DbBackend::Postgres
    }

    /// A transaction that may write.
    pub(crate) async fn write(&self) -> Result<Transaction> {
        let backend = self.backend;
        match backend {
            DbBackend::Sqlite => {
                let inner = Inner::Bare(Bare::begin(self.writer.get_sqlite_connection_pool()).await?);
                Ok(Transaction { inner, backend })
            }
            _ => self.begin(&self.writer).await,
        }
    }

    /// A transaction that reads.
    pub(crate) async fn read(&self) -> Result<Transaction> {
        self.begin(&self.readers).await
    }

    /// Ends work that takes too long, whatever the network does.
    pub(crate) async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match tokio::time::timeout(self.total, work).await {
            Ok(done) => done,
            Err(_) => Err(Error::late(self.total)),
        }
    }

    /// Gives the connections back.
    pub(crate) async fn close(&self) {
        let _ = self.readers.close_by_ref().await;
        let _ = self.writer.close_by_ref().await;
    }

    async fn in_sqlite(settings: &Settings, path: &Path) -> Result<Self> {
        let url = format!("sqlite://{}", path.display());
        // The schema comes first and with it the writer, who makes the file and turns it to WAL.
        let writer = Orm::connect(sqlite(settings, &url, 1, false)).await?;
        let readers = Orm::connect(sqlite(settings, &url, settings.connections, true)).await?;
        Ok(Self { writer, readers, backend: DbBackend::Sqlite, preamble: None, total: settings.total })
    }

    async fn in_postgres(settings: &Settings, url: &Secret) -> Result<Self> {
        let writer = Orm::connect(postgres(settings, url)).await?;
        let statement = settings.statement.as_millis();
        // The driver names every statement that it prepares, and counts from one on every connection: behind a pooler,
        // those that somebody else left in the server's session would collide. Compiling a report takes longer than
        // reading it, and what the server gives it by itself is too little to sort a month in.
        let preamble = format!(
            "DEALLOCATE ALL; SET LOCAL statement_timeout = {statement}; SET LOCAL jit = off; \
             SET LOCAL work_mem = '{SORTING}'"
        );
        Ok(Self {
            readers: writer.clone(),
            writer,
            backend: DbBackend::Postgres,
            preamble: Some(preamble.into()),
            total: settings.total,
        })
    }

    async fn begin(&self, pool: &DatabaseConnection) -> Result<Transaction> {
        let inner = pool.begin().await?;
        if let Some(preamble) = &self.preamble {
            inner.execute_unprepared(preamble).await?;
        }
        Ok(Transaction { inner: Inner::Orm(inner), backend: self.backend })
    }
}

// === impl Transaction ===

impl Transaction {
    /// Whether it is PostgreSQL's.
    pub(crate) fn is_postgres(&self) -> bool {
        self.backend == DbBackend::Postgres
    }

    /// Runs a statement; answers how many rows it changed.
    pub(crate) async fn run(&self, sql: &str, values: Vec<Value>) -> Result<u64> {
        match &self.inner {
            Inner::Bare(inner) => inner.run(sql.to_owned(), bound(values)?).await,
            Inner::Orm(inner) => Ok(inner.execute_raw(self.statement(sql, values)).await?.rows_affected()),
        }
    }

    /// Runs a script of several statements.
    pub(crate) async fn script(&self, sql: &str) -> Result<()> {
        match &self.inner {
            Inner::Bare(inner) => inner.script(sql).await,
            Inner::Orm(inner) => Ok(inner.execute_unprepared(sql).await.map(drop)?),
        }
    }

    /// All rows of a query.
    pub(crate) async fn rows(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Row>> {
        let rows = match &self.inner {
            Inner::Bare(inner) => inner.rows(sql.to_owned(), bound(values)?).await?,
            Inner::Orm(inner) => inner.query_all_raw(self.statement(sql, values)).await?,
        };
        Ok(rows.into_iter().map(Row).collect())
    }

    /// Marks for so many values, after others.
    pub(crate) fn marks(&self, after: usize, count: usize) -> String {
        let mut marks = String::new();
        insert::marks(&mut marks, after, count, self.is_postgres());
        marks
    }

    /// Inserts many rows, in as many statements as that takes; answers how many rows that made or changed.
    pub(crate) async fn insert<const N: usize>(&self, rows: Rows<'_, N>) -> Result<u64> {
        let mut changed = 0;
        for (sql, values) in rows.statements(self.is_postgres()) {
            changed += self.run(&sql, values).await?;
        }
        Ok(changed)
    }

    /// Inserts entries where they are not there; answers how many were not.
    pub(crate) async fn insert_lines(
        &self,
        mut lines: Box<dyn ExactSizeIterator<Item = Line> + Send + '_>,
    ) -> Result<u64> {
        let tail = "ON CONFLICT (attempt) DO NOTHING";
        let Inner::Bare(inner) = &self.inner else {
            return self.insert(line::rows(lines, tail)).await;
        };
        let mut changed = 0;
        while let Some((sql, values)) = line::statement(&mut *lines, tail)? {
            changed += inner.run(sql, values).await?;
        }
        Ok(changed)
    }

    /// The same with `RETURNING` behind it.
    pub(crate) async fn insert_returning<const N: usize>(&self, rows: Rows<'_, N>) -> Result<Vec<Row>> {
        let mut answered = Vec::new();
        for (sql, values) in rows.statements(self.is_postgres()) {
            answered.extend(self.rows(&sql, values).await?);
        }
        Ok(answered)
    }

    /// The first row of a query.
    pub(crate) async fn row(&self, sql: &str, values: Vec<Value>) -> Result<Option<Row>> {
        match &self.inner {
            Inner::Bare(_) => Ok(self.rows(sql, values).await?.into_iter().next()),
            Inner::Orm(inner) => Ok(inner.query_one_raw(self.statement(sql, values)).await?.map(Row)),
        }
    }

    /// How many rows of a table fit, counted up to this number.
    pub(crate) async fn count(&self, table: &str, condition: Condition, most: u64) -> Result<u64> {
        let most = whole(most);
        let sql =
            format!("SELECT COUNT(*) FROM (SELECT 1 FROM {table}{} LIMIT {most}) counted", condition.sql);
        let row = self.row(&sql, condition.values).await?;
        Ok(row.map_or(Ok(0), |row| row.at::<i64>(0))?.unsigned_abs())
    }

    /// Makes it last.
    pub(crate) fn commit(self) -> Work<'static, ()> {
        Box::pin(async move {
            match self.inner {
                Inner::Bare(inner) => inner.commit().await,
                Inner::Orm(inner) => Ok(inner.commit().await?),
            }
        })
    }

    /// Takes everything back, and waits until that is so.
    pub(crate) fn undo(self) -> Work<'static, ()> {
        Box::pin(async move {
            match self.inner {
                Inner::Bare(inner) => inner.undo().await,
                Inner::Orm(inner) => Ok(inner.rollback().await?),
            }
        })
    }

    /// `$1` is understood by both databases.
    fn statement(&self, sql: &str, values: Vec<Value>) -> Statement {
        Statement::from_sql_and_values(self.backend, sql, values)
    }
}

// === impl Row ===

impl Row {
    /// The column at this place.
    pub(crate) fn at<T: sea_orm::TryGetable>(&self, index: usize) -> Result<T> {
        Ok(self.0.try_get_by_index(index)?)
    }
}

/// Values of a list in which one may stand twice, filled up with the last so that lists have few lengths: a statement
/// that comes again is prepared already.
pub(crate) fn padded(mut values: Vec<Value>, width: usize) -> Vec<Value> {
    let length = (values.len() / width).next_power_of_two() * width;
    let last = values.get(values.len().saturating_sub(width)..).unwrap_or_default().to_vec();
    values.extend(last.into_iter().cycle().take(length - values.len()));
    values
}

fn sqlite(settings: &Settings, url: &str, connections: u32, reads: bool) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .connect_lazy(true)
        .acquire_timeout(settings.total)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .sqlx_logging(false)
        // On a full disk SQLite takes a transaction back by itself. The driver counts it on, and would commit nothing of
        // what comes next on that connection.
        .map_sqlx_sqlite_before_acquire(|connection, _| {
            Box::pin(async move { Ok(!connection.is_in_transaction()) })
        })
        .map_sqlx_sqlite_opts(move |options| {
            // The wait for locks is set before anything else: turning to WAL needs one.
            let options =
                options.busy_timeout(BUSY).create_if_missing(!reads).statement_cache_capacity(PREPARED);
            match reads {
                true => options.pragma("query_only", "on"),
                // What is committed is on the disk.
                false => options
                    .page_size(PAGE)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .pragma("wal_autocheckpoint", CHECKPOINT),
            }
        });
    options
}

fn postgres(settings: &Settings, url: &Secret) -> ConnectOptions {
    let mut options = ConnectOptions::new(url.reveal());
    options
        .max_connections(settings.connections)
        .min_connections(0)
        .acquire_timeout(settings.acquire)
        .idle_timeout(Duration::from_secs(300))
        .max_lifetime(Duration::from_secs(1800))
        .test_before_acquire(false)
        .test_before_acquire_if_idle_for(RESTED)
        .connect_lazy(true)
        .sqlx_logging(false)
        .set_application_name("gatewright")
        // A pooler refuses a connection that asks for parameters which it does not know.
        .map_sqlx_postgres_opts(|options| options.statement_cache_capacity(0).extra_float_digits(None));
    options
}
