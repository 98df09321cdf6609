//! A kind of object as one table of fields: how bodies are read, rows are written, and answers are made by it.

use std::time::SystemTime;

use gatewright_limits::Every;
use gatewright_store::{Draft, Kind, Object};
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::calendar::{self, Period, Times};
use crate::failure::{Failure, Result};
use crate::field::{Field, Form, Place, Shown, Unset, Writer};
use crate::form;
use crate::veil;

/// A kind of object.
#[derive(Debug)]
pub struct Table {
    /// What its rows are.
    pub kind: Kind,
    /// What it is called in answers: `Team`.
    pub word: &'static str,
    /// The field that names one of them.
    pub id: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
}

/// What a body says, checked.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Wishes {
    /// Fields of the table; `null` takes a value away.
    pub(crate) values: Map<String, Value>,
    /// What the table does not know.
    pub(crate) unknown: Vec<String>,
}

/// For whom an answer is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// Whoever made the object just now.
    Made,
    /// Everybody else.
    Told,
}

/// LiteLLM's word for a key that shall not expire any more.
const NEVER: &str = "-1";

// === impl Table ===

impl Table {
    /// A field by its name.
    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Reads a body: forms are checked, what the table does not know is set aside.
    pub(crate) fn read(&self, body: &Map<String, Value>, administrator: bool) -> Result<Wishes> {
        let mut wishes = Wishes::default();
        for (name, value) in body {
            let Some(field) = self.field(name).filter(|field| field.writer != Writer::Nobody) else {
                wishes.unknown.push(name.clone());
                continue;
            };
            let mut value = checked(field, value, administrator)?;
            if let (Value::Object(inner), "metadata") = (&mut value, field.name) {
                self.check_metadata(inner, administrator)?;
            }
            wishes.values.insert(name.clone(), value);
        }
        Ok(wishes)
    }

    /// Fields that stand inside of `metadata` are no less checked there.
    fn check_metadata(&self, metadata: &mut Map<String, Value>, administrator: bool) -> Result<()> {
        for field in self.fields.iter().filter(|field| field.place == Place::Metadata) {
            if let Some(value) = metadata.get_mut(field.name) {
                *value = checked(field, value, administrator)?;
            }
        }
        Ok(())
    }

    /// Writes what was wished into a row.
    pub(crate) fn write(&self, draft: &mut Draft, wishes: &Map<String, Value>, times: Times<'_>) {
        // A whole `metadata` first: what stands inside of it may be wished beside it.
        if let Some(metadata) = wishes.get("metadata") {
            let metadata = veil::unveiled(metadata.clone(), draft.fields.get("metadata"));
            put(&mut draft.fields, "metadata", &metadata);
        }
        for (name, value) in wishes.iter().filter(|(name, _)| *name != "metadata") {
            if let Some(field) = self.field(name) {
                write(draft, field, value, times.now);
            }
        }
        if let Some(duration) = wishes.get("budget_duration")
            && !wishes.contains_key("budget_reset_at")
        {
            let ends = duration
                .as_str()
                .and_then(Every::parse)
                .map(|every| times.calendar.first_end(every, times.now));
            put(
                &mut draft.fields,
                "budget_reset_at",
                &ends.map_or(Value::Null, |at| calendar::printed(at).into()),
            );
        }
    }

    /// An answer about a row.
    pub(crate) fn show(&self, object: &Object, view: View, times: Times<'_>) -> Map<String, Value> {
        let hidden = match view {
            View::Made => Shown::Told,
            View::Told => Shown::Made,
        };
        let shown = self.fields.iter().filter(|field| field.shown != hidden && field.shown != Shown::Never);
        shown.map(|field| (field.name.to_owned(), value(object, field, times))).collect()
    }
}

/// The fields of a row as those read them who obey it: LiteLLM's names, nothing hidden inside `metadata`.
pub fn document(table: &Table, object: &Object) -> Map<String, Value> {
    let mut fields = object.draft.fields.clone();
    if let Some(Value::Object(mut metadata)) = fields.remove("metadata") {
        for field in table.fields.iter().filter(|field| field.place == Place::Metadata) {
            if let Some(value) = metadata.remove(field.name) {
                fields.entry(field.name).or_insert(value);
            }
        }
        fields.insert("metadata".into(), metadata.into());
    }
    fields.insert("blocked".into(), object.draft.blocked.into());
    let named = table.fields.iter().find(|field| field.place == Place::Alias);
    if let Some((field, alias)) = named.zip(object.draft.alias.as_deref()) {
        fields.insert(field.name.into(), alias.into());
    }
    if let Some(at) = object.draft.expires_at {
        fields.insert("expires".into(), calendar::printed(at).into());
    }
    fields
}

