//! Recorded provider traffic, replayed through the gateway: what the provider is sent and what the client gets.
//!
//! The recordings are no part of the repository; the variable `RECORDINGS` names their folder.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use gatewright_tests::client::Client;
use gatewright_tests::gateway::Gateway;
use gatewright_tests::recording::{self, Case, Reply};
use gatewright_tests::upstream::{Script, Upstream};
use serde_json::{Value, json};

/// The files whose provider has a row, and whose client speaks a dialect that is served.
const FILES: &[&str] = &[
    "openai.chat",
    "openai_like.chat",
    "openrouter.chat",
    "mistral.chat",
    "groq.chat",
    "deepseek.chat",
    "together.chat",
    "xai.chat",
    "perplexity.chat",
    "openai.responses",
    "xai.responses",
    "anthropic.chat",
    "anthropic.messages",
    "openai.messages_x",
    "openai_like.messages_x",
    "openrouter.messages_x",
    "mistral.messages_x",
    "groq.messages_x",
    "together.messages_x",
];

/// Misses that are understood: the case, words of the miss, and why it stands.
const KNOWN: &[(&str, &str, &str)] = &[
    ("f9bfff56166ax", "reasoning", "the client's own request has no reasoning in it"),
    ("d075483f8e29x", "cache_control", "the client's own request has no cache mark in it"),
    ("7ff8ae09c046x", "cache_control", "the client's own request has no cache mark in it"),
    ("4d45968a9bb4c", ".thinking", "an effort asks for thinking; the recorded library sent the effort alone"),
    ("8cf95b06f071c", ".thinking", "an effort asks for thinking; the recorded library sent the effort alone"),
    ("fff468d69390c", ".thinking", "an effort asks for thinking; the recorded library sent the effort alone"),
];

#[test]
fn recorded_traffic_passes_as_it_was_recorded() {
    let Some(folder) = std::env::var_os("RECORDINGS").map(PathBuf::from) else {
        println!("skipped: RECORDINGS names no folder of recordings");
        return;
    };
    let files: Vec<(&str, Vec<Case>)> = FILES
        .iter()
        .map(|name| (*name, folder.join(format!("{name}.jsonl.gz"))))
        .filter(|(_, path)| path.exists())
        .map(|(name, path)| (name, recording::read(&path)))
        .collect();
    let upstream = Upstream::start();
    replay_on(&upstream, files.iter().flat_map(|(_, cases)| cases));
    let gateway = Gateway::start(&config(&upstream, files.iter().flat_map(|(_, cases)| cases)));
    let client = Client::of(&gateway);
    let (mut listed, mut unknown, mut matched) = (Vec::new(), 0, vec![false; KNOWN.len()]);
    for (name, cases) in &files {
        let mut passed = 0;
        for case in cases {
            let misses = run(case, &client, &upstream);
            passed += usize::from(misses.is_empty());
            for miss in misses {
                let known = KNOWN.iter().position(|(id, words, _)| case.id == *id && miss.contains(words));
                let why = known.map_or("", |at| KNOWN[at].2);
                if let Some(at) = known {
                    matched[at] = true;
                }
                unknown += usize::from(known.is_none());
                listed.push(format!("{name} {} {:?}: {miss}  {why}", case.id, case.features));
            }
        }
        println!("{name:24} {passed:3}/{:3}", cases.len());
    }
    println!("{}", listed.join("\n"));
    for ((id, words, _), _) in KNOWN.iter().zip(matched).filter(|(_, matched)| !matched) {
        println!("no longer missed: {id} {words}");
    }
    assert_eq!(unknown, 0, "{unknown} misses are not known; they are listed above");
}

/// Answers each request with what is on record for the case that its path begins with.
fn replay_on<'a>(upstream: &Upstream, cases: impl Iterator<Item = &'a Case>) {
    let replies: HashMap<String, Reply> =
        cases.map(|case| (case.id.clone(), case.upstream_response.clone())).collect();
    let replies = Arc::new(replies);
    upstream.choose(move |seen| {
        let reply = replies.get(seen.path.split('/').nth(1).unwrap_or_default())?;
        let headers: Vec<_> =
            reply.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Some(Script::replay(reply.status, &headers, reply.body.text.clone()))
    });
}

/// One deployment a case, under the case's name. JSON is YAML; [`Gateway::start`] appends to it, so it ends in a key.
fn config<'a>(upstream: &Upstream, cases: impl Iterator<Item = &'a Case>) -> String {
    let mut list = String::new();
    for case in cases {
        let base = format!("{}/{}", upstream.base(), case.id);
        let params: serde_json::Map<String, Value> = case
            .deployment
            .iter()
            .map(|(key, value)| match value.as_str() {
                Some(text) => (key.clone(), json!(text.replace("{base}", &base))),
                None => (key.clone(), value.clone()),
            })
            .collect();
        list.push_str(&format!("  - {}\n", json!({"model_name": case.id, "litellm_params": params})));
    }
    format!("router_settings: {{num_retries: 0}}\nmodel_list:\n{list}")
}

fn run(case: &Case, client: &Client, upstream: &Upstream) -> Vec<String> {
    let mut client = client.clone();
    for (name, value) in &case.client_request.headers {
        client = client.header(name, value);
    }
    let mut body = case.client_request.body.clone();
    body["model"] = json!(case.id);
    let before = upstream.seen().len();
    let response = client.post(&case.client_request.path, &body);
    let mut misses = recording::received(case, &case.id, &response);
    match upstream.seen().get(before..).unwrap_or_default() {
        [seen] => misses.extend(recording::sent(case, &format!("/{}", case.id), seen)),
        seen => misses.push(format!("{} requests reached the provider", seen.len())),
    }
    misses
}
