//! Reads the file, what it includes, and the environment it refers to, into one tree of values.

use std::path::{Path, PathBuf};

use figment::value::{Dict, Map as Profiles};
use figment::{Figment, Metadata, Profile, Provider};
use serde_json::{Map, Value};

use super::problem::Problems;

/// Reads the environment.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The same for as long as the gateway runs.
pub type Environment = std::sync::Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// How deep files may include each other.
const DEEPEST_INCLUDE: u32 = 16;

/// Names that `environment_variables` may not set: they steer the process itself.
const NOT_OURS: [&str; 8] =
    ["PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "HOME", "USER", "SHELL", "NO_PROXY"];

/// The tree of the file at `path` with its includes, overlaid with `GATEWRIGHT__SECTION__KEY` variables.
pub(super) fn load(path: &Path, overlay: &[(String, String)], problems: &mut Problems) -> Map<String, Value> {
    let tree = with_includes(path, 0, problems).unwrap_or_default();
    overlaid(tree, overlay, problems)
}

/// The tree of a text, for tests and generated configurations.
pub(super) fn parse(text: &str, problems: &mut Problems) -> Map<String, Value> {
    tree_of(text, "config", problems).unwrap_or_default()
}

/// Replaces every `os.environ/NAME` by the variable; one that is not set becomes `null`, as in LiteLLM.
pub(super) fn resolve(value: &mut Value, path: &str, env: Env<'_>, problems: &mut Problems) {
    match value {
        Value::String(text) => {
            let Some(name) = text.strip_prefix("os.environ/") else { return };
            match env(name) {
                Some(found) => *text = found,
                None => {
                    problems.warn(path, format!("the environment variable `{name}` is not set"));
                    *value = Value::Null;
                }
            }
        }
        Value::Array(list) => {
            for (i, item) in list.iter_mut().enumerate() {
                resolve(item, &format!("{path}[{i}]"), env, problems);
            }
        }
        Value::Object(map) => {
            for (key, item) in map.iter_mut() {
                resolve(item, &format!("{path}.{key}"), env, problems);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What `environment_variables` sets, over the real environment.
pub(super) fn variables(
    tree: &Map<String, Value>,
    env: Env<'_>,
    problems: &mut Problems,
) -> Vec<(String, String)> {
    let Some(Value::Object(map)) = tree.get("environment_variables") else { return Vec::new() };
    let mut set = Vec::new();
    for (name, value) in map {
        let path = format!("environment_variables.{name}");
        if NOT_OURS.contains(&name.as_str()) {
            problems.error(path, "this variable steers the process and may not be set here");
            continue;
        }
        let mut value = value.clone();
        resolve(&mut value, &path, env, problems);
        match value {
            Value::String(text) => set.push((name.clone(), text)),
            Value::Null => {}
            other => set.push((name.clone(), other.to_string())),
        }
    }
    set
}

fn with_includes(path: &Path, depth: u32, problems: &mut Problems) -> Option<Map<String, Value>> {
    let shown = path.display().to_string();
    if depth > DEEPEST_INCLUDE {
        problems.error(shown, "files include each other too deeply");
        return None;
    }
    let text = std::fs::read_to_string(path)
        .map_err(|err| problems.error(shown.clone(), format!("cannot be read: {err}")))
        .ok()?;
    let mut tree = tree_of(&text, &shown, problems)?;
    let included = match tree.remove("include") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(one)) => vec![Value::String(one)],
        Some(Value::Array(list)) => list,
        Some(_) => {
            problems.error("include", "expected a list of file names");
            Vec::new()
        }
    };
    for name in included {
        let Value::String(name) = name else {
            problems.error("include", "expected a list of file names");
            continue;
        };
        let beside = path.parent().map_or_else(|| PathBuf::from(&name), |folder| folder.join(&name));
        if let Some(more) = with_includes(&beside, depth + 1, problems) {
            merge(&mut tree, more);
        }
    }
    Some(tree)
}

/// Lists are appended, sections updated, as LiteLLM does.
fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
            (Some(Value::Object(map)), Value::Object(more)) => map.extend(more),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

fn tree_of(text: &str, name: &str, problems: &mut Problems) -> Option<Map<String, Value>> {
    // `strict_booleans`: without it `y` and `n` are booleans, which PyYAML, and so LiteLLM's users, do not expect.
    let options = serde_saphyr::options! { strict_booleans: true, duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins };
    if text.trim().is_empty() {
        return Some(Map::new());
    }
    match serde_saphyr::from_str_with_options::<Value>(text, options) {
        Ok(Value::Object(map)) => Some(map),
        Ok(Value::Null) => Some(Map::new()),
        Ok(_) => {
            problems.error(name, "expected sections at the top level");
            None
        }
        Err(err) => {
            problems.error(name, format!("not valid YAML: {err}"));
            None
        }
    }
}

/// The file below, variables above: figment's order of precedence. Lists are whole values.
fn overlaid(
    tree: Map<String, Value>,
    overlay: &[(String, String)],
    problems: &mut Problems,
) -> Map<String, Value> {
    if overlay.is_empty() {
        return tree;
    }
    let variables = overlay.iter().map(|(key, value)| (key.to_ascii_lowercase(), scalar(value)));
    let mut figment = Figment::from(Tree(tree.clone()));
    for (key, value) in variables {
        figment = figment.merge((key.replace("__", "."), value));
    }
    figment.extract().unwrap_or_else(|err| {
        problems.error("environment", err.to_string());
        tree
    })
}

/// A variable's text as YAML reads it, so that `8` is a number.
fn scalar(text: &str) -> Value {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// A tree of values as a figment provider.
struct Tree(Map<String, Value>);

impl Provider for Tree {
    fn metadata(&self) -> Metadata {
        Metadata::named("configuration file")
    }

    fn data(&self) -> figment::Result<Profiles<Profile, Dict>> {
        figment::providers::Serialized::defaults(&self.0).data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_is_read_as_litellms_users_expect() {
        let mut problems = Problems::default();
        let text = "a: y\nb: yes\nc: true\nd: 2024-02-15\nbase: &b {x: 1}\ne: {<<: *b, y: 2}\n";
        let tree = parse(text, &mut problems);
        assert_eq!(
            Value::Object(tree),
            serde_json::json!({
                "a": "y", "b": "yes", "c": true, "d": "2024-02-15", "base": {"x": 1}, "e": {"x": 1, "y": 2}
            })
        );
    }

    #[test]
    fn variables_win_over_the_file() {
        let mut problems = Problems::default();
        let tree = parse("router_settings: {num_retries: 1, timeout: 5}", &mut problems);
        let overlay = [("router_settings__num_retries".to_owned(), "4".to_owned())];
        let tree = overlaid(tree, &overlay, &mut problems);
        assert_eq!(tree["router_settings"], serde_json::json!({"num_retries": 4, "timeout": 5}));
    }

    #[test]
    fn a_variable_that_is_not_set_is_told_and_becomes_null() {
        let mut problems = Problems::default();
        let mut value = serde_json::json!({"a": "os.environ/SET", "b": ["os.environ/UNSET"]});
        resolve(&mut value, "x", &|name| (name == "SET").then(|| "v".to_owned()), &mut problems);
        assert_eq!(value, serde_json::json!({"a": "v", "b": [null]}));
        assert_eq!(problems.iter().count(), 1);
    }
}
