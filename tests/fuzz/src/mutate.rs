//! Changes of documents that leave them documents: a JSON text, or a stream of events that hold JSON.

use libfuzzer_sys::fuzzer_mutate;
use serde_json::{Map, Value};

use crate::dice::Dice;
use crate::words::{KEYS, WORDS};

/// A mutator: mostly changes the JSON in `data`, else its bytes. Answers the new length.
pub fn document(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut dice = Dice::new(u64::from(seed));
    if dice.below(5) > 0
        && let Ok(text) = std::str::from_utf8(&data[..size])
        && let Some(changed) = change(text, &mut dice)
        && let Some(place) = data.get_mut(..changed.len().min(max_size))
        && place.len() == changed.len()
    {
        place.copy_from_slice(changed.as_bytes());
        return changed.len();
    }
    fuzzer_mutate(data, size, max_size)
}

fn change(text: &str, dice: &mut Dice) -> Option<String> {
    if let Ok(mut value) = serde_json::from_str::<Value>(text) {
        for _ in 0..=dice.below(3) {
            change_value(&mut value, dice);
        }
        return Some(value.to_string());
    }
    let mut events: Vec<String> = text.split_inclusive("\n\n").map(str::to_owned).collect();
    let at = dice.below(events.len());
    let other = dice.below(events.len());
    match dice.below(8) {
        0 => events.swap(at, other),
        1 => drop(events.remove(at)),
        2 => events.insert(other, events.get(at)?.clone()),
        _ => {
            let event = events.get_mut(at)?;
            let from = event.find("data: ")? + "data: ".len();
            let to = event[from..].find(['\n', '\r']).map_or(event.len(), |end| from + end);
            let mut value = serde_json::from_str::<Value>(&event[from..to]).ok()?;
            change_value(&mut value, dice);
            event.replace_range(from..to, &value.to_string());
        }
    }
    Some(events.concat())
}

fn change_value(root: &mut Value, dice: &mut Dice) {
    let count = count(root);
    // Taken from elsewhere in the document, because what fits there may surprise here.
    let graft = match dice.below(3) {
        0 => nth(root, &mut dice.below(count)).map_or(Value::Null, |value| value.clone()),
        _ => leaf(dice),
    };
    let Some(value) = nth(root, &mut dice.below(count)) else { return };
    match value {
        Value::Object(fields) if dice.below(6) > 0 => change_object(fields, graft, dice),
        Value::Array(items) if dice.below(6) > 0 => change_array(items, graft, dice),
        value if dice.below(8) == 0 => *value = Value::from(vec![value.take()]),
        value => *value = graft,
    }
}

fn change_object(fields: &mut Map<String, Value>, graft: Value, dice: &mut Dice) {
    let key = fields.keys().nth(dice.below(fields.len())).cloned();
    let word = dice.pick(KEYS).to_owned();
    match (key, dice.below(4)) {
        (Some(key), 0) => drop(fields.shift_remove(&key)),
        (Some(key), 1) => {
            let value = fields.shift_remove(&key).unwrap_or_default();
            fields.insert(word, value);
        }
        (Some(key), 2) => drop(fields.insert(key, graft)),
        _ => drop(fields.insert(word, graft)),
    }
}

fn change_array(items: &mut Vec<Value>, graft: Value, dice: &mut Dice) {
    let (at, other) = (dice.below(items.len()), dice.below(items.len()));
    match dice.below(5) {
        0 if !items.is_empty() => drop(items.remove(at)),
        1 if !items.is_empty() => items.swap(at, other),
        2 | 3 if !items.is_empty() => items.insert(other, items[at].clone()),
        _ => items.insert(at, graft),
    }
}

fn leaf(dice: &mut Dice) -> Value {
    match dice.below(16) {
        0 => Value::Null,
        1 => true.into(),
        2 => false.into(),
        3 => 0.into(),
        4 => 1.into(),
        5 => (-1).into(),
        6 => u64::MAX.into(),
        7 => 0.5.into(),
        8 => 1e300.into(),
        9 => Value::Array(Vec::new()),
        10 => Value::Object(Map::new()),
        _ => dice.pick(WORDS).into(),
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// The value that is `left` steps away, in the order of the text.
fn nth<'a>(value: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, left)),
        Value::Object(fields) => fields.values_mut().find_map(|field| nth(field, left)),
        _ => None,
    }
}
