//! Where the database is, and how it is asked.

use std::path::PathBuf;
use std::time::Duration;

use gatewright_core::Secret;

/// How the database is reached.
#[derive(Clone)]
pub struct Settings {
    /// Where it is.
    pub place: Place,
    /// Connections at the same time; SQLite has one more, which writes.
    pub connections: u32,
    /// The longest wait for a free connection.
    pub acquire: Duration,
    /// The longest that one statement may run.
    pub statement: Duration,
    /// How many days entries are kept; sums of them are kept for ever.
    pub retention_days: u64,
    /// The longest that one piece of work may take, whatever the network does.
    pub total: Duration,
}

/// Where the database is.
#[derive(Clone)]
pub enum Place {
    /// One file, made where there is none.
    Sqlite(PathBuf),
    /// `postgres://user:password@host:port/database`.
    Postgres(Secret),
}

// === impl Settings ===

impl Settings {
    /// The defaults at a place.
    pub fn at(place: Place) -> Self {
        Self {
            place,
            connections: 8,
            acquire: Duration::from_secs(5),
            retention_days: 90,
            statement: Duration::from_secs(20),
            total: Duration::from_secs(30),
        }
    }
}
