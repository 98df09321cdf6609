//! What can go wrong with the database, by what a caller can do about it.

use std::fmt;
use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// What the store answers.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong. The texts are for a log: a client is told less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is one with this id or alias already.
    Taken(String),
    /// There is none with this id.
    Missing(String),
    /// Somebody else changed it first: it has another version by now.
    Stale(String),
    /// The database cannot be reached, or was too slow. The same may work later.
    Away(String),
    /// The database can never keep this: it is too long, too large, or no text.
    Unfit(String),
    /// The database refused, or holds what this program cannot read.
    Broken(String),
}

// === impl Error ===

impl Error {
    /// Whether the same may work later.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away(_))
    }

    pub(crate) fn late(after: Duration) -> Self {
        Self::Away(format!("no answer within {after:?}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(what) => write!(f, "there is one already: {what}"),
            Self::Missing(what) => write!(f, "there is none: {what}"),
            Self::Stale(what) => write!(f, "somebody else changed it first: {what}"),
            Self::Away(why) => write!(f, "the database is away: {why}"),
            Self::Unfit(why) => write!(f, "the database cannot keep it: {why}"),
            Self::Broken(why) => write!(f, "the database refused: {why}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<DbErr> for Error {
    fn from(err: DbErr) -> Self {
        if let Some(SqlErr::UniqueConstraintViolation(what)) = err.sql_err() {
            return Self::Taken(what);
        }
        let text = err.to_string();
        match &err {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Self::Away(text),
            DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))
                if is_passing(cause) =>
            {
                Self::Away(text)
            }
            DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))
                if is_unfit(cause) =>
            {
                Self::Unfit(text)
            }
            _ => Self::Broken(text),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(err: sqlx::Error) -> Self {
        DbErr::Exec(RuntimeErr::SqlxError(err.into())).into()
    }
}

/// Whether an error says something of the values, not of the database.
fn is_unfit(err: &sqlx::Error) -> bool {
    let sqlx::Error::Database(err) = err else { return false };
    // PostgreSQL: data (22), constraints (23), limits of the program (54). SQLite: too big, constraints, another type, out of
    // range.
    err.code().is_some_and(|code| {
        let refused = |class: &&str| code.len() == 5 && code.starts_with(*class);
        ["22", "23", "54"].iter().any(refused)
            || code
                .parse::<u32>()
                .is_ok_and(|code| code < 10_000 && [18, 19, 20, 25].contains(&(code & 0xff)))
    })
}

/// Whether an error says something of the moment, not of the statement.
fn is_passing(err: &sqlx::Error) -> bool {
    match err {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // PostgreSQL: connection (08), rolled back for others' sake (40), resources (53), stopped (57). SQLite: busy,
        // locked, a disk that fails, is full or has no such folder, with their extended codes.
        sqlx::Error::Database(err) => err.code().is_some_and(|code| {
            ["08", "40", "53", "57"].iter().any(|class| code.len() == 5 && code.starts_with(class))
                || code
                    .parse::<u32>()
                    .is_ok_and(|code| code < 10_000 && [5, 6, 10, 13, 14].contains(&(code & 0xff)))
        }),
        _ => false,
    }
}
