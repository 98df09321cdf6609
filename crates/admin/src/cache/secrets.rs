//! Settings of the cache as they are kept, as they are shown, and as they come back from a form that shows no secret.

use serde_json::{Map, Value, json};

use super::fields::REDIS_TYPE;
use crate::vault::{Unreadable, Vault};

/// Stands where a secret is; the same as LiteLLM's, whose forms send it back.
const VEIL: &str = "***REDACTED***";

/// Where the settings are kept: the id of their row.
pub const CACHE_SETTINGS: &str = "cache_config";

/// The fields of the row: what may be read there, and what is sealed.
const PLAIN: &str = "cache_settings";
const SEALED: &str = "sealed_cache_settings";

/// What a secret's name has in it.
const SECRET: [&str; 5] = ["password", "secret", "token", "api_key", "credential"];

/// Where what is kept goes. A secret belongs to the place that it was set for.
const PLACE: [&str; 7] = [
    "host",
    "port",
    "redis_startup_nodes",
    "startup_nodes",
    "sentinel_nodes",
    "service_name",
    "qdrant_api_base",
];

/// A place of its own each, beside the URL.
const DISCRETE: [&str; 4] = ["host", "redis_startup_nodes", "startup_nodes", "sentinel_nodes"];

/// What a URL says already.
const OF_THE_URL: [&str; 5] = ["host", "port", "db", "username", "password"];

/// The port where none is said.
const PORT: &str = "6379";

type Settings = Map<String, Value>;

/// A secret that came back veiled, and stands for none: it was set for another place, or never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lost(pub(super) String);

/// The settings with a veil over every secret.
pub(super) fn veiled(settings: &Settings) -> Settings {
    let veil = |(name, value): (&String, &Value)| {
        let shown = if is_secret(name, value) { VEIL.into() } else { value.clone() };
        (name.clone(), shown)
    };
    settings.iter().map(veil).collect()
}

/// A text in which no secret of the settings stands.
pub(super) fn without_secrets(text: String, settings: &Settings) -> String {
    let mut secrets = Vec::new();
    settings.iter().for_each(|(name, value)| gather(name, value, &mut secrets));
    secrets.iter().fold(text, |text, secret| text.replace(secret, VEIL))
}

/// The settings that are wanted where there were others `before`. What was veiled, or left out by a form that shows no
/// secret, stays as it was: only where everything that says where it goes is the same, for else whoever may change
/// the settings could have the secret sent to a place of their own.
pub(super) fn merged(said: &Settings, before: &Settings) -> Result<Settings, Lost> {
    let kept =
        |name: &str| before.get(name).filter(|value| is_secret(name, value) && same_place(said, before));
    let leaves_url = DISCRETE.iter().any(|name| said.get(*name).is_some_and(is_said));
    let mut all = Settings::new();
    for (name, value) in said.iter().filter(|(name, value)| *name != REDIS_TYPE && is_said(value)) {
        match value == VEIL {
            false => drop(all.insert(name.clone(), value.clone())),
            true if name == "url" && leaves_url => {}
            true => {
                let value = kept(name).ok_or_else(|| Lost(name.clone()))?;
                all.insert(name.clone(), value.clone());
            }
        }
    }
    let stays = |name: &str| !said.contains_key(name) && (name != "url" || !leaves_url);
    for name in before.keys().filter(|name| stays(name)) {
        all.extend(kept(name).map(|value| (name.clone(), value.clone())));
    }
    Ok(url_first(all))
}

/// A URL goes before what else says where the server is; nodes of a cluster are none of its matters.
pub(super) fn url_first(mut settings: Settings) -> Settings {
    if settings.contains_key("url") && !settings.contains_key("redis_startup_nodes") {
        settings.retain(|name, _| !OF_THE_URL.contains(&name.as_str()));
    }
    settings
}

/// The fields of the row that keeps the settings. No secret is kept where there is no vault.
pub(super) fn sealed(vault: Option<&Vault>, settings: &Settings) -> Option<Result<Settings, Unreadable>> {
    let (secret, plain): (Settings, Settings) =
        settings.clone().into_iter().partition(|(name, value)| is_secret(name, value));
    let mut closed = Settings::new();
    for (name, value) in &secret {
        match vault?.seal(&at(name), &value.to_string()) {
            Ok(text) => drop(closed.insert(name.clone(), text.into())),
            Err(err) => return Some(Err(err)),
        }
    }
    let fields = json!({PLAIN: plain, SEALED: closed});
    Some(Ok(fields.as_object().cloned().unwrap_or_default()))
}

/// The settings of a row, as they were given.
pub fn opened_cache_settings(vault: Option<&Vault>, fields: &Settings) -> Result<Settings, Unreadable> {
    let part = |name: &str| fields.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
    let mut settings = part(PLAIN);
    for (name, text) in part(SEALED) {
        let text = vault.ok_or(Unreadable)?.open(&at(&name), text.as_str().unwrap_or_default())?;
        settings.insert(name, serde_json::from_str(&text).map_err(|_| Unreadable)?);
    }
    Ok(settings)
}

/// The name belongs to the place: a secret put where an address is would be shown.
fn at(name: &str) -> String {
    format!("{CACHE_SETTINGS}/{name}")
}

