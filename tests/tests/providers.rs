//! What every provider of the catalogue is sent: one request of a client's against the address, the headers and the
//! body that its row makes of it.
//!
//! A provider without a case fails, so that no row stands untried. `UPDATE_GOLDEN=1` writes what is sent now.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gatewright_catalogue::{Catalogue, ProviderRow};
use gatewright_tests::client::Client;
use gatewright_tests::gateway::{Gateway, deployment};
use gatewright_tests::upstream::{Seen, Upstream};
use http::Uri;
use serde_json::{Value, json};

/// What every HTTP request has, or what differs from call to call.
const NOT_SHOWN: &[&str] =
    &["host", "content-length", "user-agent", "traceparent", "accept", "accept-encoding"];

/// The host of a provider that only the operator knows.
const SOMEWHERE: &str = "http://somewhere/v1";

#[test]
fn every_provider_is_sent_what_it_takes() {
    let upstream = Upstream::start();
    let rows: Vec<&ProviderRow> = Catalogue::builtin().providers().iter().collect();
    let list: String = rows.iter().map(|row| entry(row, &upstream)).collect();
    let gateway = Gateway::start(&format!("litellm_settings: {{drop_params: true}}\nmodel_list:\n{list}"));
    let client = Client::of(&gateway);
    for row in rows {
        let mut body: Value = serde_json::from_str(&read(&folder().join("in.json"))).unwrap();
        body["model"] = json!(row.id);
        let response = client.post("/v1/chat/completions", &body);
        assert_eq!(response.status, 200, "{}: {}", row.id, response.text());
        let lost = response.header("x-gatewright-dropped-params").to_owned();
        expect(row, &sent(row, &upstream.last(), &lost));
    }
}

#[test]
fn reasoning_goes_back_only_to_those_of_groqs_models_that_think() {
    let upstream = Upstream::start();
    let list = [
        deployment("talks", "groq/llama-3.3-70b-versatile", &upstream, ""),
        deployment("thinks", "groq/openai/gpt-oss-120b", &upstream, ""),
    ];
    let gateway = Gateway::start(&format!("model_list:\n{}", list.concat()));
    let client = Client::of(&gateway);
    for (model, want) in [("talks", Value::Null), ("thinks", json!("I see."))] {
        let said = json!({"role": "assistant", "content": "a", "reasoning_content": "I see."});
        let asks = json!({"role": "user", "content": "and?"});
        let response =
            client.post("/v1/chat/completions", &json!({"model": model, "messages": [said, asks]}));
        assert_eq!(response.status, 200, "{}", response.text());
        let message = &upstream.last().json()["messages"][0];
        assert_eq!((&message["reasoning"], message.get("reasoning_content")), (&want, None), "{model}");
    }
}

#[test]
fn every_case_has_a_row_and_names_its_source() {
    for entry in
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
    {
        let id = entry.file_name().unwrap().to_str().unwrap();
        assert!(Catalogue::builtin().provider(id).is_some(), "{id} has no row");
        assert!(read(&entry.join("source")).starts_with("https://"), "{id}");
    }
}

/// A deployment whose address is the row's own on the fake provider's host.
fn entry(row: &ProviderRow, upstream: &Upstream) -> String {
    let model = format!("{}/{}", row.id, read(&folder().join(&row.id).join("model")).trim());
    let path = base(row).path().trim_end_matches('/').to_owned();
    let params = json!({
        "model": model, "api_base": format!("{}{path}", upstream.base()), "api_key": "sk-fake",
    });
    format!("  - {}\n", json!({ "model_name": row.id, "litellm_params": params }))
}

fn base(row: &ProviderRow) -> Uri {
    let template = row.base_url.as_deref().unwrap_or(SOMEWHERE);
    // An address that differs by deployment is shown with the names of what it is made of.
    template.replace(['{', '}'], "").parse().unwrap()
}

fn sent(row: &ProviderRow, seen: &Seen, lost: &str) -> Value {
    let base = base(row);
    let host = format!("{}://{}", base.scheme_str().unwrap(), base.authority().unwrap());
    let headers: BTreeMap<&str, &str> = seen
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .filter(|(name, _)| !NOT_SHOWN.contains(name))
        .collect();
    json!({
        "request": format!("{} {host}{}", seen.method, seen.path),
        "headers": headers,
        "dropped": lost.split(", ").filter(|name| !name.is_empty()).collect::<Vec<_>>(),
        "body": seen.json(),
    })
}

fn expect(row: &ProviderRow, sent: &Value) {
    let path = folder().join(&row.id).join("out.json");
    let text = format!("{}\n", serde_json::to_string_pretty(sent).unwrap());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return fs::write(path, text).unwrap();
    }
    assert_eq!(text, read(&path), "{}", path.display());
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/providers")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}
