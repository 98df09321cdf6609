//! What all kinds of objects have in common: made, found, changed, taken away.

use gatewright_core::Money;
use gatewright_store::{Column, Draft, Error as StoreError, Filter, Kind, Object, Parents, Query, Step};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::ask::Ask;
use crate::calendar::{self, Times};
use crate::failure::{Failure, Result};
use crate::table::{Table, View};
use crate::tables::BUDGET;
use crate::{resets, spent};

/// How often a change is tried again because somebody else was faster.
const TRIES: usize = 5;

/// The longest id of what calls are booked to: the journal cuts longer ones, and what was spent would be another's.
const LONGEST_ID: usize = 160;

/// The most rows of one kind that an answer without pages has.
pub(crate) const MOST: u64 = 10_000;

/// Makes one. Whether the actor may is asked of whom it belongs to.
pub(crate) async fn create(
    ask: &Ask,
    table: &Table,
    id: &str,
    wishes: &Map<String, Value>,
) -> Result<Object> {
    let mut draft = Draft::default();
    table.write(&mut draft, wishes, ask.times());
    ask.check(&belongs(table, id, &draft.parents))?;
    let spend = resets::wished(wishes);
    resets::note(ask, &mut draft, spend);
    insert_and_spend(ask, table, id, draft, spend).await
}

/// To whom something belongs: a team also to itself, and so on.
pub(crate) fn belongs(table: &Table, id: &str, parents: &Parents) -> Parents {
    let mut parents = parents.clone();
    let own = match table.kind {
        Kind::Team => &mut parents.team,
        Kind::User => &mut parents.user,
        Kind::Organization => &mut parents.organization,
        _ => return parents,
    };
    *own = Some(id.to_owned());
    parents
}

/// Stores a draft that is allowed.
pub(crate) async fn insert(ask: &Ask, table: &Table, id: &str, draft: Draft) -> Result<Object> {
    insert_and_spend(ask, table, id, draft, None).await
}

/// The same, with what it notes to be spent where that is set.
pub(crate) async fn insert_and_spend(
    ask: &Ask,
    table: &Table,
    id: &str,
    draft: Draft,
    spend: Option<Money>,
) -> Result<Object> {
    let booked = table.kind != Kind::Membership && spent::booked(table.kind, id, &draft).is_some();
    if booked && (id.len() > LONGEST_ID || id.contains('\0')) {
        let words = format!("{} has at most {LONGEST_ID} bytes, and none of them is zero", table.id);
        return Err(Failure::bad(table.id, &words));
    }
    let step = Step::Make { kind: table.kind, id: id.to_owned(), draft };
    match resets::write(ask, vec![step], spend).await {
        Err(StoreError::Taken(_)) => {
            let words = format!("{} with id={id} already exists.", table.word);
            Err(Failure::bad(table.id, &words))
        }
        other => Ok(other?),
    }
}

/// The one with this id.
pub(crate) async fn find(ask: &Ask, table: &Table, id: &str) -> Result<Object> {
    let found = ask.rows(table).find(id).await?;
    found.ok_or_else(|| Failure::missing(&format!("{} not found, passed {}={id}", table.word, table.id)))
}

/// Changes one by the actor's wishes: it must be theirs before and afterwards.
pub(crate) async fn change(
    ask: &Ask,
    table: &Table,
    id: &str,
    wishes: &Map<String, Value>,
) -> Result<Object> {
    let spend = resets::wished(wishes);
    edit_and_spend(ask, table, id, spend, |before| {
        ask.check(&belongs(table, id, &before.draft.parents))?;
        let mut draft = before.draft.clone();
        table.write(&mut draft, wishes, ask.times());
        resets::note(ask, &mut draft, spend);
        ask.check(&belongs(table, id, &draft.parents))?;
        Ok(draft)
    })
    .await
}

/// Changes one; again, where somebody else changed it meanwhile.
pub(crate) async fn edit(
    ask: &Ask,
    table: &Table,
    id: &str,
    edit: impl Fn(&Object) -> Result<Draft>,
) -> Result<Object> {
    edit_and_spend(ask, table, id, None, edit).await
}

/// The same, with what it notes to be spent where that is set.
pub(crate) async fn edit_and_spend(
    ask: &Ask,
    table: &Table,
    id: &str,
    spend: Option<Money>,
    edit: impl Fn(&Object) -> Result<Draft>,
) -> Result<Object> {
    let mut tries = 0;
    loop {
        let before = find(ask, table, id).await?;
        let draft = edit(&before)?;
        tries += 1;
        let step = Step::Change { kind: table.kind, id: id.to_owned(), version: before.version, draft };
        match resets::write(ask, vec![step], spend).await {
            Err(StoreError::Stale(_)) if tries < TRIES => {}
            Err(StoreError::Missing(_)) => {
                return Err(Failure::missing(&format!("{} not found", table.word)));
            }
            other => return Ok(other?),
        }
    }
}

/// Takes rows of a kind away that belong to something that was taken away.
pub(crate) async fn remove_all(ask: &Ask, kind: Kind, filter: Filter) -> Result<Vec<Object>> {
    let rows = ask.store().objects(kind);
    let mut gone = Vec::new();
    loop {
        let page = rows.list(&Query::of([filter.clone()])).await?;
        if page.is_empty() {
            return Ok(gone);
        }
        for object in page {
            gone.extend(rows.delete(&object.id, &ask.actor.name()).await?);
        }
    }
}

/// All rows with one of these values, as far as an answer takes them.
pub(crate) async fn with(ask: &Ask, kind: Kind, column: Column, values: Vec<String>) -> Result<Vec<Object>> {
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let query = Query { limit: MOST, ..Query::of([Filter::In(column, values)]) };
    Ok(ask.store().objects(kind).list(&query).await?)
}

