//! What each key, team and so on has spent: in the time that runs, and ever.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use gatewright_core::Money;
use gatewright_spend::Entry;
use sea_orm::Value;

use crate::database::{Row, Transaction, padded};
use crate::entries::Numbered;
use crate::insert::Rows;
use crate::moment::{micros, moment};
use crate::value::{clean, whole};
use crate::{Result, Scope, Store, scope};

/// What one of them has spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// What kind of thing it is.
    pub scope: Scope,
    /// Which one.
    pub id: Arc<str>,
    /// The budget's duration where it has several (`1d`); empty for the one that everybody has.
    pub period: Arc<str>,
    /// When the time that runs ends; for ever where there is no end.
    pub ends_at: Option<SystemTime>,
    /// Spent in the time that runs, which is what a budget is about.
    pub spent: Money,
    /// Spent since the row was made; nothing resets it.
    pub total: Money,
    /// When its last attempt began, of what was shipped; only of keys.
    pub last_active: Option<SystemTime>,
}

/// The balances.
#[derive(Clone, Copy)]
pub struct Balances<'a>(pub(crate) &'a Store);

/// What entries add to a row.
#[derive(Clone, Copy, Default)]
struct Sum {
    spent: i64,
    ahead: i64,
    total: i64,
}

/// A row's key.
type Key = (&'static str, Arc<str>, Arc<str>);

/// The time that a row counts.
type Span = (Option<i64>, Option<i64>);

/// When an attempt began, and what it cost.
type Cost = (i64, i64);

/// The costs by whom they are booked to.
type Costs = BTreeMap<(&'static str, Arc<str>), Vec<Cost>>;

const COLUMNS: &str = "scope, id, period, ends_at, spent, total, last_active";

impl Store {
    /// What has been spent.
    pub fn balances(&self) -> Balances<'_> {
        Balances(self)
    }
}

// === impl Balances ===

impl Balances<'_> {
    /// All rows of one, ordered by period; none where nothing was ever booked to it.
    pub async fn of(&self, scope: Scope, id: &str) -> Result<Vec<Balance>> {
        self.of_many(&[(scope, id.into())]).await
    }

    /// All rows of many.
    pub async fn of_many(&self, whose: &[(Scope, Arc<str>)]) -> Result<Vec<Balance>> {
        let work = async {
            let transaction = self.0.read().await?;
            let mut balances = Vec::new();
            for whose in whose.chunks(1000) {
                let (list, values) =
                    listed(&transaction, whose.iter().map(|(scope, id)| (scope.name(), &**id)));
                let sql = format!(
                    "SELECT {COLUMNS} FROM balances WHERE (scope, id) IN ({list}) ORDER BY scope, id, period"
                );
                for row in transaction.rows(&sql, values).await? {
                    balances.extend(read(&row)?);
                }
            }
            Ok(balances)
        };
        self.0.database().in_time(work).await
    }

    /// Lets a row count a time of its own: what is spent in it from now on, until `ends_at`. A row that is there keeps
    /// what it has counted.
    pub async fn watch(
        &self,
        scope: Scope,
        id: &str,
        period: &str,
        ends_at: Option<SystemTime>,
    ) -> Result<()> {
        let sql = "INSERT INTO balances (scope, id, period, starts_at, ends_at) VALUES ($1, $2, $3, $4, $5) \
            ON CONFLICT (scope, id, period) DO UPDATE SET ends_at = excluded.ends_at";
        let now = micros(self.0.clock().wall());
        let values: Vec<Value> =
            vec![scope.name().into(), id.into(), period.into(), now.into(), ends_at.map(micros).into()];
        self.change(sql, values).await.map(drop)
    }

    /// Forgets a row.
    pub async fn forget(&self, scope: Scope, id: &str, period: &str) -> Result<()> {
        let sql = "DELETE FROM balances WHERE scope = $1 AND id = $2 AND period = $3";
        self.change(sql, vec![scope.name().into(), id.into(), period.into()]).await.map(drop)
    }

    /// Rows whose time is over, at most so many.
    pub async fn ended(&self, limit: u64) -> Result<Vec<Balance>> {
        let sql =
            format!("SELECT {COLUMNS} FROM balances WHERE ends_at <= $1 ORDER BY ends_at LIMIT {limit}");
        let work = async {
            let rows = self.0.read().await?.rows(&sql, vec![micros(self.0.clock().wall()).into()]).await?;
            let balances = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
            Ok(balances.into_iter().flatten().collect())
        };
        self.0.database().in_time(work).await
    }

    /// Begins the next time of a row whose time is over: what was booked after its end counts in the next one. `false`
    /// where another replica was faster.
    pub async fn roll(&self, balance: &Balance, ends_at: SystemTime) -> Result<bool> {
        let sql = "UPDATE balances SET spent = ahead, ahead = 0, starts_at = ends_at, ends_at = $5 \
            WHERE scope = $1 AND id = $2 AND period = $3 AND ends_at = $4";
        let values: Vec<Value> = vec![
            balance.scope.name().into(),
            (&*balance.id).into(),
            (&*balance.period).into(),
            balance.ends_at.map(micros).into(),
            micros(ends_at).into(),
        ];
        Ok(self.change(sql, values).await? > 0)
    }

    async fn change(&self, sql: &str, values: Vec<Value>) -> Result<u64> {
        let work = async {
            let transaction = self.0.write().await?;
            let changed = transaction.run(sql, values).await?;
            transaction.commit().await?;
            Ok(changed)
        };
        self.0.database().in_time(work).await
    }
}

