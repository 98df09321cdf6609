//! Sums that another program had, taken over: what was carried once is remembered, so that only what came since is added.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use gatewright_core::Money;
use sea_orm::Value;

use crate::database::Transaction;
use crate::insert::Rows;
use crate::moment::micros;
use crate::names::NOBODY;
use crate::sums::SUMMED;
use crate::{Result, Scope, Store, Sums, rollups};

/// What somebody has spent elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedBalance {
    /// What kind of thing it is.
    pub scope: Scope,
    /// Which one.
    pub id: String,
    /// Spent in the time that runs.
    pub spent: Money,
    /// Spent ever.
    pub total: Money,
    /// When that time ends.
    pub ends_at: Option<SystemTime>,
}

/// The sums of a day elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedDay {
    /// Names the row there.
    pub source: String,
    /// The day, in days since 1970.
    pub day: u32,
    /// Key, team, user, organization, project, group, provider and model, in this order.
    pub names: [Option<Arc<str>>; 8],
    /// The sums.
    pub sums: Sums,
}

impl Store {
    /// Adds what was spent elsewhere since it was carried last. Answers how many rows have changed.
    pub async fn carry_balances(&self, balances: &[CarriedBalance]) -> Result<u64> {
        let what = |one: &CarriedBalance| format!("balance:{}:{}", one.scope.name(), one.id);
        let work = async {
            let transaction = self.write().await?;
            let known = known(&transaction, balances.iter().map(what)).await?;
            let mut fresh = BTreeMap::new();
            for one in balances {
                let before = Before::of(known.get(&what(one)));
                if !before.is(one) {
                    fresh.insert(what(one), (one, before));
                }
            }
            for (one, before) in fresh.values() {
                begin_anew(&transaction, one, before).await?;
            }
            raise(&transaction, fresh.values()).await?;
            let changed = fresh.len() as u64;
            let sums =
                fresh.into_iter().map(|(what, (one, _))| (what, vec![one.spent.0, one.total.0, ends(one)]));
            remember(&transaction, sums).await?;
            transaction.commit().await?;
            Ok(changed)
        };
        self.database().in_time(work).await
    }

    /// Adds the sums of days elsewhere, as far as they were not carried yet. Answers how many rows have changed.
    pub async fn carry_days(&self, days: &[CarriedDay]) -> Result<u64> {
        let what = |one: &CarriedDay| format!("day:{}", one.source);
        let names = days.iter().flat_map(|day| day.names.iter().flatten().cloned()).collect();
        let numbers = self.numbers(names).await?;
        let number = |name: &Option<Arc<str>>| {
            name.as_ref().and_then(|name| numbers.get(name)).copied().unwrap_or(NOBODY)
        };
        let work = async {
            let transaction = self.write().await?;
            let known = known(&transaction, days.iter().map(what)).await?;
            let mut fresh: BTreeMap<[i64; rollups::KEY], Sums> = BTreeMap::new();
            let mut carried: BTreeMap<String, Vec<i64>> = BTreeMap::new();
            for one in days {
                let sums = one.sums.numbers();
                let before = known.get(&what(one)).cloned().unwrap_or_default();
                let more: [i64; SUMMED.len()] = std::array::from_fn(|n| since(&sums, &before, n));
                // What an older release has carried has fewer sums.
                if !before.is_empty() && more == [0; SUMMED.len()] {
                    continue;
                }
                let [key, team, user, organization, project, group, provider, model] =
                    one.names.each_ref().map(number);
                let place = [
                    one.day.into(),
                    key,
                    team,
                    user,
                    organization,
                    project,
                    NOBODY,
                    NOBODY,
                    group,
                    provider,
                    model,
                ];
                *fresh.entry(place).or_default() += Sums::of_numbers(more);
                carried.insert(what(one), sums.to_vec());
            }
            rollups::raise(&transaction, fresh).await?;
            let changed = carried.len() as u64;
            remember(&transaction, carried.into_iter()).await?;
            transaction.commit().await?;
            Ok(changed)
        };
        self.database().in_time(work).await
    }
}

/// What was carried of a balance already.
struct Before {
    spent: i64,
    total: i64,
    ends: i64,
}

// === impl Before ===

