//! A call whose arguments come in pieces, each with the place that it belongs to.

use serde::Deserialize;
use serde_json::{Map, Value};

/// One piece.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Piece {
    json_path: String,
    string_value: Option<String>,
    number_value: Option<serde_json::Number>,
    bool_value: Option<bool>,
    will_continue: bool,
}

/// A call as far as it has come.
pub(super) struct Building {
    pub(super) id: String,
    pub(super) name: String,
    arguments: Value,
    /// The place of a text that goes on.
    open: Option<String>,
}

// === impl Building ===

impl Building {
    pub(super) fn new(id: String, name: String) -> Self {
        Self { id, name, arguments: Value::Object(Map::new()), open: None }
    }

    /// Puts a piece where it belongs. A place that cannot be is passed over.
    pub(super) fn add(&mut self, piece: Piece) {
        let goes_on = self.open.as_ref() == Some(&piece.json_path);
        let Some(place) = place(&mut self.arguments, &piece.json_path) else { return };
        match (piece.string_value, piece.number_value, piece.bool_value) {
            (Some(more), _, _) => match place {
                Value::String(text) if goes_on => text.push_str(&more),
                place => *place = more.into(),
            },
            (None, Some(number), _) => *place = number.into(),
            (None, None, Some(flag)) => *place = flag.into(),
            (None, None, None) => *place = Value::Null,
        }
        self.open = piece.will_continue.then_some(piece.json_path);
    }

    /// The arguments' JSON text.
    pub(super) fn arguments(&self) -> String {
        self.arguments.to_string()
    }
}

/// The place that `$.a[0].b` means, made where it is not there yet. A list grows by one at a time.
fn place<'v>(root: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    let mut at = root;
    for step in path.strip_prefix('$')?.split(['.', '[']).filter(|step| !step.is_empty()) {
        at = match step.strip_suffix(']') {
            Some(index) => match index.parse::<usize>() {
                Ok(index) => item(at, index)?,
                Err(_) => field(at, index.trim_matches(['\'', '"']))?,
            },
            None => field(at, step)?,
        };
    }
    Some(at)
}

fn field<'v>(at: &'v mut Value, name: &str) -> Option<&'v mut Value> {
    if at.is_null() {
        *at = Value::Object(Map::new());
    }
    Some(at.as_object_mut()?.entry(name).or_insert(Value::Null))
}

fn item(at: &mut Value, index: usize) -> Option<&mut Value> {
    if at.is_null() {
        *at = Value::Array(Vec::new());
    }
    let items = at.as_array_mut()?;
    if index == items.len() {
        items.push(Value::Null);
    }
    items.get_mut(index)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pieces_come_together_where_they_belong() {
        let mut building = Building::new("id".into(), "f".into());
        for piece in [
            json!({"jsonPath": "$.a[0].b", "stringValue": "x", "willContinue": true}),
            json!({"jsonPath": "$.a[0].b", "stringValue": "y"}),
            json!({"jsonPath": "$.a[1]['c d']", "numberValue": 2}),
            json!({"jsonPath": "$.t", "boolValue": true}),
            json!({"jsonPath": "$.n"}),
            json!({"jsonPath": "$.a[99]", "boolValue": true}),
            json!({"jsonPath": "$.t.x", "boolValue": true}),
            json!({"jsonPath": "nowhere", "boolValue": true}),
        ] {
            building.add(serde_json::from_value(piece).unwrap());
        }
        let arguments: Value = serde_json::from_str(&building.arguments()).unwrap();
        assert_eq!(arguments, json!({"a": [{"b": "xy"}, {"c d": 2}], "t": true, "n": null}));
    }
}
