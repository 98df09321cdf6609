//! The database as one thing: opened once, shared by clones.

use std::sync::Arc;

use gatewright_core::Clock;
use tokio::sync::OnceCell;

use crate::database::{Database, Transaction};
use crate::{Kind, Objects, Result, Settings, migration};

/// The database. Clones share its connections.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    database: Database,
    clock: Arc<dyn Clock>,
    migrated: OnceCell<()>,
}

// === impl Store ===

impl Store {
    /// Opens SQLite's file; PostgreSQL may still be away. The schema is made or changed before anything else is done.
    pub async fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self> {
        let database = Database::open(&settings).await?;
        Ok(Self(Arc::new(Shared { database, clock, migrated: OnceCell::new() })))
    }

    /// Whether the database answers and has the schema.
    pub async fn ready(&self) -> Result<()> {
        self.0.database.in_time(async { self.read().await.map(drop) }).await
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
        self.0.migrated.get_or_try_init(|| migration::run(self)).await.copied()
    }
}
