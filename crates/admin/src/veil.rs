//! Credentials inside of `metadata`: what a key's or team's own callbacks sign in with is written and never shown.

use serde_json::{Map, Value};

/// Stands where a credential is.
const VEIL: &str = "********";

/// `metadata` as it is shown.
pub(crate) fn veiled(mut metadata: Value) -> Value {
    for callback in callbacks(&mut metadata) {
        for (name, value) in variables(callback) {
            if is_secret(name, value) {
                *value = VEIL.into();
            }
        }
    }
    metadata
}

/// `metadata` as it is written: what was shown behind a veil and comes back so stays as it was `before`. Only where the callback
/// goes where it went: else whoever may edit a key could have its credentials sent to a place of their own.
pub(crate) fn unveiled(mut metadata: Value, before: Option<&Value>) -> Value {
    for callback in callbacks(&mut metadata) {
        let kept = before.and_then(|before| same(before, callback));
        for (variable, value) in variables(callback).filter(|(_, value)| **value == VEIL) {
            *value = kept.and_then(|kept| kept.get(variable)).cloned().unwrap_or(Value::Null);
        }
    }
    metadata
}

/// Names of places may be shown, and switches. Anything else may be a credential.
fn is_secret(name: &str, value: &Value) -> bool {
    let name = name.to_ascii_lowercase();
    !(value.is_boolean() || value.is_null() || name.ends_with("host") || name == "turn_off_message_logging")
}

fn callbacks(metadata: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let logging = metadata.get_mut("logging").and_then(Value::as_array_mut);
    logging.into_iter().flatten().filter_map(Value::as_object_mut)
}

fn variables(callback: &mut Map<String, Value>) -> impl Iterator<Item = (&String, &mut Value)> {
    callback.get_mut("callback_vars").and_then(Value::as_object_mut).into_iter().flatten()
}

/// The variables that a callback had `before`, where it is the same one but for switches and what is behind the veil.
fn same<'a>(before: &'a Value, callback: &Map<String, Value>) -> Option<&'a Map<String, Value>> {
    let now = callback.get("callback_vars")?.as_object()?;
    let unchanged = |then: &Map<String, Value>| {
        let said = |vars: &Map<String, Value>| vars.values().filter(|value| !value.is_boolean()).count();
        let is_kept = |(name, value): (&String, &Value)| {
            value.is_boolean() || then.get(name).is_some_and(|then| value == VEIL || value == then)
        };
        said(now) == said(then) && now.iter().all(is_kept)
    };
    let alike = |earlier: &Value, name: &str| earlier.get(name) == callback.get(name);
    let earlier = before.get("logging")?.as_array()?.iter();
    let mut kept = earlier.filter(|earlier| alike(earlier, "callback_name")).filter_map(|earlier| {
        let then = earlier.get("callback_vars")?.as_object()?;
        unchanged(then).then_some((earlier, then))
    });
    // Two that differ only in what they get may sign in differently.
    let typed = kept.clone().find(|(earlier, _)| alike(earlier, "callback_type"));
    typed.or_else(|| kept.next()).map(|(_, then)| then)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata(secret: &str, host: &str) -> Value {
        let vars =
            json!({"langfuse_secret_key": secret, "langfuse_host": host, "turn_off_message_logging": true});
        json!({"team": "a", "logging": [{"callback_name": "langfuse", "callback_vars": vars}]})
    }

    #[test]
    fn credentials_of_callbacks_are_not_shown_and_not_lost() {
        let written = metadata("sk-lf", "https://one");
        let shown = veiled(written.clone());
        assert_eq!(shown, metadata(VEIL, "https://one"));
        let mut edited = metadata(VEIL, "https://one");
        edited["team"] = "b".into();
        edited["logging"][0]["callback_vars"]["turn_off_message_logging"] = false.into();
        let kept = unveiled(edited.clone(), Some(&written));
        assert_eq!(kept["logging"][0]["callback_vars"]["langfuse_secret_key"], "sk-lf");
        assert_eq!(kept["team"], "b");
        let unknown = |now: Value, before| {
            unveiled(now, before)["logging"][0]["callback_vars"]["langfuse_secret_key"].is_null()
        };
        assert!(unknown(edited, None));
        let elsewhere = metadata(VEIL, "https://other");
        assert!(unknown(elsewhere, Some(&written)), "no credential goes where it did not go before");
        let mut nowhere = metadata(VEIL, "");
        nowhere["logging"][0]["callback_vars"].as_object_mut().unwrap().remove("langfuse_host");
        assert!(unknown(nowhere, Some(&written)));
        for odd in [json!(null), json!({"logging": 1}), json!({"logging": [1, {"callback_vars": []}]})] {
            assert_eq!((veiled(odd.clone()), unveiled(odd.clone(), None)), (odd.clone(), odd));
        }
    }
}