/// An answer about a row, with what it spent and the limits that it has from a budget.
pub(crate) async fn shown(
    ask: &Ask,
    table: &Table,
    object: &Object,
    view: View,
) -> Result<Map<String, Value>> {
    let all = shown_all(ask, table, std::slice::from_ref(object), view).await?;
    Ok(all.into_iter().next().unwrap_or_default())
}

/// Answers about many rows.
pub(crate) async fn shown_all(
    ask: &Ask,
    table: &Table,
    found: &[Object],
    view: View,
) -> Result<Vec<Map<String, Value>>> {
    let times = ask.times();
    let mut all: Vec<_> = found.iter().map(|object| table.show(object, view, times)).collect();
    if table.field("spend").is_some() {
        spends(ask, table, found, &mut all).await?;
    }
    if table.field("litellm_budget_table").is_some() {
        let ids: Vec<String> =
            found.iter().filter_map(|object| object.draft.parents.budget.clone()).collect();
        let budgets = with(ask, Kind::Budget, Column::Id, ids).await?;
        for (told, object) in all.iter_mut().zip(found) {
            told.insert("litellm_budget_table".into(), limits(table, object, &budgets, times));
            if table.kind == Kind::Key {
                tell_soft(told, object);
            }
        }
    }
    Ok(all)
}

/// What each has spent in the time that runs, and ever.
async fn spends(ask: &Ask, table: &Table, found: &[Object], all: &mut [Map<String, Value>]) -> Result<()> {
    let whose: Vec<_> = found.iter().map(|object| spent::booked_as(table.kind, object)).collect();
    let known: Vec<_> = whose.iter().flatten().cloned().collect();
    let balances = ask.store().balances().of_many(&known).await?;
    for (told, whose) in all.iter_mut().zip(&whose) {
        let Some((scope, id)) = whose else { continue };
        let own = |balance: &&gatewright_store::Balance| {
            balance.scope == *scope && balance.id == *id && balance.period.is_empty()
        };
        let Some(balance) = balances.iter().find(own) else { continue };
        let runs = balance.ends_at.is_none_or(|ends| ends > ask.now());
        told.insert("spend".into(), dollars(if runs { balance.spent } else { Money::ZERO }));
        if let Some(ever) = told.get_mut("total_spend") {
            *ever = dollars(balance.total);
        }
        if let Some((active, at)) = told.get_mut("last_active").zip(balance.last_active) {
            *active = calendar::printed(at).into();
        }
    }
    Ok(())
}

/// A soft budget that a key has, and whether it is over it.
fn tell_soft(told: &mut Map<String, Value>, object: &Object) {
    let shared = told.get("litellm_budget_table").and_then(|budget| budget.get("soft_budget"));
    let soft = object.draft.fields.get("soft_budget").or(shared).filter(|soft| !soft.is_null()).cloned();
    let Some(soft) = soft else { return };
    let over = told.get("spend").and_then(Value::as_f64) >= soft.as_f64();
    if let Some(told) = told.get_mut("soft_budget_cooldown") {
        *told = over.into();
    }
    told.insert("soft_budget".into(), soft);
}

/// An amount as JSON has it.
pub(crate) fn dollars(money: Money) -> Value {
    money.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

/// What LiteLLM keeps in a budget of its own: that of the shared budget, or the row's own limits in its form.
fn limits(table: &Table, object: &Object, budgets: &[Object], times: Times<'_>) -> Value {
    if let Some(id) = &object.draft.parents.budget {
        let budget = budgets.iter().find(|budget| budget.id == *id);
        return budget.map_or(Value::Null, |budget| BUDGET.show(budget, View::Told, times).into());
    }
    let own = |name: &str| object.draft.fields.get(name).cloned();
    let any =
        ["max_budget", "soft_budget", "model_max_budget", "tpm_limit", "rpm_limit", "max_parallel_requests"];
    // A key shows its own limits by itself.
    if table.kind == Kind::Key || any.into_iter().all(|name| own(name).is_none()) {
        return Value::Null;
    }
    let mut told = BUDGET.show(object, View::Told, times);
    told.insert("budget_id".into(), Value::Null);
    told.insert("allowed_models".into(), own("models").unwrap_or_else(|| json!([])));
    told.into()
}

/// Takes several away by their ids, which must all be there, with what hangs on them.
pub(crate) async fn delete(ask: &Ask, table: &Table, ids: &[String]) -> Result<Vec<Object>> {
    if ids.is_empty() {
        return Err(Failure::missing(&format!("No {} was named", table.word)));
    }
    let mut found = Vec::new();
    for id in ids {
        let object = find(ask, table, id).await?;
        ask.check(&belongs(table, id, &object.draft.parents))?;
        found.push(object);
    }
    for object in &found {
        ask.rows(table).delete(&object.id, &ask.actor.name()).await?;
    }
    Ok(found)
}

/// Sets whether one is switched off.
pub(crate) async fn set_blocked(ask: &Ask, table: &Table, id: &str, blocked: bool) -> Result<Object> {
    edit(ask, table, id, |before| {
        ask.check(&belongs(table, id, &before.draft.parents))?;
        Ok(Draft { blocked, ..before.draft.clone() })
    })
    .await
}

/// The id that a body gives, or a fresh one.
pub(crate) fn id_of(ask: &Ask, name: &str) -> Result<String> {
    match ask.body.get(name) {
        None | Some(Value::Null) => Ok(Uuid::new_v4().to_string()),
        Some(Value::String(id)) if id.is_empty() => Ok(Uuid::new_v4().to_string()),
        Some(_) => Ok(ask.required(name)?.to_owned()),
    }
}
