//! Parameters of deployments and credentials, as they are kept and as they are shown.

use gatewright_core::shown_address;
use serde_json::{Map, Value};

use crate::vault::{Unreadable, Vault};

/// Parameters whose texts are no secret. All others are encrypted: a provider may call its secret anything.
const PLAIN: [&str; 12] = [
    "model",
    "custom_llm_provider",
    "litellm_credential_name",
    "api_version",
    "aws_region_name",
    "vertex_location",
    "region_name",
    "tags",
    "rpm",
    "tpm",
    "weight",
    "order",
];

/// Encrypted too, for a URL may hold a password, and shown all the same: people look for them.
const SHOWN: [&str; 3] = ["api_base", "base_url", "vertex_project"];

/// A text must be this long for its ends to tell little of it.
const LONG: usize = 12;

/// The values as they are kept.
pub fn sealed(
    vault: &Vault,
    place: &str,
    values: &Map<String, Value>,
) -> Result<Map<String, Value>, Unreadable> {
    let seal = |(name, value): (&String, &Value)| {
        let kept = match is_plain(name, value) {
            true => value.clone(),
            false => vault.seal(&at(place, name), &value.to_string())?.into(),
        };
        Ok((name.clone(), kept))
    };
    values.iter().map(seal).collect()
}

/// The values as they were given.
pub fn opened(
    vault: &Vault,
    place: &str,
    kept: &Map<String, Value>,
) -> Result<Map<String, Value>, Unreadable> {
    let open = |(name, value): (&String, &Value)| {
        let given = match value {
            Value::String(text) if !PLAIN.contains(&name.as_str()) => {
                serde_json::from_str(&vault.open(&at(place, name), text)?).map_err(|_| Unreadable)?
            }
            plain => plain.clone(),
        };
        Ok((name.clone(), given))
    };
    kept.iter().map(open).collect()
}

/// The values as they may be shown.
pub(crate) fn masked(values: &Map<String, Value>) -> Map<String, Value> {
    values.iter().map(|(name, value)| (name.clone(), mask(name, value))).collect()
}

fn is_plain(name: &str, value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(_) | Value::Number(_)) || PLAIN.contains(&name)
}

/// The name belongs to the place: a key put where an address is would be shown.
fn at(place: &str, name: &str) -> String {
    format!("{place}/{name}")
}

fn mask(name: &str, value: &Value) -> Value {
    match value {
        _ if is_plain(name, value) => value.clone(),
        Value::String(text) if SHOWN.contains(&name) => shown_address(text).into(),
        Value::String(text) if text.chars().count() >= LONG => {
            let letters: Vec<char> = text.chars().collect();
            let (start, end) = (&letters[..2], &letters[letters.len() - 2..]);
            start.iter().chain(&['*'; 4]).chain(end).collect::<String>().into()
        }
        _ => "*****".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_may_be_secret_is_neither_kept_nor_shown_in_clear() {
        let vault = Vault::new(&"salt".into()).unwrap();
        let given = json!({
            "model": "openai/gpt-4o", "rpm": 5, "stream": true, "api_base": "https://me:pass@host/v1?key=of-the-query",
            "api_key": "sk-0123456789abcdef", "password": "short", "extra_headers": {"x-key": "of-the-header"}, "order": "1",
        });
        let given = given.as_object().unwrap();
        let kept = sealed(&vault, "model/a", given).unwrap();
        let text = serde_json::to_string(&kept).unwrap();
        for secret in ["0123456789", "pass@", "of-the-query", "short", "of-the-header"] {
            assert!(!text.contains(secret), "{secret}");
        }
        assert_eq!((&kept["model"], &kept["rpm"]), (&json!("openai/gpt-4o"), &json!(5)));
        assert_eq!(opened(&vault, "model/a", &kept).unwrap(), *given);
        assert_eq!(opened(&vault, "model/b", &kept), Err(Unreadable));
        assert_eq!(
            Value::Object(masked(given)),
            json!({
                "model": "openai/gpt-4o", "rpm": 5, "stream": true, "api_base": "https://host/v1",
                "api_key": "sk****ef", "password": "*****", "extra_headers": "*****", "order": "1",
            })
        );
        let mut moved = kept.clone();
        moved.insert("api_base".into(), kept["api_key"].clone());
        assert_eq!(opened(&vault, "model/a", &moved), Err(Unreadable), "an address is shown, a key is not");
    }
}
