//! What an object has spent: its balances, kept in step with the times that its budgets have.

use std::sync::Arc;
use std::time::SystemTime;

use gatewright_core::Money;
use gatewright_limits::Every;
use gatewright_store::{Balance, Draft, Kind, Object, Result, Scope, Store, member_id};
use serde_json::{Map, Value};

use crate::calendar::Times;

/// What one has spent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spent {
    /// In the time of its budget that runs.
    pub now: Money,
    /// Ever.
    pub ever: Money,
    /// When that time ends.
    pub ends: Option<SystemTime>,
    /// In the times of its further budgets and on single models, by duration (`1d`) or model.
    pub within: Vec<(Arc<str>, Money)>,
}

/// A balance that a budget needs: whose, its period and how long it runs.
struct Wanted {
    scope: Scope,
    id: Arc<str>,
    period: Arc<str>,
    span: Option<Every>,
    ends: Option<SystemTime>,
    /// The name that it is known by among those within.
    name: Option<Arc<str>>,
}

/// What objects have spent by their balances, in their order. `fields` are those that are obeyed, with those of their
/// budgets: a balance whose time is over begins anew here, and one that a new budget needs is begun.
pub async fn spent(
    store: &Store,
    objects: &[(Kind, &Object, &Map<String, Value>)],
    times: Times<'_>,
) -> Result<Vec<Spent>> {
    let wanted: Vec<Vec<Wanted>> = objects
        .iter()
        .map(|(kind, object, fields)| match booked_as(*kind, object) {
            Some((scope, id)) => wanted(scope, &id, fields, times),
            None => Vec::new(),
        })
        .collect();
    let whose: Vec<(Scope, Arc<str>)> =
        wanted.iter().flatten().map(|one| (one.scope, one.id.clone())).collect();
    let balances = store.balances().of_many(&whose).await?;
    let mut all = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        all.push(of_one(store, &balances, wanted, times).await?);
    }
    Ok(all)
}

/// What one of this name has spent, whether it is an object or not.
pub async fn spent_by(
    store: &Store,
    (scope, id): (Scope, &Arc<str>),
    fields: &Map<String, Value>,
    times: Times<'_>,
) -> Result<Spent> {
    let wanted = wanted(scope, id, fields, times);
    let whose: Vec<(Scope, Arc<str>)> = wanted.iter().map(|one| (one.scope, one.id.clone())).collect();
    let balances = store.balances().of_many(&whose).await?;
    of_one(store, &balances, wanted, times).await
}

async fn of_one(store: &Store, balances: &[Balance], wanted: Vec<Wanted>, times: Times<'_>) -> Result<Spent> {
    let mut told = Spent::default();
    for one in wanted {
        let of = |balance: &&Balance| {
            balance.scope == one.scope && balance.id == one.id && balance.period == one.period
        };
        let balance = balances.iter().find(of);
        let money = settled(store, balance, &one, times).await?;
        match one.name {
            Some(name) => told.within.push((name, money)),
            None => {
                let ever = balance.map_or(Money::ZERO, |balance| balance.total);
                told = Spent { now: money, ever, ends: one.ends, ..told };
            }
        }
    }
    Ok(told)
}

/// Whose balance an object's is, and under which name it is counted.
pub fn booked_as(kind: Kind, object: &Object) -> Option<(Scope, Arc<str>)> {
    booked(kind, &object.id, &object.draft)
}

/// The same of a row that is not written yet.
pub(crate) fn booked(kind: Kind, id: &str, draft: &Draft) -> Option<(Scope, Arc<str>)> {
    let scope = match kind {
        Kind::Key => Scope::Key,
        Kind::Team => Scope::Team,
        Kind::User => Scope::User,
        Kind::Project => Scope::Project,
        Kind::Organization => Scope::Organization,
        Kind::Customer => Scope::Customer,
        Kind::Tag => Scope::Tag,
        Kind::Membership => {
            let parents = &draft.parents;
            let id = member_id(parents.user.as_deref()?, parents.team.as_deref()?);
            return Some((Scope::Member, id.into()));
        }
        Kind::Budget | Kind::Model | Kind::Credential | Kind::Setting => return None,
    };
    // A key that came from another one counts as that one.
    let older = draft.fields.get("counts_as").and_then(Value::as_str);
    Some((scope, older.unwrap_or(id).into()))
}

