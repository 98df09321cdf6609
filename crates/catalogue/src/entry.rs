//! One model as lists write it, on its way into a table.

use std::collections::BTreeMap;

use gatewright_core::Price;
use serde_json::{Map, Value};

use crate::field::is_price;
use crate::price::price_of;
use crate::{InvalidPrice, Limits, ModelRow};

/// One model, as a [`TableWriter`](crate::table::TableWriter) takes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// The model's name.
    pub name: String,
    /// Its provider.
    pub provider: String,
    /// What it is for.
    pub mode: String,
    /// Its limits.
    pub limits: Limits,
    /// Its prices by field.
    pub prices: BTreeMap<String, Price>,
    /// Prices with a structure.
    pub structured: Map<String, Value>,
    /// What it can.
    pub supports: Vec<String>,
    /// What it cannot.
    pub supports_not: Vec<String>,
    /// Endpoints that serve it.
    pub endpoints: Vec<String>,
    /// What it reads.
    pub modalities: Vec<String>,
    /// What it writes.
    pub output_modalities: Vec<String>,
    /// When it is retired; empty where no day is known.
    pub retires: String,
    /// What else is said of it.
    pub other: Map<String, Value>,
}

/// The longest name of a model, in bytes: a client names one in every request.
const LONGEST_NAME: usize = 512;

/// As many characters of what is wrong are told.
const SHOWN: usize = 80;

/// The price of a search by how much it reads; a field a size in tables.
const PER_SIZE: &str = "search_context_cost_per_query";

// === impl Entry ===

impl Entry {
    /// Sets a price: a number, an object with a number a size, or one with a structure of its own.
    pub(crate) fn set_price(&mut self, field: &str, value: &Value) -> Result<(), InvalidPrice> {
        match value {
            Value::Null => {}
            Value::Object(sizes) if field == PER_SIZE => {
                for (size, value) in sizes {
                    self.set_price(&format!("{field}.{size}"), value)?;
                }
            }
            Value::Object(_) | Value::Array(_) if field.contains('.') => return Err(invalid(field, value)),
            Value::Object(_) | Value::Array(_) => {
                check_within(field, value)?;
                self.structured.insert(field.to_owned(), value.clone());
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                let price = price_of(value).ok_or_else(|| invalid(field, value))?;
                self.prices.insert(field.to_owned(), price);
            }
        }
        Ok(())
    }

    /// Whether a table can hold it; else why not.
    pub(crate) fn check(&self) -> Result<(), String> {
        let name = &self.name;
        if name.is_empty() || name.len() > LONGEST_NAME || name.contains(char::is_control) {
            let shown: String = name.chars().take(SHOWN).collect();
            return Err(format!("{shown:?} is no name of a model"));
        }
        if self.retires.contains(char::is_control) {
            return Err(format!("{name}: {:?} is no day", self.retires));
        }
        // A table separates its words by spaces.
        let unfit = |word: &&str| word.contains(char::is_whitespace) || word.contains(char::is_control);
        match self.words().find(|word| unfit(word) || word.is_empty()) {
            Some(word) => Err(format!("{name}: {word:?} is not one word")),
            None => Ok(()),
        }
    }

    /// All that is a word of a table's vocabularies.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        let lists =
            [&self.supports, &self.supports_not, &self.endpoints, &self.modalities, &self.output_modalities];
        let mode = Some(&*self.mode).filter(|mode| !mode.is_empty());
        let lists = lists.into_iter().flatten().map(String::as_str);
        lists.chain(self.prices.keys().map(String::as_str)).chain([&*self.provider]).chain(mode)
    }
}

impl From<&ModelRow> for Entry {
    fn from(row: &ModelRow) -> Self {
        let owned = |words: &[crate::table::Word]| words.iter().map(ToString::to_string).collect();
        let other = row.other.as_deref().and_then(|json| serde_json::from_str(json).ok());
        Self {
            name: row.name.clone(),
            provider: row.provider.to_string(),
            mode: row.mode.to_string(),
            limits: row.limits,
            prices: row.prices.fields().map(|(field, price)| (field.into_owned(), price)).collect(),
            structured: row.prices.structured().cloned().unwrap_or_default(),
            supports: owned(&row.supports),
            supports_not: owned(&row.supports_not),
            endpoints: owned(&row.endpoints),
            modalities: owned(&row.modalities),
            output_modalities: owned(&row.output_modalities),
            retires: row.retires.clone().unwrap_or_default(),
            other: other.unwrap_or_default(),
        }
    }
}

/// The texts of a list.
pub(crate) fn texts(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A whole number. Some lists write one as a float, which `as` cuts to what fits.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
pub(crate) fn whole(number: Option<&Value>) -> Option<u64> {
    let number = number?;
    number.as_u64().or_else(|| number.as_f64().filter(|n| *n >= 0.0).map(|n| n as u64))
}

/// Every price in a structure is one: numbers below a price's name, and whatever has one of its own.
fn check_within(field: &str, value: &Value) -> Result<(), InvalidPrice> {
    match value {
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            let name = if value.is_number() && is_price(field) { field } else { name };
            check_within(name, value)
        }),
        Value::Array(items) => items.iter().try_for_each(|item| check_within(field, item)),
        Value::Null => Ok(()),
        _ if is_price(field) && price_of(value).is_none() => Err(invalid(field, value)),
        _ => Ok(()),
    }
}

/// What stands there is told, but not all of it.
fn invalid(field: &str, value: &Value) -> InvalidPrice {
    InvalidPrice { field: field.to_owned(), value: value.to_string().chars().take(SHOWN).collect() }
}
