//! Rows of LiteLLM's tables as rows of ours: its columns have the names that our fields have.

use gatewright_store::Draft;
use serde_json::{Map, Value};

use crate::Table;
use crate::calendar::Times;
use crate::field::{Form, Place};
use crate::form;

/// What LiteLLM keeps of an object beside what it is: told by who answers, or kept elsewhere.
const BESIDE: [&str; 12] = [
    "spend",
    "total_spend",
    "model_spend",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
    "settings_updated_at",
    "last_active",
    "soft_budget_cooldown",
    "admins",
    "members",
];

/// The column that keeps a row from being ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit(pub String);

/// A row as a draft, and the columns of it that have something in them and no place here. A field that has not its form
/// keeps the whole row away: a limit that cannot be read is none that may be left out.
pub fn adopted(
    table: &Table,
    row: &Map<String, Value>,
    times: Times<'_>,
) -> Result<(Draft, Vec<String>), Unfit> {
    let mut wishes = Map::new();
    let mut left = Vec::new();
    for (name, value) in row.iter().filter(|(_, value)| says_something(value)) {
        let Some(field) = table.field(name).filter(|field| field.place != Place::Answer) else {
            if !BESIDE.contains(&name.as_str()) {
                left.push(name.clone());
            }
            continue;
        };
        let value = match (field.place, field.form, value) {
            // PostgreSQL tells moments without a zone; LiteLLM means UTC.
            (Place::Ends, ..) | (_, Form::Moment, _) => with_zone(value),
            // Documents that an older release wrote as texts.
            (_, Form::Map | Form::Any, Value::String(text)) => {
                serde_json::from_str(text).unwrap_or_else(|_| value.clone())
            }
            _ => value.clone(),
        };
        let unfit = |_| Unfit(name.clone());
        if field.place == Place::Ends && moment(&value).is_none() {
            return Err(Unfit(name.clone()));
        }
        wishes.insert(name.clone(), form::check(field, &value).map_err(unfit)?);
    }
    if let Some(Value::Object(metadata)) = wishes.get_mut("metadata") {
        for field in table.fields.iter().filter(|field| field.place == Place::Metadata) {
            if let Some(value) = metadata.get_mut(field.name).filter(|value| !value.is_null()) {
                *value = form::check(field, value).map_err(|_| Unfit(format!("metadata.{}", field.name)))?;
            }
        }
    }
    let mut draft = Draft::default();
    table.write(&mut draft, &wishes, times);
    Ok((draft, left))
}

/// A moment of a row.
pub fn moment(value: &Value) -> Option<std::time::SystemTime> {
    crate::calendar::read(with_zone(value).as_str()?)
}

fn with_zone(value: &Value) -> Value {
    match value {
        Value::String(text) if !text.ends_with('Z') && !text.contains('+') => format!("{text}Z").into(),
        other => other.clone(),
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::String(text) => !text.is_empty() && text != "{}",
        Value::Bool(_) | Value::Number(_) => true,
    }
}
