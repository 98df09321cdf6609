//! Names that come again and again (keys, teams, models), each kept once and stood for by a number.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sea_orm::Value;

use crate::database::{Row, Transaction, padded};
use crate::insert::Rows;
use crate::{Error, Result, Store};

/// Names that are remembered; end users can be many.
const MOST: usize = 100_000;

/// Stands for no name.
pub(crate) const NOBODY: i64 = 0;

/// What is known of names without asking.
#[derive(Default)]
pub(crate) struct Names(Mutex<Known>);

#[derive(Default)]
struct Known {
    numbers: HashMap<Arc<str>, i64>,
    names: HashMap<i64, Arc<str>>,
}

// === impl Names ===

impl Names {
    /// Looks at what is known.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&HashMap<Arc<str>, i64>) -> T) -> T {
        look(&self.0.lock().numbers)
    }

    fn remember<'a>(&self, fresh: impl Iterator<Item = (&'a Arc<str>, i64)>) {
        let mut known = self.0.lock();
        if known.numbers.len() > MOST {
            *known = Known::default();
        }
        for (name, number) in fresh {
            known.numbers.insert(Arc::clone(name), number);
            known.names.insert(number, Arc::clone(name));
        }
    }
}

impl Store {
    /// The numbers of these names, made where there are none. Names stay when the transaction that wants them does not:
    /// so replicas never wait for each other's.
    pub(crate) async fn numbers(&self, mut names: Vec<Arc<str>>) -> Result<HashMap<Arc<str>, i64>> {
        names.sort_unstable();
        names.dedup();
        let mut found = HashMap::with_capacity(names.len());
        self.names().with(|known| {
            names.retain(|name| match known.get(name) {
                Some(number) => found.insert(Arc::clone(name), *number).is_some(),
                None => true,
            });
        });
        if names.is_empty() {
            return Ok(found);
        }
        let transaction = self.write().await?;
        let mut fresh = Vec::new();
        for names in names.chunks(1000) {
            for row in listed(&transaction, "name", values(names)).await? {
                fresh.push((Arc::from(row.at::<String>(1)?), row.at(0)?));
            }
        }
        let known: HashMap<Arc<str>, i64> = fresh.into_iter().collect();
        let missing: Vec<Arc<str>> =
            names.iter().filter(|name| !known.contains_key(*name)).cloned().collect();
        if !missing.is_empty() {
            let rows = Box::new(missing.iter().map(|name| [(&**name).into()]));
            let tail = "ON CONFLICT (name) DO NOTHING";
            transaction.insert(Rows { table: "names", columns: &["name"], rows, tail }).await?;
        }
        found.extend(known);
        for names in missing.chunks(1000) {
            for row in listed(&transaction, "name", values(names)).await? {
                found.insert(row.at::<String>(1)?.into(), row.at(0)?);
            }
        }
        transaction.commit().await?;
        if let Some(lost) = names.iter().find(|name| !found.contains_key(*name)) {
            return Err(Error::Unfit(format!("no number for {lost}")));
        }
        self.names().remember(names.iter().filter_map(|name| Some((name, *found.get(name)?))));
        Ok(found)
    }

    /// The names that these numbers stand for.
    pub(crate) async fn named(&self, mut numbers: Vec<i64>) -> Result<HashMap<i64, Arc<str>>> {
        numbers.sort_unstable();
        numbers.dedup();
        let mut named = HashMap::with_capacity(numbers.len());
        {
            let known = self.names().0.lock();
            numbers.retain(|number| match known.names.get(number) {
                Some(name) => named.insert(*number, Arc::clone(name)).is_some(),
                None => true,
            });
        }
        if numbers.is_empty() {
            return Ok(named);
        }
        let transaction = self.read().await?;
        let mut fresh: Vec<(Arc<str>, i64)> = Vec::with_capacity(numbers.len());
        for numbers in numbers.chunks(1000) {
            let values = numbers.iter().map(|number| (*number).into()).collect();
            for row in listed(&transaction, "id", values).await? {
                fresh.push((row.at::<String>(1)?.into(), row.at(0)?));
            }
        }
        self.names().remember(fresh.iter().map(|(name, number)| (name, *number)));
        named.extend(fresh.into_iter().map(|(name, number)| (number, name)));
        Ok(named)
    }

    /// The number of one name, where it has one.
    pub(crate) async fn number(&self, name: &str) -> Result<Option<i64>> {
        if let Some(number) = self.names().with(|known| known.get(name).copied()) {
            return Ok(Some(number));
        }
        let transaction = self.read().await?;
        let rows = listed(&transaction, "name", vec![name.into()]).await?;
        rows.first().map(|row| row.at(0)).transpose()
    }
}

async fn listed(transaction: &Transaction, column: &str, values: Vec<Value>) -> Result<Vec<Row>> {
    let values = padded(values, 1);
    let marks = transaction.marks(0, values.len());
    let sql = format!("SELECT CAST(id AS BIGINT), name FROM names WHERE {column} IN ({marks})");
    transaction.rows(&sql, values).await
}

fn values(names: &[Arc<str>]) -> Vec<Value> {
    names.iter().map(|name| (&**name).into()).collect()
}