/// Sets what was spent in the time that runs, as an administrator wants it. Further times never have more than that.
pub(crate) async fn set(transaction: &Transaction, (scope, id): (Scope, &str), spent: Money) -> Result<()> {
    let own = "INSERT INTO balances (scope, id, period, spent) VALUES ($1, $2, '', $3) \
        ON CONFLICT (scope, id, period) DO UPDATE SET spent = excluded.spent, ahead = 0";
    let further = "UPDATE balances SET spent = $3, ahead = 0 \
        WHERE scope = $1 AND id = $2 AND period <> '' AND spent > $3";
    for sql in [own, further] {
        transaction.run(sql, vec![scope.name().into(), id.into(), spent.0.into()]).await?;
    }
    Ok(())
}

/// Books entries to everybody that they concern: to each time that a row counts by when the attempt began.
pub(crate) async fn book(transaction: &Transaction, entries: &[Numbered<'_>]) -> Result<()> {
    // Those of the same people and model are booked to the same, which is found once.
    let mut alike: BTreeMap<[i64; 10], (&Entry, Vec<Cost>)> = BTreeMap::new();
    for numbered in entries.iter().filter(|numbered| numbered.entry.cost != Money::ZERO) {
        let entry = numbered.entry;
        let (_, costs) = alike.entry(numbered.whose()).or_insert_with(|| (entry, Vec::new()));
        costs.push((whole(entry.begin.started), entry.cost.0));
    }
    let mut booked = Costs::new();
    for (entry, costs) in alike.into_values() {
        for (scope, id) in scope::of(entry) {
            booked.entry((scope.name(), clean(&id))).or_default().extend(&costs);
        }
    }
    let active = last_active(entries);
    // A key was active too where nothing was to be paid.
    for id in active.keys() {
        booked.entry((Scope::Key.name(), Arc::clone(id))).or_default();
    }
    let spans = spans(transaction, &booked).await?;
    let mut rows = Vec::with_capacity(booked.len());
    for ((scope, id), costs) in booked {
        let everybodys = (scope, Arc::clone(&id), Arc::from(""));
        let further = spans.get(&(scope, Arc::clone(&id))).map_or(&[] as &[_], Vec::as_slice);
        let own =
            further.iter().find(|(period, _)| period.is_empty()).map_or((None, None), |(_, span)| *span);
        let active = active.get(&id).filter(|_| scope == Scope::Key.name());
        rows.push(row(everybodys, own, (&costs, active.copied().unwrap_or_default())));
        for (period, span) in further.iter().filter(|(period, _)| !period.is_empty()) {
            rows.push(row((scope, Arc::clone(&id), Arc::clone(period)), *span, (&costs, 0)));
        }
    }
    let columns = &["scope", "id", "period", "spent", "ahead", "total", "last_active"];
    let tail = "ON CONFLICT (scope, id, period) DO UPDATE SET spent = balances.spent + excluded.spent, \
        ahead = balances.ahead + excluded.ahead, total = balances.total + excluded.total, \
        last_active = CASE WHEN balances.last_active < excluded.last_active THEN excluded.last_active \
        ELSE balances.last_active END";
    let rows = Box::new(rows.into_iter());
    transaction.insert(Rows { table: "balances", columns, rows, tail }).await.map(drop)
}

/// When the last attempt of each key began.
fn last_active(entries: &[Numbered<'_>]) -> BTreeMap<Arc<str>, i64> {
    let mut last: BTreeMap<i64, (&Entry, i64)> = BTreeMap::new();
    for Numbered { entry, caller, .. } in entries {
        let (_, at) = last.entry(*caller).or_insert((entry, 0));
        *at = whole(entry.begin.started).max(*at);
    }
    last.into_values().map(|(entry, at)| (clean(&entry.begin.caller), at)).collect()
}

/// The times that the rows count, kept from being rolled until the transaction ends. All replicas take them in the same
/// order.
async fn spans(
    transaction: &Transaction,
    booked: &Costs,
) -> Result<HashMap<(&'static str, Arc<str>), Vec<(Arc<str>, Span)>>> {
    let lock = if transaction.is_postgres() { " FOR UPDATE" } else { "" };
    let mut spans: HashMap<_, Vec<_>> = HashMap::new();
    let keys: Vec<_> = booked.keys().collect();
    for keys in keys.chunks(1000) {
        let (list, values) = listed(transaction, keys.iter().map(|(scope, id)| (*scope, &**id)));
        let sql = format!(
            "SELECT scope, id, period, starts_at, ends_at FROM balances WHERE (scope, id) IN ({list}) \
             ORDER BY scope, id, period{lock}"
        );
        for row in transaction.rows(&sql, values).await? {
            let Some(scope) = scope_named(&row.at::<String>(0)?) else { continue };
            let id: Arc<str> = row.at::<String>(1)?.into();
            let span: Span = (row.at(3)?, row.at(4)?);
            spans.entry((scope.name(), id)).or_default().push((row.at::<String>(2)?.into(), span));
        }
    }
    Ok(spans)
}

fn row((scope, id, period): Key, (starts_at, ends_at): Span, (costs, active): (&[Cost], i64)) -> [Value; 7] {
    let mut sum = Sum::default();
    for (at, cost) in costs {
        sum.total = sum.total.saturating_add(*cost);
        if ends_at.is_some_and(|ends| *at >= ends) {
            sum.ahead = sum.ahead.saturating_add(*cost);
        } else if starts_at.is_none_or(|starts| *at >= starts) {
            sum.spent = sum.spent.saturating_add(*cost);
        }
    }
    let Sum { spent, ahead, total } = sum;
    [scope.into(), (&*id).into(), (&*period).into(), spent.into(), ahead.into(), total.into(), active.into()]
}

fn listed<'a>(
    transaction: &Transaction,
    keys: impl Iterator<Item = (&'a str, &'a str)>,
) -> (String, Vec<Value>) {
    let values = padded(keys.flat_map(|(scope, id)| [scope.into(), id.into()]).collect(), 2);
    let pairs = (0..values.len() / 2).map(|n| format!("({})", transaction.marks(2 * n, 2)));
    // SQLite takes row values only from a query.
    (format!("VALUES {}", pairs.collect::<Vec<_>>().join(", ")), values)
}

fn scope_named(name: &str) -> Option<Scope> {
    Scope::ALL.into_iter().find(|scope| scope.name() == name)
}

/// A row; nothing where a newer release booked to something that this one does not know.
fn read(row: &Row) -> Result<Option<Balance>> {
    let Some(scope) = scope_named(&row.at::<String>(0)?) else { return Ok(None) };
    Ok(Some(Balance {
        scope,
        id: row.at::<String>(1)?.into(),
        period: row.at::<String>(2)?.into(),
        ends_at: row.at::<Option<i64>>(3)?.map(moment),
        spent: Money(row.at(4)?),
        total: Money(row.at(5)?),
        last_active: Some(row.at::<i64>(6)?).filter(|at| *at > 0).map(moment),
    }))
}
