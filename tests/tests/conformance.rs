//! Recorded provider traffic, replayed through the gateway: what the provider is sent and what the client gets.
//!
//! The recordings are no part of the repository; the variable `RECORDINGS` names their folder.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use gatewright_tests::client::Client;
use gatewright_tests::gateway::Gateway;
use gatewright_tests::google;
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
    "azure.chat",
    "azure_ai.chat",
    "cerebras.chat",
    "huggingface.chat",
    "cohere.chat",
    "ollama.chat",
    "openai.responses",
    "xai.responses",
    "anthropic.chat",
    "anthropic.messages",
    "bedrock.chat",
    "openai.messages_x",
    "openai_like.messages_x",
    "openrouter.messages_x",
    "mistral.messages_x",
    "groq.messages_x",
    "azure.messages_x",
    "together.messages_x",
    "openai.embedding",
    "openai_like.embedding",
    "azure.embedding",
    "mistral.embedding",
    "openai.image_generation",
    "gemini.chat",
    "gemini.generate",
    "vertex.chat",
];

/// Misses that are understood: the case, words of the miss, and why it stands.
const KNOWN: &[(&str, &str, &str)] = &[
    ("f9bfff56166ax", "reasoning", "the client's own request has no reasoning in it"),
    ("d075483f8e29x", "cache_control", "the client's own request has no cache mark in it"),
    ("7ff8ae09c046x", "cache_control", "the client's own request has no cache mark in it"),
    ("4d45968a9bb4c", ".thinking", "an effort asks for thinking; the recorded library sent the effort alone"),
    ("ee5ba75824e6c", ".strict_tools", "the client's own tools are not strict"),
    ("cab0d45f5af5c", "usage", "the provider told its reasoning tokens; the recorded facts leave them out"),
    ("ef13b7ef0ecbc", "usage", "the provider told its reasoning tokens; the recorded facts leave them out"),
    ("9545fc923ae2c", "finish", "the server says stop; a client that has calls to answer is told so"),
    ("8070669d90ddc", ".stream", "the server streams where nothing is said; we say it"),
    ("dffbde604256c", ".think", "the client's own request says nothing of thinking"),
    ("84f50883ac22c", ".think", "the client's own request says nothing of thinking"),
    ("4cd26dd834a3c", ".description", "the client's own request describes no schema"),
    ("8cf95b06f071c", ".thinking", "an effort asks for thinking; the recorded library sent the effort alone"),
    ("fff468d69390c", ".thinking", "an effort asks for thinking; the recorded library sent the effort alone"),
    ("51e1e3b5acbec", "calls [writeItems], not", "the record counts each piece of the one call as a call"),
    ("51e1e3b5acbec", "writeItems is called with", "the record has not put the pieces together"),
    ("2419a9e36b3bc", ".contents[1].parts", "the client's own request has one text there"),
    ("ffea17c258ebc", "status 500", "the recorded stream never says that it ends"),
    (
        "de4ec5afa95dc",
        "content_filter",
        "a blocked prompt has no reason of its own; LiteLLM's clients read this one",
    ),
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
        if seen.path == "/token" {
            let json = vec![("content-type".to_owned(), "application/json".to_owned())];
            return Some(Script::replay(200, &json, google::token().to_string()));
        }
        let reply = replies.get(seen.path.split('/').nth(1).unwrap_or_default())?;
        let headers: Vec<_> =
            reply.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Some(Script::replay(reply.status, &headers, reply.body.bytes()))
    });
}

/// One deployment a case, under the case's name. JSON is YAML; [`Gateway::start`] appends to it, so it ends in a key.
fn config<'a>(upstream: &Upstream, cases: impl Iterator<Item = &'a Case>) -> String {
    let mut list = String::new();
    let account = google::service_account(&upstream.base()).to_string();
    for case in cases {
        let base = format!("{}/{}", upstream.base(), case.id);
        let params: serde_json::Map<String, Value> = case
            .deployment
            .iter()
            .map(|(key, value)| match value.as_str() {
                Some("{vertex_credentials}") => (key.clone(), json!(account)),
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
    if !case.client_is_gemini() {
        body["model"] = json!(case.id);
    }
    let before = upstream.seen().len();
    let response = client.post(&case.client_request.path.replace("{model}", &case.id), &body);
    let mut misses = recording::received(case, &case.id, &response);
    let seen = upstream.seen();
    let asked: Vec<_> = seen.iter().skip(before).filter(|seen| seen.path != "/token").collect();
    match asked.as_slice() {
        [seen] => misses.extend(recording::sent(case, &format!("/{}", case.id), seen)),
        seen => misses.push(format!("{} requests reached the provider", seen.len())),
    }
    misses
}
