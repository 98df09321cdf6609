//! Millions of ledger entries, for what a dashboard asks of them.

use crate::postgres::Postgres;

/// Entries that are loaded.
pub const ENTRIES: u64 = 10_000_000;

/// Days over which they are spread, until now.
pub const DAYS: u64 = 365;

/// Fills entries and sums in a database that has the schema, a thousand times as fast as the shipper does. The sheets are
/// left to the schema's next change, as for a database that was filled before there were any: whoever opens it makes them.
pub fn load(server: &Postgres) {
    let text = include_str!("../data/dashboard.sql");
    let text = text.replace("{count}", &ENTRIES.to_string()).replace("{days}", &DAYS.to_string());
    server.sql(&text).unwrap();
    server.sql("DROP TABLE sheets; DELETE FROM migrations WHERE name = '0006-sheets'").unwrap();
    server.sql("VACUUM ANALYZE").unwrap();
}
