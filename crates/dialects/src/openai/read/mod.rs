//! From OpenAI's wire to the canonical conversation.

mod blocks;
mod chunk;
mod message;
pub(super) mod part;
pub(super) mod reply;
pub(super) mod request;
pub(super) mod stream;
mod thought;
pub(super) mod tool;
mod turn;
mod whole;

use serde_json::{Map, Value};

/// Takes a string out of an object; anything else stays where it is.
fn take_string(object: &mut Map<String, Value>, key: &str) -> Option<String> {
    match object.get_mut(key)? {
        Value::String(text) => {
            let text = std::mem::take(text);
            object.shift_remove(key);
            Some(text)
        }
        Value::Null => {
            object.shift_remove(key);
            None
        }
        _ => None,
    }
}

/// Takes an object out of an object.
fn take_object(object: &mut Map<String, Value>, key: &str) -> Option<Map<String, Value>> {
    match object.get_mut(key)? {
        Value::Object(inner) => {
            let inner = std::mem::take(inner);
            object.shift_remove(key);
            Some(inner)
        }
        _ => None,
    }
}

/// Takes a list out of an object; `null` is an empty one.
fn take_list(object: &mut Map<String, Value>, key: &str) -> Option<Vec<Value>> {
    match object.get_mut(key)? {
        Value::Array(items) => {
            let items = std::mem::take(items);
            object.shift_remove(key);
            Some(items)
        }
        Value::Null => {
            object.shift_remove(key);
            None
        }
        _ => None,
    }
}

/// What is left of an object, without what says nothing.
fn extra_of(mut object: Map<String, Value>) -> Map<String, Value> {
    object.retain(|_, value| !value.is_null());
    object
}

/// Arguments as text; some servers send them as an object.
fn arguments(value: Option<Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
    }
}
