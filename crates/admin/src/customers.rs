//! `/customer/*` and `/end_user/*`: the end users of clients.

use gatewright_store::{Draft, Object, Order, Query};
use serde_json::{Map, Value, json};

use crate::ask::Ask;
use crate::failure::Result;
use crate::form;
use crate::objects::{self, MOST};
use crate::table::View;
use crate::tables::CUSTOMER;

/// `POST /customer/new`.
pub(crate) async fn new(ask: &mut Ask) -> Result<Value> {
    let wishes = ask.read(&CUSTOMER, &["user_id"])?;
    let id = ask.required("user_id")?.to_owned();
    shown(ask, &objects::create(ask, &CUSTOMER, &id, &wishes).await?).await
}

/// `POST /customer/update`.
pub(crate) async fn update(ask: &mut Ask) -> Result<Value> {
    let wishes = ask.read(&CUSTOMER, &["user_id"])?;
    let id = ask.required("user_id")?.to_owned();
    shown(ask, &objects::change(ask, &CUSTOMER, &id, &wishes).await?).await
}

/// `POST /customer/delete`.
pub(crate) async fn delete(ask: &mut Ask) -> Result<Value> {
    let ids = form::list(&ask.body, "user_ids")?;
    let gone = objects::delete(ask, &CUSTOMER, &ids).await?;
    let words = format!("Successfully deleted customers with ids: {ids:?}");
    Ok(json!({"deleted_customers": gone.len(), "message": words}))
}

/// `GET /customer/info`.
pub(crate) async fn info(ask: &mut Ask) -> Result<Value> {
    let id = ask.required_param("end_user_id")?.to_owned();
    shown(ask, &objects::find(ask, &CUSTOMER, &id).await?).await
}

/// `GET /customer/list`.
pub(crate) async fn list(ask: &mut Ask) -> Result<Value> {
    let query = Query { order: Order::Oldest, limit: MOST, ..Query::default() };
    let mut all = Vec::new();
    for customer in ask.rows(&CUSTOMER).list(&query).await? {
        all.push(shown(ask, &customer).await?);
    }
    Ok(all.into())
}

/// `POST /customer/block`: also one that was never heard of.
pub(crate) async fn block(ask: &mut Ask) -> Result<Value> {
    set_blocked(ask, true).await
}

/// `POST /customer/unblock`.
pub(crate) async fn unblock(ask: &mut Ask) -> Result<Value> {
    set_blocked(ask, false).await
}

async fn set_blocked(ask: &Ask, blocked: bool) -> Result<Value> {
    let mut all = Vec::new();
    for id in form::list(&ask.body, "user_ids")? {
        let customer = match ask.rows(&CUSTOMER).find(&id).await? {
            Some(_) => objects::set_blocked(ask, &CUSTOMER, &id, blocked).await?,
            None => objects::insert(ask, &CUSTOMER, &id, Draft { blocked, ..Draft::default() }).await?,
        };
        all.push(shown(ask, &customer).await?);
    }
    Ok(Map::from_iter([("blocked_users".to_owned(), all.into())]).into())
}

async fn shown(ask: &Ask, customer: &Object) -> Result<Value> {
    Ok(objects::shown(ask, &CUSTOMER, customer, View::Told).await?.into())
}
