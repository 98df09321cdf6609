//! `/key/{key}/reset_spend` and `/team/{team_id}/reset_spend`: what counts as spent in the time that runs is set anew.

use gatewright_core::Money;
use gatewright_store::Object;
use serde_json::{Value, json};

use crate::ask::Ask;
use crate::failure::{Failure, Result};
use crate::objects::{self, dollars};
use crate::table::{Table, View};
use crate::tables::{KEY, TEAM};
use crate::{keys, spent};

/// `POST /key/{key}/reset_spend`.
pub(crate) async fn key(ask: &mut Ask) -> Result<Value> {
    let key = ask.required_param("key")?.to_owned();
    let object = keys::find(ask, &key).await?;
    reset(ask, &KEY, object, "key_hash").await
}

/// `POST /team/{team_id}/reset_spend`.
pub(crate) async fn team(ask: &mut Ask) -> Result<Value> {
    let id = ask.required_param("team_id")?.to_owned();
    let object = objects::find(ask, &TEAM, &id).await?;
    reset(ask, &TEAM, object, "team_id").await
}

/// All of its budgets at once, and what is counted now. What attempts that still run will cost counts on top.
async fn reset(ask: &Ask, table: &Table, object: Object, named: &str) -> Result<Value> {
    let to = wished(ask)?;
    let Some((scope, id)) = spent::booked_as(table.kind, &object) else {
        return Err(Failure::missing(&format!("{} not found", table.word)));
    };
    let balances = ask.store().balances();
    let rows = balances.of(scope, &id).await?;
    let own = rows.iter().find(|row| row.period.is_empty()).map_or(Money::ZERO, |row| row.spent);
    if to > own {
        let words = format!("reset_to must not be more than what was spent ({own})");
        return Err(Failure::bad("reset_to", &words));
    }
    for row in &rows {
        balances.set(scope, &id, &row.period, to.min(row.spent)).await?;
    }
    // Nothing of the row changes, but everybody who remembers it hears of it, and the audit log tells who did it.
    let object = objects::edit(ask, table, &object.id, |before| Ok(before.draft.clone())).await?;
    ask.admin.counts.reset(scope.name(), &id, to);
    let shown = table.show(&object, View::Told, ask.times());
    let field = |name: &str| shown.get(name).cloned().unwrap_or_default();
    Ok(json!({
        named: object.id, "spend": dollars(to), "previous_spend": dollars(own),
        "max_budget": field("max_budget"), "budget_reset_at": field("budget_reset_at"),
    }))
}

fn wished(ask: &Ask) -> Result<Money> {
    let wrong = || Failure::bad("reset_to", "reset_to must be an amount in dollars");
    let amount = match ask.body.get("reset_to") {
        Some(Value::Number(number)) => Money::parse_dollars(&number.to_string()),
        None | Some(_) => None,
    };
    amount.filter(|amount| *amount >= Money::ZERO).ok_or_else(wrong)
}
