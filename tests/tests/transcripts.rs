//! What LiteLLM was asked, and what its answers had in them, asked here: statuses and the fields that clients read agree.
//!
//! `data/transcripts.jsonl` holds one request a line in the order in which LiteLLM 1.109 was asked with a database behind
//! it, its status, and the names and forms of its answer's fields. `{name.field}` stands for what an earlier answer had
//! there, `as` for whose key asked. What it does in bursts is its own race; ours are held by tests of limits and budgets.
#![cfg(test)]

use std::collections::HashMap;
use std::time::Duration;

use gatewright_tests::client::{Client, Response};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, deployment, poll};
use gatewright_tests::upstream::{Script, Upstream};
use serde_json::Value;

/// How long what is shipped to the database may take, and a key that lives for a second.
const PATIENCE: Duration = Duration::from_secs(3);

/// What LiteLLM refuses without a licence, and what is here for everybody.
const ENTERPRISE: &[&str] = &[
    "org_new",
    "org_list",
    "project_new",
    "ent_key_model_max_budget",
    "ent_key_tags",
    "ent_key_guardrails",
    "ent_report",
];

/// What is not asked here, and why.
const NOT_ASKED: &[(&str, &str)] = &[
    (
        "key_regenerate",
        "LiteLLM refuses it without a licence; here the key would be gone that others ask with",
    ),
    ("cost_estimate", "no route here yet: estimates and tools"),
    ("token_counter", "no route here yet: estimates and tools"),
    ("transform_request", "no route here yet: estimates and tools"),
    ("supported_params", "no route here yet: estimates and tools"),
    ("get_callbacks", "settings are the file's"),
    ("settings", "settings are the file's"),
    ("config_update", "settings are the file's"),
    ("config_update_owned", "settings are the file's"),
    ("config_list", "settings are the file's"),
    ("field_info", "settings are the file's"),
    ("router_settings", "settings are the file's"),
    ("fallback_new", "settings are the file's"),
    ("active_callbacks", "settings are the file's"),
    ("health_services", "there is no such thing here yet"),
    ("cache_ping", "there is no such thing here yet"),
    ("guardrails_list", "there is no such thing here yet"),
    ("mcp_server_new", "there is no such thing here yet"),
    ("mcp_servers", "there is no such thing here yet"),
    ("agents_new", "there is no such thing here yet"),
    ("vector_store_new", "there is no such thing here yet"),
    ("prompt_new", "there is no such thing here yet"),
    ("v1_access_group", "there is no such thing here yet"),
    ("policies", "there is no such thing here yet"),
    ("invitation", "there is no such thing here yet"),
    ("sso_ready", "there is no such thing here yet"),
    ("provider_budgets", "there is no such thing here yet"),
    ("health_latest", "there is no such thing here yet"),
    ("health_backlog", "there is no such thing here yet"),
    ("email_event", "there is no such thing here yet"),
];

/// Statuses that differ, and why.
const STATUSES: &[(&str, u16, &str)] = &[
    ("budget_1", 422, STRICT),
    ("user_key_ok", 422, STRICT),
    ("team_ok", 422, STRICT),
    ("customer_ok", 422, STRICT),
    ("tag_ok", 422, STRICT),
    (
        "tpm_1",
        429,
        "tokens are counted before a call, where LiteLLM lets the first one pass whatever it takes",
    ),
    ("customer_blocked", 400, "LiteLLM lets a blocked customer call"),
];

/// A budget of a hundred-thousandth of a dollar is less than one of these calls costs.
const STRICT: &str = "LiteLLM lets the call pass that goes beyond a budget; here none does";

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
    ("*.choices.message.annotations", "an empty list that the provider did not send"),
    ("*.choices.provider_specific_fields", "what LiteLLM's library adds to every answer"),
    ("*.choices.message.provider_specific_fields", "what LiteLLM's library adds to every answer"),
    ("route_denied.detail", "errors have the form that all others have"),
    ("mgmt_key_llm_denied.detail", "errors have the form that all others have"),
    ("*.use_xai_oauth", SWITCHES),
    ("*.use_litellm_proxy", SWITCHES),
    ("*.use_in_pass_through", SWITCHES),
    ("*.allow_client_keepalive_override", SWITCHES),
    ("*.merge_reasoning_content_in_choices", SWITCHES),
    ("*.member_auto_router", SWITCHES),
    (
        "model_info.data.model_info.*",
        "which teams reach a model, and lists of parameters, are not told there",
    ),
    (
        "v2_model_info.data.model_info.*",
        "which teams reach a model, and lists of parameters, are not told there",
    ),
    ("model_group_info.data.*", "lists of parameters and LiteLLM's own switches"),
    ("*.total_response_time_ms", "sums of days know no times"),
    ("*.total_timed_requests", "sums of days know no times"),
    ("user_daily.metadata.*", "keys are not counted there"),
    ("spend_logs_key.*", "when a row was written, which is when the call ended"),
    ("spend_logs_raw.*", "when a row was written, which is when the call ended"),
    ("spend_logs_v2.total_is_capped", "the total is the whole one"),
    ("team_daily.metadata.*", "keys are not counted there"),
    ("health.healthy_endpoints.*", "no model is called for it, so there is nothing of its answer"),
    ("*.timed_requests", "sums of days know no times"),
    ("budget_list.created_by", "private budgets of members are no rows here"),
];

