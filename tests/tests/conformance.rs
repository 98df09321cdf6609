//! Recorded provider traffic, replayed through the gateway: what the provider is sent and what the client gets.
//!
//! The recordings are no part of the repository; the variable `RECORDINGS` names their folder.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gatewright_tests::client::{Client, Response};
use gatewright_tests::gateway::Gateway;
use gatewright_tests::google;
use gatewright_tests::recording::{self, Asked, Case, Dialect, Embedder, Reply};
use gatewright_tests::upstream::{Script, Seen, Upstream};
use serde_json::{Value, json};

/// Misses that are understood: the case, words of the miss (which begins with who asked), and why it stands.
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
    (
        "17f738ec57e1c",
        "ResponseFieldPaths",
        "the count of reasoning tokens is asked for; the recorded library does not",
    ),
    (
        "4c62ba795b95c",
        "ResponseFieldPaths",
        "the count of reasoning tokens is asked for; the recorded library does not",
    ),
    ("51e1e3b5acbec", "calls [writeItems], not", "the record counts each piece of the one call as a call"),
    ("51e1e3b5acbec", "writeItems is called with", "the record has not put the pieces together"),
    ("2419a9e36b3bc", ".contents[1].parts", "the client's own request has one text there"),
    ("ffea17c258ebc", "status 500", "the recorded stream never says that it ends"),
    (
        "de4ec5afa95dc",
        "finish",
        "a blocked prompt has no reason of its own; clients read that of a blocked answer",
    ),
    ("de4ec5afa95dc", "Gemini: the model", "Google's own answer, which names no model"),
    ("de4ec5afa95dc", "Gemini: 0 choices", "Google's own answer, which has no candidate"),
    ("f35f8fa7234cc", "Gemini: the model", "Google's own answer, which names no model"),
    ("7cd9316b4598c", "Gemini: ", "Google's own answer, with a number where its API has a word"),
    ("51e1e3b5acbeg", "calls [writeItems], not", "the record counts each piece of the one call as a call"),
    ("51e1e3b5acbeg", "writeItems is called with", "the record has not put the pieces together"),
    ("b757fbca2ea6e", ".truncate", "the client's own request says nothing of what is too long"),
    ("e8ff9f3992e9x", "Gemini: usage", "more reasoning than output, which Google's counts cannot say"),
    (
        "1b4f3968a515c",
        "AnthropicMessages: 0 citations",
        "what a file says is quoted, and no place in it is cited",
    ),
    (
        "c45b81d713dbr",
        "AnthropicMessages: 0 citations",
        "Anthropic's citations quote; this one has a file's id alone",
    ),
    (
        "435653d42c6dr",
        "AnthropicMessages: 0 citations",
        "Anthropic's citations quote; these have a file's id alone",
    ),
    ("435653d42c6dr", "OpenAiChat: 0 citations", "a stream of chats has no place for a file's id"),
];

#[test]
fn recorded_traffic_passes_as_it_was_recorded() {
    let Some(folder) = std::env::var_os("RECORDINGS").map(PathBuf::from) else {
        println!("skipped: RECORDINGS names no folder of recordings");
        return;
    };
    let files = files(&folder);
    let cases = || files.iter().flat_map(|(_, cases)| cases);
    let upstream = Upstream::start();
    replay_on(&upstream, cases());
    let gateway = Gateway::start(&config(&upstream, cases()));
    let client = Client::of(&gateway);
    let mut tally = Tally::default();
    for (name, cases) in &files {
        let mut replayed = 0;
        for case in cases {
            let Some(asked) = case.asked() else {
                tally.left_out(name, case);
                continue;
            };
            replayed += 1;
            run(name, case, asked, &Stage { client: &client, upstream: &upstream }, &mut tally);
        }
        println!("{name:24} {replayed:3} of {:3} replayed", cases.len());
    }
    println!("{} cases in {} files", cases().count(), files.len());
    tally.judge();
}

/// Every file of recordings in the folder, so that none is passed over.
fn files(folder: &Path) -> Vec<(String, Vec<Case>)> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".jsonl.gz").map(str::to_owned))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no recordings in {}", folder.display());
    let read = |name: String| (recording::read(&folder.join(format!("{name}.jsonl.gz"))), name);
    names.into_iter().map(read).map(|(cases, name)| (name, cases)).collect()
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

/// Two deployments a case, under the case's name and that of [`translated`]. JSON is YAML; [`Gateway::start`] appends to
/// it, so it ends in a key.
fn config<'a>(upstream: &Upstream, cases: impl Iterator<Item = &'a Case>) -> String {
    let mut list = String::new();
    let account = google::service_account(&upstream.base()).to_string();
    for case in cases {
        let base = format!("{}/{}", upstream.base(), case.id);
        let mut params: serde_json::Map<String, Value> = case
            .deployment
            .iter()
            .map(|(key, value)| match value.as_str() {
                Some("{vertex_credentials}") => (key.clone(), json!(account)),
                Some(text) => (key.clone(), json!(text.replace("{base}", &base))),
                None => (key.clone(), value.clone()),
            })
            .collect();
        list.push_str(&format!("  - {}\n", json!({"model_name": case.id, "litellm_params": params})));
        let (model, info) = translated(case);
        params.insert("model".to_owned(), json!(model));
        let entry = json!({"model_name": other(case), "litellm_params": params, "model_info": info});
        list.push_str(&format!("  - {entry}\n"));
    }
    format!("router_settings: {{num_retries: 0}}\nmodel_list:\n{list}")
}

