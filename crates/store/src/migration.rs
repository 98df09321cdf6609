//! The schema's changes, in order. Each only expands what is there; what is no longer used goes in a later release, so
//! that replicas of two releases can share a database.

use sea_orm::Value;

use crate::database::Transaction;
use crate::moment::micros;
use crate::{Kind, Result, Store};

/// One change of the schema.
struct Migration {
    name: &'static str,
    sql: &'static str,
    runs: Runs,
}

/// Where a change is made.
enum Runs {
    Everywhere,
    /// Once for each of these kinds of objects.
    For(&'static [Kind]),
    /// SQLite has by itself what PostgreSQL is given here.
    InPostgres,
    /// Made for the way in which SQLite keeps rows.
    InSqlite,
}

/// The file that bears the name.
macro_rules! migration {
    ($name:literal, $runs:expr) => {
        Migration { name: $name, sql: include_str!(concat!("../migrations/", $name, ".sql")), runs: $runs }
    };
}

/// The kinds that there were first.
const FIRST: &[Kind] = &[
    Kind::Organization,
    Kind::Team,
    Kind::Project,
    Kind::User,
    Kind::Membership,
    Kind::Key,
    Kind::Customer,
    Kind::Budget,
    Kind::Tag,
    Kind::Model,
    Kind::Credential,
];

/// All objects are stored alike, whenever they came.
const OBJECTS: &str = include_str!("../migrations/0001-objects.sql");

const MIGRATIONS: &[Migration] = &[
    migration!("0001-objects", Runs::For(FIRST)),
    migration!("0002-history", Runs::Everywhere),
    migration!("0003-ledger", Runs::Everywhere),
    migration!("0004-changes", Runs::InPostgres),
    migration!("0005-carried", Runs::Everywhere),
    migration!("0006-sheets", Runs::Everywhere),
    migration!("0007-pieces", Runs::Everywhere),
    migration!("0008-activity", Runs::Everywhere),
    migration!("0009-responses", Runs::Everywhere),
    migration!("0010-claims", Runs::Everywhere),
    migration!("0011-cache", Runs::Everywhere),
    migration!("0012-cache-sheets", Runs::Everywhere),
    Migration { name: "0013-settings", sql: OBJECTS, runs: Runs::For(&[Kind::Setting]) },
    migration!("0014-late", Runs::InSqlite),
];

/// Any number will do, as long as all replicas take the same.
const LOCK: i64 = 0x6761_7465_7772_6967;

/// Applies what is missing. Of several that start at the same time, one does it and the others wait.
pub(crate) async fn run(store: &Store) -> Result<()> {
    let transaction = store.database().write().await?;
    if transaction.is_postgres() {
        // The wait is for another replica's migrations, which may take longer than a statement usually may.
        transaction.script("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0").await?;
        transaction.rows("SELECT pg_advisory_xact_lock($1)", vec![LOCK.into()]).await?;
    }
    transaction
        .script("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, applied_at BIGINT NOT NULL)")
        .await?;
    let applied = applied(&transaction).await?;
    for unknown in applied.iter().filter(|name| MIGRATIONS.iter().all(|known| known.name != **name)) {
        tracing::info!(migration = %unknown, "the database was used by a newer release");
    }
    for migration in MIGRATIONS.iter().filter(|known| !applied.iter().any(|name| name == known.name)) {
        transaction.script(&migration.script(transaction.is_postgres())).await?;
        let values: Vec<Value> = vec![migration.name.into(), micros(store.clock().wall()).into()];
        transaction.run("INSERT INTO migrations (name, applied_at) VALUES ($1, $2)", values).await?;
        tracing::info!(migration = migration.name, "the schema was changed");
    }
    transaction.commit().await
}

/// Whether nothing is missing; asks without making anything.
pub(crate) async fn is_complete(transaction: &Transaction) -> Result<bool> {
    let sql = match transaction.is_postgres() {
        true => "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'migrations'",
        false => "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'migrations'",
    };
    if transaction.row(sql, Vec::new()).await?.is_none() {
        return Ok(false);
    }
    let applied = applied(transaction).await?;
    Ok(MIGRATIONS.iter().all(|known| applied.iter().any(|name| name == known.name)))
}

async fn applied(transaction: &Transaction) -> Result<Vec<String>> {
    let rows = transaction.rows("SELECT name FROM migrations", Vec::new()).await?;
    rows.iter().map(|row| row.at(0)).collect()
}

// === impl Migration ===

impl Migration {
    /// The statements in the words of one database.
    fn script(&self, postgres: bool) -> String {
        let words: [(&str, &str, &str); 3] = [
            ("{uuid}", "UUID", "BLOB"),
            ("{serial}", "INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "INTEGER PRIMARY KEY"),
            // Rows that are short and found by their key stand in its tree.
            ("{rowless}", "", " WITHOUT ROWID"),
        ];
        let sql = words.iter().fold(self.sql.to_owned(), |sql, (word, postgresql, sqlite)| {
            sql.replace(word, if postgres { postgresql } else { sqlite })
        });
        match self.runs {
            Runs::InPostgres if !postgres => String::new(),
            Runs::InSqlite if postgres => String::new(),
            Runs::Everywhere | Runs::InPostgres | Runs::InSqlite => sql,
            Runs::For(kinds) => kinds.iter().map(|kind| sql.replace("{table}", kind.table())).collect(),
        }
    }
}
