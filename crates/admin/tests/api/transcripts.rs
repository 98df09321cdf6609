//! What LiteLLM was asked, and what its answers had in them, asked here: statuses and the fields that clients read agree.
//!
//! `transcripts.jsonl` holds one request a line in the order in which LiteLLM 1.109 was asked with a database behind it,
//! its status, and the names and forms of its answer's fields. `{name.field}` stands for what an earlier answer had there.

use std::collections::HashMap;

use crate::world::{MASTER, World};
use serde_json::Value;

/// What LiteLLM refuses without a licence, and what is here for everybody.
const ENTERPRISE: &[&str] =
    &["org_new", "org_list", "project_new", "ent_key_model_max_budget", "ent_key_tags", "ent_key_guardrails"];

/// What is not asked here, and why.
const NOT_ASKED: &[(&str, &str)] = &[(
    "key_regenerate",
    "LiteLLM refuses it without a licence; here the key would be gone that others ask with",
)];

/// Fields that are not told, and why. A path ends in `*` where it stands for all that begin so.
const NOT_TOLD: &[(&str, &str)] = &[
    (
        "key_list_full.keys.*",
        "columns of LiteLLM's joined view of a key with its team, user and organization",
    ),
    ("user_info.keys.team_alias", "the text `None` for a key without a team"),
    ("user_info.user_info.model_max_budget_usage", "told with the spend reports"),
    ("user_info.admin_mcp_permissions", "there are no tool servers"),
    ("team_info.team_info.*", "columns of access groups, which are not there yet"),
    ("team_info.team_memberships.budget_source", "limits of members are their own"),
    ("team_list_v2.teams.*", "columns of access groups, which are not there yet"),
    ("budget_list.created_by", "private budgets of members are no rows here"),
];

/// Fields whose form differs, and why.
const OTHERWISE: &[(&str, &str)] = &[
    ("*.blocked", "LiteLLM says null of what was never blocked"),
    ("*.budget_id", "limits of a member are its own: they have no budget's name"),
    ("*.settings_updated_at", "told from the start"),
    ("*.last_active", "told with the spend reports"),
    ("*.policies", "an empty list in each answer"),
    ("*.organization_memberships", "an empty list in each answer"),
    ("*.key_type", "default where nothing was said"),
    ("user_info.keys.*", "LiteLLM forgets who made the key that comes with a user"),
    ("budget_list.*", "LiteLLM lists the private budget of a member first"),
    ("*.router_settings", "LiteLLM lists each setting as null"),
    ("user_new.*", "LiteLLM leaves the key's facts out where a user is made with it"),
];

#[tokio::test]
async fn what_litellm_was_asked_is_answered_alike() {
    let world = World::new().await;
    let mut answers: HashMap<String, Value> = HashMap::new();
    let mut wrong = Vec::new();
    for line in include_str!("transcripts.jsonl").lines() {
        let case: Value = serde_json::from_str(&filled(line, &answers)).unwrap();
        let name = case["name"].as_str().unwrap();
        if NOT_ASKED.iter().any(|(other, _)| *other == name) {
            continue;
        }
        let key = case["as"].as_str().unwrap_or(MASTER);
        let (method, path) = (case["method"].as_str().unwrap(), case["path"].as_str().unwrap());
        let (status, told) = world.ask(key, method, path, case["body"].clone()).await;
        let open = ENTERPRISE.contains(&name);
        let expected = if open { 200 } else { case["status"].as_u64().unwrap() };
        if u64::from(status) != expected {
            wrong.push(format!("{name}: {status} in place of {expected}: {told}"));
        } else if !open {
            compare(name, &case["answer"], &told, &mut wrong);
        }
        answers.insert(name.to_owned(), told);
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// Puts what earlier answers had into a request.
fn filled(line: &str, answers: &HashMap<String, Value>) -> String {
    let mut line = line.to_owned();
    while let Some((start, name, field, end)) = hole(&line) {
        let value = answers[&name][&field].as_str().unwrap_or_default().to_owned();
        line.replace_range(start..end, &value);
    }
    line
}

fn hole(line: &str) -> Option<(usize, String, String, usize)> {
    for (start, _) in line.match_indices('{') {
        let end = start + line[start..].find('}')?;
        let inner = &line[start + 1..end];
        if let Some((name, field)) = inner.split_once('.')
            && inner.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
        {
            return Some((start, name.to_owned(), field.to_owned(), end + 1));
        }
    }
    None
}

/// Whether an answer has each field that LiteLLM's has, in a form that clients can read.
fn compare(path: &str, expected: &Value, told: &Value, wrong: &mut Vec<String>) {
    match (expected, told) {
        (Value::Object(fields), Value::Object(told)) => {
            for (name, form) in fields {
                let path = format!("{path}.{name}");
                match told.get(name) {
                    Some(told) => compare(&path, form, told, wrong),
                    None if is_in(NOT_TOLD, &path) => {}
                    None => wrong.push(format!("{path} is not told")),
                }
            }
        }
        (Value::Array(items), Value::Array(told)) => match told.first() {
            Some(told) => compare(path, &items[0], told, wrong),
            None => wrong.push(format!("{path} is empty")),
        },
        (Value::String(form), told) if fits(form, told) || is_in(OTHERWISE, path) => {}
        _ if is_in(OTHERWISE, path) => {}
        _ => wrong.push(format!("{path} is {told} in place of {expected}")),
    }
}

fn fits(form: &str, told: &Value) -> bool {
    match form {
        "null" => told.is_null(),
        "flag" => told.is_boolean(),
        "number" => told.is_number(),
        "text" => told.is_string(),
        "list" => told.is_array(),
        _ => told.is_object(),
    }
}

fn is_in(list: &[(&str, &str)], path: &str) -> bool {
    list.iter().any(|(listed, _)| match (listed.strip_prefix('*'), listed.strip_suffix('*')) {
        (Some(end), _) => path.ends_with(end),
        (None, Some(start)) => path.starts_with(start),
        (None, None) => path == *listed,
    })
}
