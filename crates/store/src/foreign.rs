//! The PostgreSQL database of another program, which is only read: its tables row by row, as JSON.

use gatewright_core::Secret;
use serde_json::{Map, Value};

use crate::database::{Database, Transaction};
use crate::{Error, Place, Result, Settings};

/// Parameters of an address that the driver knows; other programs put their own there.
const KNOWN: [&str; 3] = ["sslmode", "sslrootcert", "application_name"];

/// Another program's database.
pub struct Foreign {
    database: Database,
    /// Where its tables are.
    schema: String,
}

/// One of its tables, and the columns of its key, which are texts or whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignTable {
    /// Its name.
    pub name: &'static str,
    /// The columns that name a row.
    pub key: &'static [&'static str],
}

// === impl Foreign ===

impl Foreign {
    /// The database at `postgres://…`.
    pub async fn open(url: &str) -> Result<Self> {
        let place = Place::Postgres(Secret::from(known(url)));
        let database = Database::open(&Settings { connections: 2, ..Settings::at(place) }).await?;
        Ok(Self { database, schema: schema(url) })
    }

    /// How many rows a table has; `None` where there is no such table.
    pub async fn count(&self, table: ForeignTable) -> Result<Option<u64>> {
        let work = async {
            let transaction = self.read().await?;
            let name = self.qualified(table);
            let there =
                transaction.row("SELECT CAST(to_regclass($1) AS TEXT)", vec![name.as_str().into()]).await?;
            match there.map(|row| row.at::<Option<String>>(0)).transpose()?.flatten() {
                None => Ok(None),
                Some(_) => {
                    let row = transaction.row(&format!("SELECT COUNT(*) FROM {name}"), Vec::new()).await?;
                    row.map(|row| row.at::<i64>(0).map(i64::unsigned_abs)).transpose()
                }
            }
        };
        self.database.in_time(work).await
    }

    /// The next rows of a table behind one that was read.
    pub async fn rows(
        &self,
        table: ForeignTable,
        after: Option<&Map<String, Value>>,
        limit: u64,
    ) -> Result<Vec<Map<String, Value>>> {
        let columns: Vec<String> = table.key.iter().map(|column| format!("t.\"{column}\"")).collect();
        let list = columns.join(", ");
        let value = |row: &Map<String, Value>, column: &str| match row.get(column) {
            Some(Value::Number(number)) => number.as_i64().into(),
            other => other.and_then(Value::as_str).into(),
        };
        let values: Vec<sea_orm::Value> =
            after.iter().flat_map(|row| table.key.iter().map(|column| value(row, column))).collect();
        let marks: Vec<String> = (1..=values.len()).map(|place| format!("${place}")).collect();
        let behind = if values.is_empty() {
            String::new()
        } else {
            format!("WHERE ({list}) > ({})", marks.join(", "))
        };
        let sql = format!(
            "SELECT CAST(row_to_json(t) AS TEXT) FROM {} t {behind} ORDER BY {list} LIMIT {limit}",
            self.qualified(table)
        );
        let work = async {
            let rows = self.read().await?.rows(&sql, values).await?;
            let read = |text: String| {
                serde_json::from_str(&text).map_err(|err| Error::Broken(format!("no JSON object: {err}")))
            };
            rows.iter().map(|row| row.at::<String>(0).and_then(read)).collect()
        };
        self.database.in_time(work).await
    }

    fn qualified(&self, table: ForeignTable) -> String {
        format!("\"{}\".\"{}\"", self.schema.replace('"', "\"\""), table.name)
    }

    async fn read(&self) -> Result<Transaction> {
        let transaction = self.database.read().await?;
        transaction.script("SET TRANSACTION READ ONLY").await?;
        Ok(transaction)
    }
}

/// The schema that an address names, as Prisma does.
fn schema(url: &str) -> String {
    let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
    parameters.split('&').find_map(|pair| pair.strip_prefix("schema=")).unwrap_or("public").to_owned()
}

/// An address without the parameters of the other program's driver.
fn known(url: &str) -> String {
    let Some((address, parameters)) = url.split_once('?') else { return url.to_owned() };
    let kept = |pair: &&str| KNOWN.contains(&pair.split('=').next().unwrap_or_default());
    let kept: Vec<&str> = parameters.split('&').filter(kept).collect();
    if kept.is_empty() { address.to_owned() } else { format!("{address}?{}", kept.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_other_drivers_are_left_out() {
        for (url, expected) in [
            ("postgres://a/b", "postgres://a/b"),
            ("postgres://a/b?schema=public&connection_limit=5", "postgres://a/b"),
            ("postgres://a/b?schema=x&sslmode=require", "postgres://a/b?sslmode=require"),
        ] {
            assert_eq!(known(url), expected);
        }
    }
}