/// By its name, because it is an address with a user in it, or because something in it is: a node may have its own password.
fn is_secret(name: &str, value: &Value) -> bool {
    is_secret_name(name)
        || match value {
            Value::String(text) => text.contains("://") && text.contains('@'),
            Value::Array(items) => items.iter().any(|item| is_secret("", item)),
            Value::Object(fields) => fields.iter().any(|(name, value)| is_secret(name, value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "url" || SECRET.iter().any(|part| name.contains(part))
}

/// All texts in it that are secrets.
fn gather<'a>(name: &str, value: &'a Value, secrets: &mut Vec<&'a str>) {
    match value {
        Value::String(text) if !text.is_empty() && is_secret(name, value) => secrets.push(text),
        Value::Array(items) => items.iter().for_each(|item| gather(name, item, secrets)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| gather(name, value, secrets)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What a form leaves empty is not said.
fn is_said(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// Whether both name the same servers, however the form writes numbers.
fn same_place(said: &Settings, before: &Settings) -> bool {
    let written = |settings: &Settings, name: &str| {
        let value = settings.get(name).filter(|value| is_said(value));
        match (value, name) {
            (Some(Value::String(text)), _) => text.trim().to_owned(),
            (Some(value), _) => value.to_string(),
            (None, "port") => PORT.to_owned(),
            (None, _) => String::new(),
        }
    };
    let url = match (said.get("url").filter(|url| is_said(url) && *url != VEIL), before.get("url")) {
        // A URL that is not said anew is the one before, unless another place is named.
        (None, _) => true,
        (said, before) => said == before,
    };
    url && PLACE.iter().all(|name| written(said, name) == written(before, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(value: Value) -> Settings {
        value.as_object().cloned().unwrap()
    }

    #[track_caller]
    fn check(said: Value, before: Value, want: Result<Value, &str>) {
        let got = merged(&settings(said), &settings(before));
        let want = want.map(settings).map_err(|name| Lost(name.to_owned()));
        assert_eq!(got, want);
    }

    #[test]
    fn a_secret_goes_where_it_went_and_nowhere_else() {
        let before = || json!({"type": "redis", "host": "a", "port": 6380, "password": "p"});
        let with = |host: &str, port: Value, password: Value| json!({"type": "redis", "host": host, "port": port, "password": password});
        let veil = || json!(VEIL);
        check(with("a", json!(6380), veil()), before(), Ok(before()));
        check(with("a", json!("6380"), veil()), before(), Ok(with("a", json!("6380"), json!("p"))));
        for (host, port) in [("b", json!(6380)), ("a", json!(6379)), ("a", Value::Null), ("", json!(6380))] {
            check(with(host, port, veil()), before(), Err("password"));
        }
        check(json!({"type": "redis", "url": "redis://b", "password": VEIL}), before(), Err("password"));
        let sentinels = json!({"host": "a", "port": 6380, "sentinel_nodes": [["b", 1]], "password": VEIL});
        check(sentinels, before(), Err("password"));
        // Left out by a form that does not know it.
        let silent = |host: &str| json!({"host": host, "port": 6380, "ttl": 5});
        let kept = json!({"host": "a", "port": 6380, "ttl": 5, "password": "p"});
        check(silent("a"), before(), Ok(kept));
        check(silent("b"), before(), Ok(silent("b")));
        // Taken away, or set anew.
        check(
            with("a", json!(6380), json!("")),
            before(),
            Ok(json!({"type": "redis", "host": "a", "port": 6380})),
        );
        check(with("b", json!(1), json!("q")), before(), Ok(with("b", json!(1), json!("q"))));
        check(with("a", json!(6380), veil()), json!({"host": "a", "port": 6380}), Err("password"));
    }

    #[test]
    fn a_url_is_a_secret_and_a_place() {
        let before = || json!({"url": "redis://:p@a:1", "namespace": "n"});
        check(json!({"url": VEIL, "ttl": 5}), before(), Ok(json!({"url": "redis://:p@a:1", "ttl": 5})));
        check(json!({"ttl": 5}), before(), Ok(json!({"url": "redis://:p@a:1", "ttl": 5})));
        check(json!({"url": VEIL, "host": "b"}), before(), Ok(json!({"host": "b"})));
        let said = json!({"url": "redis://b", "host": "c", "port": 5, "ttl": 1});
        check(said, before(), Ok(json!({"url": "redis://b", "ttl": 1})));
    }

    #[test]
    fn a_form_leaves_things_empty_and_says_what_follows_from_others() {
        let said =
            json!({"redis_type": "node", "host": "a", "db": null, "username": " ", "sentinel_nodes": []});
        check(said, json!({}), Ok(json!({"host": "a"})));
    }

    #[test]
    fn secrets_are_neither_kept_nor_shown_in_clear() {
        let given = settings(json!({
            "host": "redis.local", "port": 6379, "password": "hush-1", "sentinel_password": "hush-2", "url": "redis://a",
            "qdrant_api_base": "https://me:hush-3@q", "azure_client_secret": "hush-4", "ttl": 5,
            "startup_nodes": [{"host": "b", "password": "hush-5"}], "sentinel_nodes": ["redis://:hush-6@c"],
        }));
        let vault = Vault::new(&"salt".into()).unwrap();
        let kept = sealed(Some(&vault), &given).unwrap().unwrap();
        for text in [Value::Object(kept.clone()).to_string(), Value::Object(veiled(&given)).to_string()] {
            assert!(!text.contains("hush") && text.contains("redis.local"), "{text}");
        }
        assert_eq!(opened_cache_settings(Some(&vault), &kept), Ok(given.clone()));
        assert_eq!(opened_cache_settings(None, &kept), Err(Unreadable));
        assert!(sealed(None, &given).is_none(), "no secret is kept without a vault");
        let open = settings(json!({"host": "a"}));
        let kept = sealed(None, &open).unwrap().unwrap();
        assert_eq!(opened_cache_settings(None, &kept), Ok(open));
        let told = without_secrets("at redis://a: WRONGPASS hush-1, b: hush-5".to_owned(), &given);
        assert_eq!(told, "at ***REDACTED***: WRONGPASS ***REDACTED***, b: ***REDACTED***");
    }
}
