//! `/tag/*`: tags of calls.

use gatewright_store::{Object, Order, Query};
use serde_json::{Map, Value, json};

use crate::ask::Ask;
use crate::failure::Result;
use crate::form;
use crate::objects::{self, MOST};
use crate::table::View;
use crate::tables::TAG;

/// `POST /tag/new`.
pub(crate) async fn new(ask: &mut Ask) -> Result<Value> {
    let wishes = ask.read(&TAG, &["name"])?;
    let name = ask.required("name")?.to_owned();
    let tag = objects::create(ask, &TAG, &name, &wishes).await?;
    let told = TAG.show(&tag, View::Made, ask.times());
    Ok(json!({"message": format!("Tag {name} created successfully"), "tag": told}))
}

/// `POST /tag/update`.
pub(crate) async fn update(ask: &mut Ask) -> Result<Value> {
    let wishes = ask.read(&TAG, &["name"])?;
    let name = ask.required("name")?.to_owned();
    let tag = objects::change(ask, &TAG, &name, &wishes).await?;
    let told = shown(ask, &tag).await?;
    Ok(json!({"message": format!("Tag {name} updated successfully"), "tag": told}))
}

/// `POST /tag/delete`.
pub(crate) async fn delete(ask: &mut Ask) -> Result<Value> {
    let name = ask.required("name")?.to_owned();
    objects::delete(ask, &TAG, std::slice::from_ref(&name)).await?;
    Ok(json!({"message": format!("Tag {name} deleted successfully")}))
}

/// `POST /tag/info`: several by their names.
pub(crate) async fn info(ask: &mut Ask) -> Result<Value> {
    let mut all = Map::new();
    for name in form::list(&ask.body, "names")? {
        let tag = objects::find(ask, &TAG, &name).await?;
        all.insert(name, shown(ask, &tag).await?);
    }
    Ok(all.into())
}

/// `GET /tag/list`.
pub(crate) async fn list(ask: &mut Ask) -> Result<Value> {
    let query = Query { order: Order::Oldest, limit: MOST, ..Query::default() };
    let mut all = Vec::new();
    for tag in ask.rows(&TAG).list(&query).await? {
        all.push(shown(ask, &tag).await?);
    }
    Ok(all.into())
}

async fn shown(ask: &Ask, tag: &Object) -> Result<Value> {
    Ok(objects::shown(ask, &TAG, tag, View::Told).await?.into())
}