/// The model that clients of other dialects than the recorded one ask.
fn other(case: &Case) -> String {
    format!("{}-other", case.id)
}

/// The same deployment as one that speaks nothing but the dialect on record: where a provider speaks several, every
/// client would be given its own, and the record has one of them.
fn translated(case: &Case) -> (String, Value) {
    let model = case.deployment["model"].as_str().unwrap_or_default();
    let name = model.split_once('/').map_or(model, |(_, name)| name);
    match case.asked() {
        Some(Asked::Conversation(Dialect::OpenAiResponses)) => {
            (model.to_owned(), json!({"mode": "responses"}))
        }
        Some(Asked::Passage) => (format!("text-completion-openai/{name}"), json!({})),
        _ if case.provider_is("azure") => (model.to_owned(), json!({"base_model": "azure/gpt-4"})),
        _ if ["openai", "xai", "together_ai"].iter().any(|provider| case.provider_is(provider)) => {
            (format!("openai_like/{name}"), json!({}))
        }
        _ => (model.to_owned(), json!({})),
    }
}

/// Where cases are played.
struct Stage<'a> {
    client: &'a Client,
    upstream: &'a Upstream,
}

/// Asks as the recorded client did, then in every other dialect that has the operation.
fn run(file: &str, case: &Case, asked: Asked, stage: &Stage<'_>, tally: &mut Tally) {
    let mut client = stage.client.clone();
    for (name, value) in &case.client_request.headers {
        client = client.header(name, value);
    }
    let mut body = case.client_request.body.clone();
    if asked != Asked::Conversation(Dialect::Gemini) {
        body["model"] = json!(case.id);
    }
    let path = case.client_request.path.replace("{model}", &case.id);
    let (response, seen) = stage.ask(&client, (&path, &body));
    let mut misses = match asked {
        Asked::Conversation(dialect) => recording::received(case, dialect, &case.id, &response),
        Asked::Passage => recording::passed(case, &case.id, &response),
        Asked::Vectors => Embedder::OpenAi.received(case, &response),
    };
    match seen.as_slice() {
        [seen] => misses.extend(recording::sent(case, &format!("/{}", case.id), seen)),
        seen => misses.push(format!("{} requests reached the provider", seen.len())),
    }
    tally.take(file, case, "as recorded", misses);
    match asked {
        Asked::Conversation(own) => converse(file, case, own, stage, tally),
        Asked::Vectors => {
            for embedder in Embedder::ALL.into_iter().filter(|embedder| *embedder != Embedder::OpenAi) {
                let (path, body) = embedder.ask(case, &case.id);
                let (response, _) = stage.ask(stage.client, (&path, &body));
                tally.take(file, case, &format!("{embedder:?}"), embedder.received(case, &response));
            }
        }
        Asked::Passage => {
            if let Some(case) = recording::as_conversation(case) {
                converse(file, &case, Dialect::Completions, stage, tally);
            }
        }
    }
}

/// Asks for the answer of a conversation in every dialect but the one on record.
fn converse(file: &str, case: &Case, own: Dialect, stage: &Stage<'_>, tally: &mut Tally) {
    let alias = other(case);
    for dialect in Dialect::ALL.into_iter().filter(|dialect| *dialect != own) {
        let (path, body) = dialect.ask(case, &alias);
        let (response, _) = stage.ask(stage.client, (&path, &body));
        let misses = recording::received(case, dialect, &alias, &response);
        tally.take(file, case, &format!("{dialect:?}"), misses);
    }
}

// === impl Stage ===

impl Stage<'_> {
    /// The answer, and what reached the provider meanwhile.
    fn ask(&self, client: &Client, (path, body): (&str, &Value)) -> (Response, Vec<Seen>) {
        let before = self.upstream.seen().len();
        let response = client.post(path, body);
        let seen = self.upstream.seen();
        (response, seen.into_iter().skip(before).filter(|seen| seen.path != "/token").collect())
    }
}

/// What went otherwise than recorded.
#[derive(Default)]
struct Tally {
    asked: usize,
    as_recorded: usize,
    listed: Vec<String>,
    unknown: usize,
    matched: HashSet<usize>,
}

// === impl Tally ===

impl Tally {
    fn take(&mut self, file: &str, case: &Case, how: &str, misses: Vec<String>) {
        self.asked += 1;
        self.as_recorded += usize::from(misses.is_empty());
        for miss in misses {
            let told = format!("{how}: {miss}");
            let known = KNOWN.iter().position(|(id, words, _)| case.id == *id && told.contains(words));
            let why = known.map_or("", |at| KNOWN[at].2);
            self.matched.extend(known);
            self.unknown += usize::from(known.is_none());
            self.listed.push(format!("{file} {} {:?} {told}  {why}", case.id, case.features));
        }
    }

    fn left_out(&mut self, file: &str, case: &Case) {
        self.unknown += 1;
        self.listed.push(format!("{file} {}: nobody replays {}", case.id, case.client_request.path));
    }

    fn judge(self) {
        println!("{}", self.listed.join("\n"));
        for (at, (id, words, _)) in KNOWN.iter().enumerate().filter(|(at, _)| !self.matched.contains(at)) {
            println!("no longer missed ({at}): {id} {words}");
        }
        println!("{} of {} answers came as recorded", self.as_recorded, self.asked);
        assert_eq!(self.unknown, 0, "{} misses are not known; they are listed above", self.unknown);
    }
}
