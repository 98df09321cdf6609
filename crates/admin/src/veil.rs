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

/// `metadata` as it is written: what was shown behind a veil and comes back so stays as it was `before`.
pub(crate) fn unveiled(mut metadata: Value, before: Option<&Value>) -> Value {
    for callback in callbacks(&mut metadata) {
        let name = callback.get("callback_name").cloned();
        for (variable, value) in variables(callback) {
            if value == VEIL {
                *value = kept(before, name.as_ref(), variable).cloned().unwrap_or(Value::Null);
            }
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

fn kept<'a>(before: Option<&'a Value>, name: Option<&Value>, variable: &str) -> Option<&'a Value> {
    let mut callbacks = before?.get("logging")?.as_array()?.iter();
    let same = callbacks.find(|callback| callback.get("callback_name") == name)?;
    same.get("callback_vars")?.get(variable)
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
        let edited = metadata(VEIL, "https://other");
        assert_eq!(unveiled(edited.clone(), Some(&written)), metadata("sk-lf", "https://other"));
        let new = unveiled(edited, None);
        assert_eq!(new["logging"][0]["callback_vars"]["langfuse_secret_key"], Value::Null);
        for odd in [json!(null), json!({"logging": 1}), json!({"logging": [1, {"callback_vars": []}]})] {
            assert_eq!((veiled(odd.clone()), unveiled(odd.clone(), None)), (odd.clone(), odd));
        }
    }
}