fn checked(field: &Field, value: &Value, administrator: bool) -> Result<Value> {
    if value.is_null() && (administrator || field.writer == Writer::Anyone) {
        return Ok(Value::Null);
    }
    if field.writer == Writer::Administrator && !administrator {
        let words = format!("Only proxy admins may set {}.", field.name);
        return Err(Failure::new(StatusCode::FORBIDDEN, "auth_error", Some(field.name), &words));
    }
    form::check(field, value)
}

fn write(draft: &mut Draft, field: &Field, value: &Value, now: SystemTime) {
    let text = || value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    match field.place {
        Place::Own => put(&mut draft.fields, field.name, value),
        Place::Metadata => {
            let metadata = draft.fields.entry("metadata").or_insert_with(|| json!({}));
            if let Value::Object(metadata) = metadata {
                put(metadata, field.name, value);
            }
        }
        Place::Alias => draft.alias = text(),
        Place::Organization => draft.parents.organization = text(),
        Place::Team => draft.parents.team = text(),
        Place::User => draft.parents.user = text(),
        Place::Project => draft.parents.project = text(),
        Place::Budget => draft.parents.budget = text(),
        Place::Blocked => draft.blocked = value.as_bool().unwrap_or_default(),
        Place::Ends => draft.expires_at = value.as_str().and_then(calendar::read),
        Place::Lasts => {
            let period = value.as_str().filter(|text| *text != NEVER).and_then(Period::parse);
            draft.expires_at = period.map(|period| period.after(now));
        }
        Place::Id | Place::Made | Place::MadeBy | Place::Changed | Place::ChangedBy | Place::Answer => {}
    }
}

fn put(fields: &mut Map<String, Value>, name: &str, value: &Value) {
    if value.is_null() {
        fields.remove(name);
    } else {
        fields.insert(name.to_owned(), value.clone());
    }
}

fn value(object: &Object, field: &Field, times: Times<'_>) -> Value {
    let draft = &object.draft;
    let kept = match field.place {
        Place::Own if field.name == "budget_reset_at" => reset(draft, times),
        Place::Own if field.name == "metadata" => draft.fields.get(field.name).cloned().map(veil::veiled),
        Place::Own => draft.fields.get(field.name).cloned(),
        Place::Id => Some(object.id.as_str().into()),
        Place::Alias => draft.alias.as_deref().map(Value::from),
        Place::Organization => draft.parents.organization.as_deref().map(Value::from),
        Place::Team => draft.parents.team.as_deref().map(Value::from),
        Place::User => draft.parents.user.as_deref().map(Value::from),
        Place::Project => draft.parents.project.as_deref().map(Value::from),
        Place::Budget => draft.parents.budget.as_deref().map(Value::from),
        Place::Blocked => Some(draft.blocked.into()),
        Place::Ends => draft.expires_at.map(|at| calendar::printed(at).into()),
        Place::Made => Some(calendar::printed(object.created_at).into()),
        Place::MadeBy => Some(object.created_by.as_str().into()),
        Place::Changed => Some(calendar::printed(object.updated_at).into()),
        Place::ChangedBy => Some(object.updated_by.as_str().into()),
        // What stands inside of `metadata` is not said twice.
        Place::Metadata | Place::Lasts | Place::Answer => None,
    };
    kept.unwrap_or_else(|| unset(field))
}

/// When the budget begins anew: what was written is over some day.
fn reset(draft: &Draft, times: Times<'_>) -> Option<Value> {
    let text = |name: &str| draft.fields.get(name).and_then(Value::as_str);
    let kept = calendar::read(text("budget_reset_at")?)?;
    let at = match text("budget_duration").and_then(Every::parse) {
        Some(every) => times.calendar.end_following(every, kept, times.now),
        None => kept,
    };
    Some(calendar::printed(at).into())
}

