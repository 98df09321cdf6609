//! What providers with a wire of their own are sent: one request of a client's against the address, the headers and the
//! body that it becomes. `UPDATE_GOLDEN=1` writes what is sent now.

use std::collections::BTreeMap;
use std::fs;

use gatewright_catalogue::{Catalogue, ProviderRow};
use gatewright_tests::client::Client;
use gatewright_tests::gateway::Gateway;
use gatewright_tests::upstream::{Answer, Script, Seen, Upstream};
use http::Uri;
use serde_json::{Value, json};

use crate::seat::{folder, folders, has_own_wire, read};

/// What every HTTP request has, or what differs from call to call.
const NOT_SHOWN: &[&str] =
    &["host", "content-length", "user-agent", "traceparent", "accept", "accept-encoding", "x-amz-date"];

/// The host of a provider that only the operator knows.
const SOMEWHERE: &str = "http://somewhere/v1";

#[test]
fn what_has_a_wire_of_its_own_is_sent_what_it_takes() {
    let upstream = Upstream::start();
    upstream.choose(|seen| match seen.path.rsplit('/').next() {
        Some("oauth" | "token") => Some(token("t-fake")),
        Some("completion") => Some(orchestrated()),
        Some("predictions") => Some(predicted()),
        Some("invocations-response-stream") => Some(container()),
        _ => None,
    });
    let rows: Vec<&ProviderRow> =
        Catalogue::builtin().providers().iter().filter(|row| has_own_wire(row)).collect();
    let list: String = rows.iter().map(|row| entry(row, &upstream)).collect();
    let gateway = Gateway::start(&format!("litellm_settings: {{drop_params: true}}\nmodel_list:\n{list}"));
    let client = Client::of(&gateway);
    for row in rows {
        let mut body: Value = serde_json::from_str(&read(&folders().join("in.json"))).unwrap();
        body["model"] = json!(row.id);
        let response = client.post("/v1/chat/completions", &body);
        assert_eq!(response.status, 200, "{}: {}", row.id, response.text());
        let lost = response.header("x-gatewright-dropped-params").to_owned();
        expect(row, &sent(row, &upstream.last(), &lost));
    }
}

/// A deployment whose address is the row's own on the fake provider's host.
fn entry(row: &ProviderRow, upstream: &Upstream) -> String {
    let path = base(row).path().trim_end_matches('/').to_owned();
    let mut params = json!({
        "model": format!("{}/{}", row.id, model_of(row)),
        "api_base": format!("{}{path}", upstream.base()),
        "api_key": "sk-fake",
    });
    // What nobody says by default is said by its own name.
    let used = |name: &str| row.paths.values().any(|path| path.contains(&format!("{{{name}}}")));
    for (name, _) in row.variables.iter().filter(|(name, variable)| variable.default.is_none() && used(name))
    {
        params[name] = json!(name);
    }
    // What its case says besides; `null` says nothing.
    if let Ok(more) = fs::read_to_string(folder(row).join("params.json")) {
        let more: Value = serde_json::from_str(&more.replace("{upstream}", &upstream.base())).unwrap();
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    }
    format!("  - {}\n", json!({ "model_name": row.id, "litellm_params": params }))
}

/// A token server's answer.
fn token(token: &str) -> Script {
    let body = json!({"access_token": token, "expires_in": 3600}).to_string();
    let answer = Answer::Raw { content_type: "application/json".to_owned(), body: body.into() };
    Script { answer, ..Script::default() }
}

/// An answer of SAP's orchestration.
fn orchestrated() -> Script {
    let message = json!({"role": "assistant", "content": "a"});
    let result = json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]});
    let body = json!({"request_id": "r", "final_result": result}).to_string();
    let answer = Answer::Raw { content_type: "application/json".to_owned(), body: body.into() };
    Script { answer, ..Script::default() }
}

/// A prediction of Replicate's that has ended.
fn predicted() -> Script {
    let body = json!({"status": "succeeded", "output": ["a"]}).to_string();
    let answer = Answer::Raw { content_type: "application/json".to_owned(), body: body.into() };
    Script { answer, ..Script::default() }
}

/// What a container of SageMaker's answers, whichever form it has: whole, as those may that know no streams.
fn container() -> Script {
    let message = json!({"role": "assistant", "content": "a"});
    let choices = json!([{"index": 0, "message": message, "finish_reason": "stop"}]);
    let body = json!({"generated_text": "a", "choices": choices}).to_string();
    let answer = Answer::Raw { content_type: "application/json".to_owned(), body: body.into() };
    Script { answer, ..Script::default() }
}

/// The address of the row, with a name for every value that a deployment gives.
fn base(row: &ProviderRow) -> Uri {
    let template = row.base_url.as_deref().unwrap_or(SOMEWHERE);
    template.replace('{', "the-").replace(['}', '_'], "").parse().unwrap()
}

fn model_of(row: &ProviderRow) -> String {
    read(&folder(row).join("model")).trim().to_owned()
}

fn sent(row: &ProviderRow, seen: &Seen, lost: &str) -> Value {
    let base = base(row);
    let host = format!("{}://{}", base.scheme_str().unwrap(), base.authority().unwrap());
    let headers: BTreeMap<&str, &str> = seen
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), shown(value.to_str().unwrap())))
        .filter(|(name, _)| !NOT_SHOWN.contains(name))
        .collect();
    json!({
        "request": format!("{} {host}{}", seen.method, seen.path),
        "headers": headers,
        "dropped": lost.split(", ").filter(|name| !name.is_empty()).collect::<Vec<_>>(),
        "body": seen.json(),
    })
}

/// A signature's scheme: the rest of it differs from day to day.
fn shown(value: &str) -> &str {
    value.split_once(" Credential=").map_or(value, |(scheme, _)| scheme)
}

fn expect(row: &ProviderRow, sent: &Value) {
    let path = folder(row).join("out.json");
    let text = format!("{}\n", serde_json::to_string_pretty(sent).unwrap());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return fs::write(path, text).unwrap();
    }
    assert_eq!(text, read(&path), "{}", path.display());
}
