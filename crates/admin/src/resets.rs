//! What counts as spent in the time that runs is set anew: by the routes that reset it, and by updates that say `spend`.
//! What was booked stays as it is, and so does what was ever spent.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use gatewright_core::Money;
use gatewright_limits::Reset;
use gatewright_store::{Draft, Error as StoreError, Object, Step};
use serde_json::{Map, Value, json};

use crate::ask::Ask;
use crate::failure::{Failure, Result};
use crate::objects::{self, dollars};
use crate::table::{Table, View};
use crate::tables::{BUDGET, KEY, TEAM};
use crate::{keys, spent};

/// The fields of a row that tell what was set last, and in which turn.
const SET_TO: &str = "spend_set_to";
const TURN: &str = "spend_turn";

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
pub(crate) async fn reset(ask: &Ask, table: &Table, object: Object, named: &str) -> Result<Value> {
    let to = to(ask)?;
    let Some((scope, id)) = spent::booked_as(table.kind, &object) else {
        return Err(Failure::missing(&format!("{} not found", table.word)));
    };
    let rows = ask.store().balances().of(scope, &id).await?;
    let own = rows.iter().find(|row| row.period.is_empty()).map_or(Money::ZERO, |row| row.spent);
    if to > own {
        let words = format!("reset_to must not be more than what was spent ({own})");
        return Err(Failure::bad("reset_to", &words));
    }
    let object = objects::edit_and_spend(ask, table, &object.id, Some(to), |before| {
        let mut draft = before.draft.clone();
        note(ask, &mut draft, Some(to));
        Ok(draft)
    })
    .await?;
    let shown = table.show(&object, View::Told, ask.times());
    let field = |name: &str| shown.get(name).cloned().unwrap_or_default();
    Ok(json!({
        named: object.id, "spend": dollars(to), "previous_spend": dollars(own),
        "max_budget": field("max_budget"), "budget_reset_at": field("budget_reset_at"),
    }))
}

/// What a body wants to count as spent.
pub(crate) fn wished(wishes: &Map<String, Value>) -> Option<Money> {
    amount(wishes, "spend")
}

/// Notes in a row what counts as spent from now on: the audit log tells it, and replicas that count this by themselves
/// begin with it, for the row is in a later turn then.
pub(crate) fn note(ask: &Ask, draft: &mut Draft, spend: Option<Money>) {
    let Some(to) = spend else { return };
    let now = ask.now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    let now = u64::try_from(now).unwrap_or(u64::MAX);
    let turn = now.max(turn(draft).saturating_add(1));
    draft.fields.insert(SET_TO.into(), dollars(to));
    draft.fields.insert(TURN.into(), turn.into());
}

/// Does these, of which the last writes a row that notes what counts as spent, where that is set: all in one transaction,
/// so that nothing is set that the audit log does not tell, and then in what is counted here.
pub(crate) async fn write(
    ask: &Ask,
    mut steps: Vec<Step>,
    spend: Option<Money>,
) -> Result<Object, StoreError> {
    let whose = steps.last().and_then(|step| match step {
        Step::Make { kind, id, draft } | Step::Change { kind, id, draft, .. } => {
            spent::booked(*kind, id, draft)
        }
        Step::Remove { .. } | Step::Spend { .. } => None,
    });
    let set = spend.zip(whose);
    steps.extend(set.clone().map(|(to, (scope, id))| Step::Spend { scope, id, to }));
    let written = ask.store().together(steps, &ask.actor.name()).await?.pop();
    let object = written.ok_or_else(|| StoreError::Broken("nothing was written".to_owned()))?;
    if let Some((to, (scope, id))) = set {
        let period = own_period(ask, &object).await?;
        ask.admin.counts.reset(Reset {
            scope: scope.name(),
            id,
            period,
            spent: to,
            turn: turn(&object.draft),
        });
    }
    Ok(object)
}

/// What the time is called that the object's own budget is for, which may be that of its shared budget.
async fn own_period(ask: &Ask, object: &Object) -> Result<Option<Arc<str>>, StoreError> {
    let said = |draft: &Draft| Some(draft.fields.get("budget_duration")?.as_str()?.into());
    match (said(&object.draft), &object.draft.parents.budget) {
        (None, Some(budget)) => Ok(ask.rows(&BUDGET).find(budget).await?.and_then(|row| said(&row.draft))),
        (own, _) => Ok(own),
    }
}

fn turn(draft: &Draft) -> u64 {
    draft.fields.get(TURN).and_then(Value::as_u64).unwrap_or_default()
}

fn to(ask: &Ask) -> Result<Money> {
    let wrong = || Failure::bad("reset_to", "reset_to must be an amount in dollars");
    amount(&ask.body, "reset_to").filter(|amount| *amount >= Money::ZERO).ok_or_else(wrong)
}

/// An amount of a body, in dollars.
fn amount(body: &Map<String, Value>, name: &str) -> Option<Money> {
    match body.get(name) {
        Some(Value::Number(number)) => Money::parse_dollars(&number.to_string()),
        None | Some(_) => None,
    }
}