fn unset(field: &Field) -> Value {
    match field.unset {
        Unset::Null => Value::Null,
        Unset::List => json!([]),
        Unset::Map => json!({}),
        Unset::Zero if field.form == Form::Count => json!(0),
        Unset::Zero => json!(0.0),
        Unset::No => json!(false),
        Unset::Word(word) => word.into(),
    }
}

#[cfg(test)]
mod tests {
    use gatewright_limits::Calendar;

    use super::*;
    use crate::tables::KEY;

    fn body(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    fn object(draft: Draft) -> Object {
        let at = SystemTime::UNIX_EPOCH;
        let by = String::from("admin");
        Object {
            id: "hash".into(),
            draft,
            version: 1,
            created_at: at,
            created_by: by.clone(),
            updated_at: at,
            updated_by: by,
        }
    }

    #[test]
    fn a_body_becomes_a_row_and_a_row_an_answer() {
        let calendar = Calendar::default();
        let times = Times { now: SystemTime::UNIX_EPOCH, calendar: &calendar };
        let said = body(json!({
            "key_alias": "ci", "team_id": "red", "models": ["a"], "max_budget": 1, "budget_duration": "30d",
            "duration": "1h", "model_rpm_limit": {"a": 1}, "metadata": {"own": true}, "colour": "green",
        }));
        let wishes = KEY.read(&said, false).unwrap();
        assert_eq!(wishes.unknown, ["colour"], "kept out and told");
        let mut draft = Draft::default();
        KEY.write(&mut draft, &wishes.values, times);
        let row = object(draft);
        let told = KEY.show(&row, View::Told, times);
        for (name, value) in [
            ("key_alias", json!("ci")),
            ("team_id", json!("red")),
            ("max_budget", json!(1.0)),
            ("budget_reset_at", json!("1970-02-01T00:00:00.000000Z")),
            ("expires", json!("1970-01-01T01:00:00.000000Z")),
            ("metadata", json!({"own": true, "model_rpm_limit": {"a": 1}})),
            ("aliases", json!({})),
            ("user_id", Value::Null),
        ] {
            assert_eq!(told.get(name), Some(&value), "{name}");
        }
        assert!(!told.contains_key("token_id") && KEY.show(&row, View::Made, times).contains_key("token_id"));
        let obeyed = document(&KEY, &row);
        assert_eq!(obeyed.get("model_rpm_limit"), Some(&json!({"a": 1})));
        assert_eq!(obeyed.get("key_alias"), Some(&json!("ci")), "whoever obeys a key also names it");
        assert_eq!(obeyed.get("metadata"), Some(&json!({"own": true})));
        assert_eq!(obeyed.get("expires"), Some(&json!("1970-01-01T01:00:00.000000Z")));
    }

    #[test]
    fn what_only_administrators_write_is_not_written_through_metadata_either() {
        for said in [
            json!({"permissions": {}}),
            json!({"spend": 0}),
            json!({"temp_budget_increase": 1}),
            json!({"metadata": {"temp_budget_increase": 1}}),
        ] {
            let said = body(said);
            assert_eq!(KEY.read(&said, false).unwrap_err().status, StatusCode::FORBIDDEN, "{said:?}");
            assert!(KEY.read(&said, true).is_ok());
        }
        let wrong = body(json!({"metadata": {"model_rpm_limit": 5}}));
        assert_eq!(KEY.read(&wrong, true).unwrap_err().body["detail"][0]["loc"][1], "model_rpm_limit");
    }

    #[test]
    fn a_null_takes_a_value_away() {
        let calendar = Calendar::default();
        let times = Times { now: SystemTime::UNIX_EPOCH, calendar: &calendar };
        let mut draft = Draft { alias: Some("a".into()), expires_at: Some(times.now), ..Draft::default() };
        draft.fields = body(json!({"max_budget": 1.0, "budget_duration": "1d", "budget_reset_at": "x"}));
        let said = json!({"key_alias": null, "duration": null, "max_budget": null, "budget_duration": null});
        let wishes = KEY.read(&body(said), true).unwrap();
        KEY.write(&mut draft, &wishes.values, times);
        assert_eq!(draft, Draft::default());
    }
}
