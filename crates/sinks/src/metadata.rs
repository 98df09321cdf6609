//! What a payload says of whoever called.

use std::time::UNIX_EPOCH;

use gatewright_core::{Budget, Caller, Utc};
use serde_json::{Map, Value, json};

use crate::Privacy;
use crate::payload::{dollars, usage_object};
use crate::record::Record;

/// What proxies write of where a client is.
const ADDRESSES: [&str; 5] =
    ["x-forwarded-for", "x-real-ip", "x-client-ip", "x-envoy-external-address", "x-original-forwarded-for"];

/// The payload's `metadata`.
pub(crate) fn of(record: &Record, privacy: &Privacy) -> Value {
    let mut fields = if privacy.anonymous { Map::new() } else { holder(record) };
    let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    let noted = record.controls.record.metadata.as_deref();
    put("spend_logs_metadata", noted.and_then(|noted| noted.get("spend_logs_metadata")).cloned().into());
    put("requester_ip_address", address(record, privacy));
    put("user_agent", agent(record));
    put("requester_metadata", noted.cloned().unwrap_or_else(|| json!({})));
    put("requester_custom_headers", own_headers(record, privacy));
    put("applied_guardrails", json!([]));
    put("usage_object", record.usage.map(|usage| usage_object(&usage)).into());
    // What the gateway has none of.
    for name in [
        "prompt_management_metadata",
        "mcp_tool_call_metadata",
        "vector_store_request_metadata",
        "cold_storage_object_key",
    ] {
        put(name, Value::Null);
    }
    Value::Object(fields)
}

/// Where the client is.
pub(crate) fn address(record: &Record, privacy: &Privacy) -> Value {
    record.address.filter(|_| !privacy.no_addresses).map(|address| address.to_string()).into()
}

/// The client's name for itself.
pub(crate) fn agent(record: &Record) -> Value {
    record.user_agent.as_ref().and_then(|agent| agent.to_str().ok()).into()
}

/// Whatever tells of the key and its holder.
fn holder(record: &Record) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    let (caller, names) = (&record.caller, &record.caller.known_as);
    put("user_api_key_hash", (*caller.id).into());
    put("user_api_key_alias", names.key.as_deref().into());
    let key = caller.key.as_deref();
    put("user_api_key_spend", key.map(|key| dollars(key.spent.total())).into());
    put("user_api_key_max_budget", key.and_then(|key| key.most).map(dollars).into());
    put("user_api_key_budget_reset_at", budget(caller, "api_key").and_then(resets).into());
    for scope in ["user", "team"] {
        let budget = budget(caller, scope);
        put(&format!("user_api_key_{scope}_spend"), budget.map(|budget| dollars(budget.spent)).into());
        put(&format!("user_api_key_{scope}_max_budget"), budget.map(|budget| dollars(budget.most)).into());
    }
    put("user_api_key_team_id", caller.team.as_deref().into());
    put("user_api_key_team_alias", names.team.as_deref().into());
    put("user_api_key_org_id", caller.organization.as_deref().into());
    put("user_api_key_org_alias", names.organization.as_deref().into());
    put("user_api_key_project_id", caller.project.as_deref().into());
    put("user_api_key_project_alias", names.project.as_deref().into());
    put("user_api_key_user_id", caller.user.as_deref().into());
    put("user_api_key_user_email", names.email.as_deref().into());
    put("user_api_key_end_user_id", record.controls.end_user.as_deref().into());
    put("user_api_key_request_route", record.path.as_deref().into());
    put("team_id", caller.team.as_deref().into());
    put("team_alias", names.team.as_deref().into());
    fields
}

/// The first budget that a caller has as one of these. What was spent of it is as old as what is known of the key.
fn budget<'a>(caller: &'a Caller, scope: &str) -> Option<&'a Budget> {
    let of_scope =
        |allowance: &&gatewright_core::Allowance| allowance.scope == scope && allowance.model.is_none();
    caller.allowances.iter().filter(of_scope).find_map(|allowance| allowance.budgets.first())
}

/// `2026-11-20T23:51:22Z`.
fn resets(budget: &Budget) -> Option<String> {
    let seconds = budget.ends?.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(format!("{}Z", Utc(seconds).to_string().replace(' ', "T")))
}

/// Headers of the client's own; several of a name are one list.
fn own_headers(record: &Record, privacy: &Privacy) -> Value {
    let mut told = Map::new();
    let shown = |name: &str| !privacy.no_addresses || !ADDRESSES.contains(&name);
    for (name, value) in record.own_headers.iter().filter(|(name, _)| shown(name.as_str())) {
        let Ok(value) = value.to_str() else { continue };
        match told.get_mut(name.as_str()) {
            Some(Value::String(before)) => *before = format!("{before}, {value}"),
            _ => drop(told.insert(name.as_str().to_owned(), value.into())),
        }
    }
    Value::Object(told)
}
