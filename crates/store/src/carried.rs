//! Sums that another program had, taken over: what was carried once is remembered, so that only what came since is added.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use gatewright_core::Money;
use sea_orm::Value;

use crate::database::Transaction;
use crate::moment::micros;
use crate::names::NOBODY;
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
            let mut changed = 0;
            for one in balances {
                let before = Before::of(known.get(&what(one)));
                if before.is(one) {
                    continue;
                }
                begin_anew(&transaction, one, &before).await?;
                let (spent, total) = before.since(one);
                let sql = "INSERT INTO balances (scope, id, period, ends_at, spent, total) \
                    VALUES ($1, $2, '', $3, $4, $5) ON CONFLICT (scope, id, period) DO UPDATE SET \
                    spent = balances.spent + excluded.spent, total = balances.total + excluded.total";
                let values = vec![
                    one.scope.name().into(),
                    one.id.as_str().into(),
                    one.ends_at.map(micros).into(),
                    spent.into(),
                    total.into(),
                ];
                transaction.run(sql, values).await?;
                remember(&transaction, &what(one), &[one.spent.0, one.total.0, ends(one)]).await?;
                changed += 1;
            }
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
            let mut changed = 0;
            for one in days {
                let sums = one.sums.numbers();
                let before = known.get(&what(one)).cloned().unwrap_or_default();
                if before == sums {
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
                let more = std::array::from_fn(|n| since(&sums, &before, n));
                *fresh.entry(place).or_default() += Sums::of_numbers(more);
                remember(&transaction, &what(one), &sums).await?;
                changed += 1;
            }
            rollups::raise(&transaction, fresh).await?;
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

async fn remember(transaction: &Transaction, what: &str, sums: &[i64]) -> Result<()> {
    let text: Vec<String> = sums.iter().map(ToString::to_string).collect();
    let sql = "INSERT INTO carried (what, sums) VALUES ($1, $2) ON CONFLICT (what) DO UPDATE SET sums = excluded.sums";
    transaction.run(sql, vec![what.into(), text.join(" ").into()]).await.map(drop)
}
