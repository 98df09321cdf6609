//! `/budget/*`: limits with a name.

use gatewright_store::{Object, Order, Query};
use serde_json::{Value, json};

use crate::ask::Ask;
use crate::failure::Result;
use crate::field::Writer;
use crate::form;
use crate::objects::{self, MOST};
use crate::table::View;
use crate::tables::BUDGET;

/// `POST /budget/new`.
pub(crate) async fn new(ask: &mut Ask) -> Result<Value> {
    let wishes = ask.read(&BUDGET, &["budget_id"])?;
    let id = objects::id_of(ask, "budget_id")?;
    Ok(shown(ask, &objects::create(ask, &BUDGET, &id, &wishes).await?))
}

/// `POST /budget/update`.
pub(crate) async fn update(ask: &mut Ask) -> Result<Value> {
    let wishes = ask.read(&BUDGET, &["budget_id"])?;
    let id = ask.required("budget_id")?.to_owned();
    let budget = objects::change(ask, &BUDGET, &id, &wishes).await?;
    Ok(shown(ask, &budget))
}

/// `POST /budget/delete`.
pub(crate) async fn delete(ask: &mut Ask) -> Result<Value> {
    let id = ask.required("id")?.to_owned();
    let gone = objects::delete(ask, &BUDGET, &[id]).await?;
    Ok(gone.first().map(|budget| shown(ask, budget)).unwrap_or_default())
}

/// `POST /budget/info`: several by their ids.
pub(crate) async fn info(ask: &mut Ask) -> Result<Value> {
    let ids = form::list(&ask.body, "budgets")?;
    let mut all = Vec::new();
    for id in &ids {
        all.push(shown(ask, &objects::find(ask, &BUDGET, id).await?));
    }
    Ok(all.into())
}

/// `GET /budget/list`.
pub(crate) async fn list(ask: &mut Ask) -> Result<Value> {
    let query = Query { order: Order::Oldest, limit: MOST, ..Query::default() };
    let found = ask.rows(&BUDGET).list(&query).await?;
    Ok(found.iter().map(|budget| shown(ask, budget)).collect())
}

/// `GET /budget/settings`: which fields a budget has, and what they are set to.
pub(crate) async fn settings(ask: &mut Ask) -> Result<Value> {
    let id = ask.required_param("budget_id")?.to_owned();
    let budget = objects::find(ask, &BUDGET, &id).await?;
    let told = BUDGET.show(&budget, View::Told, ask.times());
    let one = |field: &&crate::Field| {
        let value = told.get(field.name).cloned().unwrap_or_default();
        json!({
            "field_name": field.name, "field_type": format!("{:?}", field.form), "field_value": value,
            "field_description": "", "stored_in_db": true, "field_default_value": null,
        })
    };
    Ok(BUDGET.fields.iter().filter(|field| field.writer != Writer::Nobody).map(|field| one(&field)).collect())
}

fn shown(ask: &Ask, budget: &Object) -> Value {
    BUDGET.show(budget, View::Told, ask.times()).into()
}