fn wanted(scope: Scope, id: &Arc<str>, fields: &Map<String, Value>, times: Times<'_>) -> Vec<Wanted> {
    let Times { now, calendar } = times;
    let text =
        |fields: &Map<String, Value>, name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let span = text(fields, "budget_duration").and_then(|text| Every::parse(&text));
    let kept = text(fields, "budget_reset_at").and_then(|text| crate::calendar::read(&text));
    let ends = span.map(|span| {
        kept.map_or_else(|| calendar.end(span, now), |kept| calendar.end_following(span, kept, now))
    });
    let own = Wanted { scope, id: id.clone(), period: "".into(), span, ends, name: None };
    let mut all = vec![own];
    let windows = fields.get("budget_limits").and_then(Value::as_array).into_iter().flatten();
    for window in windows.filter_map(Value::as_object) {
        let Some(period) = text(window, "budget_duration") else { continue };
        let Some(span) = Every::parse(&period) else { continue };
        let period: Arc<str> = period.into();
        let ends = Some(calendar.end(span, now));
        all.push(Wanted {
            scope,
            id: id.clone(),
            name: Some(period.clone()),
            period,
            span: Some(span),
            ends,
        });
    }
    let Some(scope) = of_model(scope) else { return all };
    let models = fields.get("model_max_budget").and_then(Value::as_object).into_iter().flatten();
    for (model, limit) in models.filter_map(|(model, limit)| Some((model, limit.as_object()?))) {
        let said = text(limit, "time_period").or_else(|| text(limit, "budget_duration"));
        let span = said.and_then(|text| Every::parse(&text));
        let ends = span.map(|span| calendar.end(span, now));
        let (id, name) = (format!("{id}:{model}").into(), Some(model.as_str().into()));
        all.push(Wanted { scope, id, period: "".into(), span, ends, name });
    }
    all
}

/// What a balance has in the time that runs now.
async fn settled(store: &Store, balance: Option<&Balance>, one: &Wanted, times: Times<'_>) -> Result<Money> {
    let Times { now, calendar } = times;
    let kept = balance.and_then(|balance| balance.ends_at);
    match (balance, kept) {
        (Some(balance), Some(kept)) if kept <= now => {
            let next = one.span.map_or(one.ends, |span| Some(calendar.end_following(span, kept, now)));
            match next {
                Some(next) => store.balances().roll(balance, next).await.map(drop)?,
                None => store.balances().watch(one.scope, &one.id, &one.period, None).await?,
            }
            let rows = store.balances().of(one.scope, &one.id).await?;
            let row = rows.iter().find(|row| row.period == one.period);
            Ok(row.map_or(Money::ZERO, |row| row.spent))
        }
        _ => {
            // A budget for ever needs no row of its own.
            if kept != one.ends && (balance.is_some() || one.ends.is_some()) {
                store.balances().watch(one.scope, &one.id, &one.period, one.ends).await?;
            }
            Ok(balance.map_or(Money::ZERO, |balance| balance.spent))
        }
    }
}

fn of_model(scope: Scope) -> Option<Scope> {
    match scope {
        Scope::Key => Some(Scope::KeyModel),
        Scope::Team => Some(Scope::TeamModel),
        Scope::User => Some(Scope::UserModel),
        Scope::Customer => Some(Scope::CustomerModel),
        Scope::Project => Some(Scope::ProjectModel),
        Scope::Organization => Some(Scope::OrganizationModel),
        _ => None,
    }
}
