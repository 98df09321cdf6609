//! The database as one thing: opened once, shared by clones.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gatewright_core::Clock;
use tokio::sync::Mutex;

use crate::database::{Database, Transaction};
use crate::names::Names;
use crate::{Error, Kind, Objects, Place, Result, Settings, migration};

/// The database. Clones share its connections.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    database: Database,
    clock: Arc<dyn Clock>,
    schema: Schema,
    names: Names,
    /// SQLite's.
    file: Option<PathBuf>,
    /// Days of entries that are kept.
    retention: u64,
}

/// Whether the schema is there. Those that wait for the same attempt to make it share its failure: one after the other
/// they would wait for a database that is away many times as long.
#[derive(Default)]
struct Schema {
    there: AtomicBool,
    attempts: AtomicU64,
    failure: Mutex<Option<Error>>,
}

// === impl Store ===

impl Store {
    /// Connects when it is first needed: the database may be away until then. The schema is made, or changed, before
    /// anything else is done.
    pub async fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self> {
        let (database, retention) = (Database::open(&settings).await?, settings.retention_days);
        let file = match settings.place {
            Place::Sqlite(file) => Some(file),
            Place::Postgres(_) => None,
        };
        Ok(Self(Arc::new(Shared {
            database,
            clock,
            schema: Schema::default(),
            names: Names::default(),
            file,
            retention,
        })))
    }

    /// Whether the database answers and has the schema.
    pub async fn ready(&self) -> Result<()> {
        self.0.database.in_time(async { self.read().await?.commit().await }).await
    }

    /// Whether the schema of this release is there. Nothing is made: no schema, and no file either.
    pub async fn is_made(&self) -> Result<bool> {
        if self.0.file.as_ref().is_some_and(|file| !file.exists()) {
            return Ok(false);
        }
        let work = async {
            let transaction = self.0.database.read().await?;
            migration::is_complete(&transaction).await
        };
        self.database().in_time(work).await
    }

    /// The rows of one kind.
    pub fn objects(&self, kind: Kind) -> Objects<'_> {
        Objects::new(self, kind)
    }

    /// Gives the connections back. What is asked afterwards fails.
    pub async fn close(&self) {
        self.0.database.close().await;
    }

    pub(crate) fn database(&self) -> &Database {
        &self.0.database
    }

    pub(crate) fn names(&self) -> &Names {
        &self.0.names
    }

    /// The first day that is kept, in days since 1970.
    pub(crate) fn first_day(&self) -> u64 {
        (self.0.clock.unix_seconds() / 86_400).saturating_sub(self.0.retention)
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    pub(crate) async fn read(&self) -> Result<Transaction> {
        self.migrated().await?;
        self.0.database.read().await
    }

    pub(crate) async fn write(&self) -> Result<Transaction> {
        self.migrated().await?;
        self.0.database.write().await
    }

    async fn migrated(&self) -> Result<()> {
        let schema = &self.0.schema;
        if schema.there.load(Ordering::Acquire) {
            return Ok(());
        }
        let before = schema.attempts.load(Ordering::Acquire);
        let mut failure = schema.failure.lock().await;
        if schema.attempts.load(Ordering::Acquire) != before {
            return failure.clone().map_or(Ok(()), Err);
        }
        let made = migration::run(self).await;
        *failure = made.clone().err();
        schema.there.store(made.is_ok(), Ordering::Release);
        schema.attempts.fetch_add(1, Ordering::Release);
        made
    }
}