impl Before {
    fn of(sums: Option<&Vec<i64>>) -> Self {
        let at = |n: usize| sums.and_then(|sums| sums.get(n)).copied().unwrap_or_default();
        Self { spent: at(0), total: at(1), ends: at(2) }
    }

    fn is(&self, one: &CarriedBalance) -> bool {
        (self.spent, self.total, self.ends) == (one.spent.0, one.total.0, ends(one))
    }

    /// What came since, in the time that runs and in all. In another time than before all is new, and so it is where
    /// less was spent than before: somebody set it back.
    fn since(&self, one: &CarriedBalance) -> (i64, i64) {
        let goes_on = self.ends == ends(one) && self.spent <= one.spent.0;
        let spent = if goes_on { one.spent.0 - self.spent } else { one.spent.0 };
        let total = one.total.0.checked_sub(self.total).filter(|more| *more >= 0);
        (spent, total.unwrap_or(spent))
    }
}

/// In microseconds since 1970; 0 where it never ends.
fn ends(one: &CarriedBalance) -> i64 {
    one.ends_at.map_or(0, micros)
}

/// Where the time that was carried is over there, and nobody has begun the next one here, it begins.
async fn begin_anew(transaction: &Transaction, one: &CarriedBalance, before: &Before) -> Result<()> {
    if before.ends == 0 || before.ends == ends(one) {
        return Ok(());
    }
    let sql = "UPDATE balances SET spent = ahead, ahead = 0, starts_at = ends_at, ends_at = $3 \
        WHERE scope = $1 AND id = $2 AND period = '' AND ends_at = $4";
    let ends_at: Value = one.ends_at.map(micros).into();
    let values = vec![one.scope.name().into(), one.id.as_str().into(), ends_at, before.ends.into()];
    transaction.run(sql, values).await.map(drop)
}

/// Adds what came since to balances.
async fn raise<'a>(
    transaction: &Transaction,
    fresh: impl ExactSizeIterator<Item = &'a (&'a CarriedBalance, Before)> + Send,
) -> Result<()> {
    let row = |(one, before): &(&CarriedBalance, Before)| {
        let (spent, total) = before.since(one);
        let ends_at = one.ends_at.map(micros).into();
        [one.scope.name().into(), one.id.as_str().into(), "".into(), ends_at, spent.into(), total.into()]
    };
    let columns = &["scope", "id", "period", "ends_at", "spent", "total"];
    let tail = "ON CONFLICT (scope, id, period) DO UPDATE SET \
        spent = balances.spent + excluded.spent, total = balances.total + excluded.total";
    let rows = Box::new(fresh.map(row));
    transaction.insert(Rows { table: "balances", columns, rows, tail }).await.map(drop)
}

/// What came since to one number.
fn since(sums: &[i64], before: &[i64], n: usize) -> i64 {
    let at = |list: &[i64]| list.get(n).copied().unwrap_or_default();
    at(sums).saturating_sub(at(before))
}

/// What was carried already.
async fn known(
    transaction: &Transaction,
    what: impl Iterator<Item = String>,
) -> Result<HashMap<String, Vec<i64>>> {
    let mut found = HashMap::new();
    let what: Vec<Value> = what.map(Value::from).collect();
    let lock = if transaction.is_postgres() { " FOR UPDATE" } else { "" };
    for what in what.chunks(1000) {
        let marks = transaction.marks(0, what.len());
        let sql = format!("SELECT what, sums FROM carried WHERE what IN ({marks}){lock}");
        for row in transaction.rows(&sql, what.to_vec()).await? {
            let sums: String = row.at(1)?;
            found.insert(row.at(0)?, sums.split(' ').filter_map(|number| number.parse().ok()).collect());
        }
    }
    Ok(found)
}

/// Notes what is carried by now.
async fn remember(
    transaction: &Transaction,
    carried: impl ExactSizeIterator<Item = (String, Vec<i64>)> + Send,
) -> Result<()> {
    let row = |(what, sums): (String, Vec<i64>)| {
        let text: Vec<String> = sums.iter().map(ToString::to_string).collect();
        [what.into(), text.join(" ").into()]
    };
    let tail = "ON CONFLICT (what) DO UPDATE SET sums = excluded.sums";
    let rows = Box::new(carried.map(row));
    transaction.insert(Rows { table: "carried", columns: &["what", "sums"], rows, tail }).await.map(drop)
}