/// Switches of LiteLLM's that mean nothing here, which it lists as false.
const SWITCHES: &str = "a switch that means nothing here";

/// Fields whose form differs, and why.
const OTHERWISE: &[(&str, &str)] = &[
    ("*.requester_ip_address", "addresses of clients are not kept"),
    ("*.session_id", "LiteLLM makes one up where the client gave none"),
    ("global_spend_keys.key_alias", "the first key of the list is another one"),
    ("*_noadmin.error.param", "names the header's key"),
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

#[test]
fn what_litellm_was_asked_is_answered_alike() {
    let upstream = Upstream::start();
    upstream.choose(|seen| (seen.json()["model"] == "err500").then(|| Script::fails(500, "upstream broke")));
    let list = [
        deployment("gpt-4o", "openai/gpt-4o", &upstream, ""),
        deployment("emb", "openai/text-embedding-3-small", &upstream, ""),
        deployment("e500", "openai/err500", &upstream, ""),
    ];
    let config = format!(
        "model_list:\n{}router_settings: {{num_retries: 0}}\n\
         general_settings: {{master_key: {MASTER_KEY}, store_model_in_db: true}}\n",
        list.concat()
    );
    let gateway = Setup::new(config).start();
    let mut answers: HashMap<String, Value> = HashMap::new();
    let mut wrong = Vec::new();
    for line in include_str!("../data/transcripts.jsonl").lines() {
        let case: Value = serde_json::from_str(&filled(line, &answers)).unwrap();
        let name = case["name"].as_str().unwrap();
        if is_in(NOT_ASKED, name) {
            continue;
        }
        let mut last = Vec::new();
        // What is only looked at may be looked at again.
        let again = case["method"] == "GET" || name == "expired_key";
        let told = poll(if again { PATIENCE } else { Duration::ZERO }, || {
            let told = ask(&gateway, &case);
            last = differences(name, &case, &told);
            let body = serde_json::from_slice(&told.body).unwrap_or(Value::Null);
            answers.insert(name.to_owned(), body);
            last.is_empty().then_some(())
        });
        if told.is_none() {
            wrong.append(&mut last);
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

fn ask(gateway: &Gateway, case: &Value) -> Response {
    let key = case["as"].as_str().unwrap_or(MASTER_KEY);
    let mut client = Client::with_key(gateway, key);
    for (name, value) in case["headers"].as_object().into_iter().flatten() {
        client = client.header(name, value.as_str().unwrap());
    }
    let (method, path) = (case["method"].as_str().unwrap(), case["path"].as_str().unwrap());
    let body = if case["body"].is_null() { String::new() } else { case["body"].to_string() };
    client.open(method, path, body.as_bytes()).unwrap().finish()
}

fn differences(name: &str, case: &Value, told: &Response) -> Vec<String> {
    let mut wrong = Vec::new();
    let open = ENTERPRISE.contains(&name);
    let other = STATUSES.iter().find(|(listed, ..)| *listed == name).map(|(_, status, _)| *status);
    let expected =
        other.unwrap_or(if open { 200 } else { u16::try_from(case["status"].as_u64().unwrap()).unwrap() });
    if told.status != expected {
        wrong.push(format!("{name}: {} in place of {expected}: {}", told.status, told.text()));
    } else if !open && other.is_none() && case["answer"] != "text" {
        let told = serde_json::from_slice(&told.body).unwrap_or(Value::Null);
        compare(name, &case["answer"], &told, &mut wrong);
    }
    wrong
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
