//! What a key and its team say of the records of their calls.

use std::sync::Arc;

use gatewright_core::{OwnSink, Recording};
use serde_json::{Map, Value};

use crate::Holder;

/// How many sinks one caller may have of its own.
const MOST_SINKS: usize = 8;

/// How many words may say of one of them where it is.
const MOST_VARS: usize = 32;

const REDACT: &str = "turn_off_message_logging";

/// A key that names sinks has those; else it has its team's. What either wants to be left out is left out.
pub(crate) fn of(holder: &Holder) -> Option<Recording> {
    let mut all = Recording::default();
    for record in [Some(&holder.key), holder.team.as_ref()].into_iter().flatten() {
        let metadata = record.fields.get("metadata").and_then(Value::as_object);
        // What a team has a field for is taken out of its metadata where it is read.
        let said = |name: &str| record.fields.get(name).or_else(|| metadata?.get(name));
        all.redact |= is_on(said(REDACT));
        let named = said("logging").and_then(Value::as_array).into_iter().flatten();
        let named = named.filter_map(Value::as_object);
        all.redact |= named.clone().filter_map(vars).any(|vars| is_on(vars.get(REDACT)));
        if all.sinks.is_empty() {
            all.sinks = named.filter_map(sink).take(MOST_SINKS).collect();
        }
    }
    (all != Recording::default()).then_some(all)
}

/// `{"callback_name": "langfuse", "callback_type": "success", "callback_vars": {…}}`.
fn sink(named: &Map<String, Value>) -> Option<OwnSink> {
    let name = named.get("callback_name")?.as_str().filter(|name| !name.is_empty())?;
    let (success, failure) = match named.get("callback_type").and_then(Value::as_str) {
        Some("success") => (true, false),
        Some("failure") => (false, true),
        _ => (true, true),
    };
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    };
    let vars = vars(named).into_iter().flatten().take(MOST_VARS);
    let vars = vars.filter_map(|(name, value)| Some((Arc::from(name.as_str()), text(value)?.into())));
    Some(OwnSink { name: name.into(), success, failure, vars: vars.collect() })
}

fn vars(named: &Map<String, Value>) -> Option<&Map<String, Value>> {
    named.get("callback_vars")?.as_object()
}

fn is_on(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Record;

    fn said(key: Value, team: Value) -> Option<Recording> {
        let record = |metadata: Value| {
            let fields = json!({"metadata": metadata}).as_object().cloned().unwrap_or_default();
            Record { id: "x".into(), fields, ..Record::default() }
        };
        let holder = Holder {
            key: record(key),
            team: Some(record(team)),
            member: None,
            user: None,
            project: None,
            organization: None,
            parts: Vec::new(),
        };
        of(&holder)
    }

    #[test]
    fn a_keys_sinks_go_before_its_teams() {
        let named = |name: &str, kind: &str| {
            json!({"logging": [{"callback_name": name, "callback_type": kind,
                "callback_vars": {"langfuse_host": "https://x", "n": 3, "l": []}}]})
        };
        assert_eq!(said(json!({}), json!({"tags": ["a"]})), None);
        let both = said(named("langfuse", "success"), named("lunary", "failure")).unwrap();
        let [sink] = &*both.sinks else { panic!("{both:?}") };
        assert_eq!((&*sink.name, sink.success, sink.failure, both.redact), ("langfuse", true, false, false));
        let vars: Vec<_> = sink.vars.iter().map(|(name, value)| (&**name, value.reveal())).collect();
        assert_eq!(vars, [("langfuse_host", "https://x"), ("n", "3")]);
        let teams = said(json!({"logging": "wrong"}), named("lunary", "success_and_failure")).unwrap();
        assert_eq!(
            (&*teams.sinks[0].name, teams.sinks[0].success, teams.sinks[0].failure),
            ("lunary", true, true)
        );
        assert!(!format!("{teams:?}").contains("https://x"), "where it is may hold a secret");
    }

    #[test]
    fn a_teams_sinks_may_stand_beside_its_metadata() {
        let named = json!([{"callback_name": "langfuse"}]);
        let fields = json!({"logging": named, "metadata": {}}).as_object().cloned().unwrap_or_default();
        let record = |fields| Record { id: "x".into(), fields, ..Record::default() };
        let holder = Holder {
            key: record(Map::new()),
            team: Some(record(fields)),
            member: None,
            user: None,
            project: None,
            organization: None,
            parts: Vec::new(),
        };
        assert_eq!(&*of(&holder).unwrap().sinks[0].name, "langfuse");
    }

    #[test]
    fn whoever_wants_content_left_out_has_it_left_out() {
        let vars = json!({"logging": [{"callback_name": "x", "callback_vars": {REDACT: "True"}}]});
        for (key, team) in [
            (json!({REDACT: true}), json!({})),
            (json!({}), json!({REDACT: true})),
            (vars.clone(), json!({})),
            (json!({}), vars),
        ] {
            assert!(said(key.clone(), team).unwrap().redact, "{key}");
        }
    }
}
