//! What LiteLLM sends to the providers for the same requests of clients, beside what the gateway sends.
//!
//! The record is no part of the repository: it stands in `reference`, beside the folder that `RECORDINGS` names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gatewright_catalogue::Catalogue;
use gatewright_tests::client::Client;
use gatewright_tests::gateway::Gateway;
use gatewright_tests::google;
use gatewright_tests::recording::Form;
use gatewright_tests::upstream::{Script, Seen, Upstream};
use http::Uri;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Value, json};

/// The addresses that only an operator knows, and those that have an operator's values in them, as on record.
const BASES: &[(&str, &str)] = &[
    ("azure", "https://res.openai.azure.com"),
    ("azure_ai", "https://x.services.ai.azure.com"),
    ("bedrock", "https://bedrock-runtime.us-east-1.amazonaws.com"),
    ("cloudflare", "https://api.cloudflare.com/client/v4/accounts/acct/ai/v1"),
    ("databricks", "https://dbx.example/serving-endpoints"),
    ("hosted_vllm", "http://vllm:8000/v1"),
    ("litellm_proxy", "http://proxy:4000"),
    ("sagemaker_chat", "https://runtime.sagemaker.us-east-1.amazonaws.com"),
    ("snowflake", "https://acc.snowflakecomputing.com/api/v2/cortex/v1"),
    ("vertex_ai", "https://us-central1-aiplatform.googleapis.com"),
    ("watsonx", "https://us-south.ml.cloud.ibm.com"),
];

/// Models for which LiteLLM needed the network, so that nothing of theirs is on record.
const NOT_ON_RECORD: &[&str] =
    &["huggingface/together/deepseek-ai/DeepSeek-R1", "replicate/meta/meta-llama-3-70b-instruct"];

/// Headers of HTTP's own, or by which LiteLLM names itself.
const NOT_COMPARED: &[&str] = &[
    "accept",
    "content-length",
    "content-type",
    "host",
    "http-referer",
    "request-source",
    "user-agent",
    "x-amz-date",
    "x-pplx-integration",
    "x-title",
];

/// Where we say something else: the models, the cases, words of the difference, and why.
type Difference = (&'static [&'static str], &'static [&'static str], &'static str, &'static str);

const KNOWN: &[Difference] = &[
    // Beyond LiteLLM.
    (
        &["anthropic/", "bedrock/anthropic", "bedrock/amazon", "bedrock/invoke/", "vertex_ai/claude"],
        &["json_object"],
        ".system has 2 items, not 1",
        "LiteLLM loses the wish for JSON; we put it into words",
    ),
    (
        &["anthropic/"],
        &["json"],
        "structured-outputs-2025-11-13",
        "no longer in beta, so no header asks for it",
    ),
    (&["anthropic/"], &["json"], ".output_format", "its name in the beta; now it is `output_config.format`"),
    (&["anthropic/"], &["json"], ".output_config", "the name since the beta's end"),
    (
        &["bedrock/invoke/", "vertex_ai/claude"],
        &["json"],
        ".tool_choice.disable_parallel_tool_use",
        "the answer is one call; a second one would be a second answer",
    ),
    (
        &["bedrock/invoke/", "bedrock/amazon", "vertex_ai/claude"],
        &["json"],
        "Gives the final answer.",
        "the tool that stands for the schema is described",
    ),
    (&["bedrock/amazon"], &["json"], ".additionalProperties", "the client's schema reaches the model whole"),
    (&["cohere_chat/"], &["tools"], ".tool_choice", "LiteLLM loses it; the API takes it"),
    (&["cohere_chat/"], &["json", "json_object"], ".response_format", "LiteLLM loses it; the API takes it"),
    (&["groq/"], &["json"], ".function.strict", "the client wants its schema kept strictly"),
    (
        &["deepseek/", "sambanova/"],
        &["vision"],
        ".messages[0].content has 2 items, not 1",
        "LiteLLM loses the picture unsaid; what cannot see shall say so",
    ),
    (&["ollama_chat/"], &["tools"], ".messages[3].tool_name", "its API knows a result by the tool's name"),
    (
        &["ollama/"],
        &["basic", "tools", "vision", "json", "json_object", "reasoning", "cache", "stream"],
        "/api/chat, not to",
        "the chat API keeps turns, tools and pictures; LiteLLM writes them into one prompt",
    ),
    (
        &["ollama/"],
        &["basic", "tools", "vision", "json", "json_object", "reasoning", "cache", "stream"],
        ".prompt",
        "turns stand in `messages`",
    ),
    (
        &["ollama/"],
        &["basic", "tools", "vision", "json", "json_object", "reasoning", "cache", "stream"],
        ".messages =",
        "turns stand in `messages`",
    ),
    (&["ollama/"], &["tools"], ".format", "tools are offered as such, so that no JSON is demanded"),
    (&["ollama/"], &["tools"], ".tools", "tools are offered as such"),
    (&["ollama/"], &["vision"], ".images", "the picture stands in its message"),
    (
        &["ollama/", "ollama_chat/"],
        &["reasoning"],
        ".think",
        "the model does not think, and Ollama refuses the wish",
    ),
    (
        &["databricks/"],
        &["basic", "tools", "vision", "json", "json_object", "reasoning", "cache", "stream"],
        "",
        "Claude is asked in its own words, at the workspace's other address",
    ),
    (&["snowflake/"], &["json", "json_object"], ".response_format", "LiteLLM loses it; the API takes it"),
    (&["ai21_chat/"], &["basic"], ".top_p", "LiteLLM loses it; the API takes it"),
    (
        &["cerebras/"],
        &["basic", "tools", "vision", "json", "json_object", "reasoning", "cache", "stream"],
        "the cap is",
        "its API reference knows the newer name",
    ),
    (&["azure/"], &["cache"], ".cache_control", "Azure's models know no such mark"),
    // As good.
    (
        &["watsonx/"],
        &["basic", "tools", "vision", "json", "json_object", "reasoning", "cache", "stream"],
        "not sent: .model = ",
        "IBM's own name for it goes, `model_id`",
    ),
    (&["watsonx/"], &["stream"], ".stream = true", "the path says it"),
    (&["watsonx/"], &["cache"], ".cache_control", "IBM's API knows no such mark"),
    (&["anthropic/", "vertex_ai/claude"], &["stream"], ".stream = true", "recorded before LiteLLM adds it"),
    (
        &["vertex_ai/claude"],
        &["basic", "tools", "vision", "json", "json_object", "reasoning", "cache", "stream"],
        "x-api-key",
        "the token is shown once, where Google looks for it",
    ),
    (
        &["vertex_ai/claude"],
        &["basic", "tools", "vision", "json", "json_object", "reasoning", "cache", "stream"],
        "anthropic-version",
        "Google reads the version in the body",
    ),
    (
        &["snowflake/"],
        &["basic", "tools", "vision", "json", "json_object", "reasoning", "cache", "stream"],
        "x-snowflake-authorization-token-type",
        "Snowflake tells by the token what kind it is",
    ),
    (
        &["moonshot/"],
        &["tools"],
        ".messages has 5 items, not 6",
        "LiteLLM puts words into the user's mouth where no tool can be demanded",
    ),
    // Fields of the client's own that LiteLLM drops. An endpoint of OpenAI's dialect is given them; one that refuses them
    // says so to the client.
    (
        &[
            "groq/",
            "together_ai/",
            "deepseek/",
            "openrouter/",
            "perplexity/",
            "hosted_vllm/",
            "deepinfra/",
            "cloudflare/",
            "azure_ai/",
            "snowflake/",
            "moonshot/",
            "dashscope/",
            "sagemaker_chat/",
        ],
        &["basic"],
        "in excess: .user",
        "the client's own field",
    ),
    (&["perplexity/", "deepinfra/", "snowflake/"], &["basic"], "in excess: .seed", "the client's own field"),
    (&["perplexity/", "snowflake/"], &["basic"], "in excess: .stop", "the client's own field"),
    (&["perplexity/"], &["tools"], "in excess: .tools", "the client's own field"),
    (&["perplexity/", "deepinfra/"], &["tools"], "in excess: .tool_choice", "the client's own field"),
    (
        &["perplexity/", "deepinfra/", "snowflake/"],
        &["tools"],
        "in excess: .parallel_tool_calls",
        "the client's own field",
    ),
    (&["hosted_vllm/"], &["cache"], ".cache_control", "the client's own mark; vLLM passes over it"),
    (
        &[
            "azure/",
            "together_ai/",
            "fireworks_ai/",
            "perplexity/",
            "cerebras/",
            "sambanova/",
            "nvidia_nim/",
            "deepinfra/",
            "cloudflare/",
            "azure_ai/",
            "snowflake/",
            "ai21_chat/",
            "moonshot/",
            "github/",
            "sagemaker_chat/",
        ],
        &["reasoning"],
        "in excess: .reasoning_effort",
        "the client's own field; no refusal is on record",
    ),
    // Short of LiteLLM.
    (
        &["bedrock/anthropic"],
        &["tools"],
        "disable_parallel_tool_use",
        "beside a forced tool its own `tool_choice` could undo the force; the client is told",
    ),
];

/// One request on record.
#[derive(Deserialize)]
struct Row {
    model: String,
    case: String,
    url: Option<String>,
    body: Option<Value>,
    headers: Option<BTreeMap<String, Value>>,
}

#[test]
fn what_litellm_sends_is_sent_too() {
    let Some(rows) = rows() else {
        return println!("skipped: no `reference/provider_requests.jsonl` beside the folder of RECORDINGS");
    };
    let upstream = Upstream::start();
    answer_tokens(&upstream);
    let rows: Vec<Row> = rows.into_iter().filter(|row| !row.is_out_of_reach()).collect();
    let gateway = Gateway::start(&config(&rows, &upstream));
    let client = Client::of(&gateway);
    let clients = client_requests();
    let (mut listed, mut unknown, mut alike) = (Vec::new(), 0, 0);
    let mut matched: Vec<Vec<(&str, &str)>> = vec![Vec::new(); KNOWN.len()];
    for row in &rows {
        let differences = differences(row, &clients[&row.case], &client, &upstream);
        alike += usize::from(differences.is_empty());
        for difference in differences {
            let known = KNOWN.iter().position(|known| row.is_in(known) && difference.contains(known.2));
            if let Some(at) = known {
                matched[at].push((&row.model, &row.case));
            }
            unknown += usize::from(known.is_none());
            let why = known.map_or("NOT KNOWN", |at| KNOWN[at].3);
            listed.push(format!("{} {}: {difference}  {why}", row.model, row.case));
        }
    }
    println!("{}\n{alike} of {} are alike", listed.join("\n"), rows.len());
    assert_eq!(unknown, 0, "{unknown} differences are not known; they are listed above");
    let gone: Vec<String> =
        KNOWN.iter().zip(&matched).flat_map(|(known, matched)| gone(known, matched)).collect();
    assert!(gone.is_empty(), "no longer different:\n{}", gone.join("\n"));
}

// === impl Row ===

impl Row {
    fn provider(&self) -> &str {
        self.model.split('/').next().unwrap_or_default()
    }

    /// Whether there is nothing to compare.
    fn is_out_of_reach(&self) -> bool {
        let unrecorded = NOT_ON_RECORD.contains(&self.model.as_str());
        assert!(self.body.is_some() || unrecorded, "{} has no body", self.model);
        unrecorded
    }

    fn is_in(&self, (models, cases, ..): &Difference) -> bool {
        let model = models.iter().any(|model| self.model.starts_with(model));
        model && cases.contains(&self.case.as_str())
    }

    /// The address of what a deployment of this provider is given, or of the provider's row.
    fn base(&self) -> String {
        let deployed = BASES.iter().find(|(provider, _)| *provider == self.provider()).map(|(_, base)| *base);
        let row = || Catalogue::builtin().provider(self.provider())?.base_url.as_deref();
        deployed.or_else(row).unwrap_or_else(|| panic!("{} has no address", self.model)).to_owned()
    }

    /// Where the request went. OpenAI's library, through which LiteLLM sends some, adds the operation by itself.
    fn address(&self) -> String {
        let url = self.url.as_deref().unwrap_or_default().trim_end_matches('/');
        let (_, name) = self.model.split_once('/').unwrap_or_default();
        const WHOLE: [&str; 6] = [
            "/completions",
            "/chat",
            "/chat_stream",
            "/generate",
            "/invocations",
            "/invocations-response-stream",
        ];
        let path = url.split('?').next().unwrap_or_default();
        let whole = WHOLE.iter().any(|end| path.ends_with(end));
        match Form::of(&self.model) {
            Form::OpenAi if self.provider() == "azure" => {
                format!("{url}/openai/deployments/{name}/chat/completions")
            }
            Form::OpenAi if !whole => format!("{url}/chat/completions"),
            _ => percent_decode_str(url).decode_utf8_lossy().into_owned(),
        }
    }

    /// The body on the wire: OpenAI's library takes some arguments that it does not send.
    fn sent(&self) -> Value {
        let mut body = self.body.clone().unwrap_or_default();
        if let Some(fields) = body.as_object_mut() {
            fields.retain(|key, _| key != "extra_body" && key != "extra_headers");
        }
        body
    }
}

/// All that is on record; nothing where there is no record.
fn rows() -> Option<Vec<Row>> {
    let recordings = std::env::var_os("RECORDINGS").map(PathBuf::from)?;
    let text = fs::read_to_string(recordings.join("../reference/provider_requests.jsonl")).ok()?;
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// What the clients sent, by case.
fn client_requests() -> BTreeMap<String, Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/requests.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn answer_tokens(upstream: &Upstream) {
    upstream.choose(|seen| {
        let json = vec![("content-type".to_owned(), "application/json".to_owned())];
        let token = json!({"access_token": "ya29.TOK", "expires_in": 3600, "token_type": "Bearer"});
        (seen.path == "/token").then(|| Script::replay(200, &json, token.to_string()))
    });
}

/// One deployment a model, under its own name. The recorded deployments drop what a provider does not take.
fn config(rows: &[Row], upstream: &Upstream) -> String {
    let account = google::service_account(&upstream.base()).to_string();
    let entries: BTreeMap<&str, String> =
        rows.iter().map(|row| (row.model.as_str(), entry(row, upstream, &account))).collect();
    let list: String = entries.into_values().collect();
    format!(
        "router_settings: {{num_retries: 0, disable_cooldowns: true}}\n\
         litellm_settings: {{drop_params: true}}\nmodel_list:\n{list}"
    )
}

/// A deployment whose address is the provider's own path on the fake provider's host.
fn entry(row: &Row, upstream: &Upstream, account: &str) -> String {
    let base: Uri = row.base().parse().unwrap();
    let mut params = match row.provider() {
        "vertex_ai" => json!({
            "vertex_credentials": account, "vertex_project": "proj", "vertex_location": "us-central1",
        }),
        "watsonx" => json!({"token": "my-tok", "project_id": "proj"}),
        "sagemaker_chat" => json!({
            "aws_access_key_id": "AKID", "aws_secret_access_key": "secret", "aws_region_name": "us-east-1",
        }),
        _ => json!({"api_key": "my-key"}),
    };
    params["model"] = json!(row.model);
    params["api_base"] = json!(format!("{}{}", upstream.base(), base.path().trim_end_matches('/')));
    format!("  - {}\n", json!({"model_name": row.model, "litellm_params": params}))
}

/// What the provider is sent otherwise than on record.
fn differences(row: &Row, request: &Value, client: &Client, upstream: &Upstream) -> Vec<String> {
    let mut request = request.clone();
    request["model"] = json!(row.model);
    let before = upstream.seen().len();
    let response = client.post("/v1/chat/completions", &request);
    let seen = upstream.seen();
    let asked: Vec<&Seen> = seen[before..].iter().filter(|seen| seen.path != "/token").collect();
    let [seen] = asked.as_slice() else {
        return vec![format!("{} requests are sent: {}", asked.len(), response.text())];
    };
    let mut found = Vec::new();
    found.extend(address_differs(row, seen));
    found.extend(headers_missing(row, seen));
    let (expected, actual) = (row.sent(), seen.json());
    found.extend(cap_differs(&expected, &actual));
    found.extend(Form::of(&row.model).differences(&expected, &actual));
    found
}

fn address_differs(row: &Row, seen: &Seen) -> Option<String> {
    let base: Uri = row.base().parse().unwrap();
    let host = format!("{}://{}", base.scheme_str().unwrap(), base.authority().unwrap());
    let path = percent_decode_str(&seen.path).decode_utf8_lossy();
    let (went, expected) = (format!("{host}{path}"), row.address());
    // A version in the query is the row's own affair where the record has none.
    let alike = went == expected || went.split('?').next() == Some(&expected);
    (!alike).then(|| format!("sent to {went}, not to {expected}"))
}

/// Headers on record that are not sent. Of secrets only both ends are on record.
fn headers_missing(row: &Row, seen: &Seen) -> Vec<String> {
    let mut expected: BTreeMap<String, &str> = BTreeMap::new();
    for (name, value) in row.headers.iter().flatten() {
        // The arguments of Azure's library are named otherwise than its header.
        let name = name.to_ascii_lowercase().replace("api_key", "api-key");
        expected.extend(value.as_str().map(|value| (name, value)));
    }
    if expected.keys().all(|name| NOT_COMPARED.contains(&name.as_str())) {
        expected.insert("authorization".to_owned(), "Be****ey");
    }
    expected.retain(|name, _| !NOT_COMPARED.contains(&name.as_str()));
    let missing = expected.into_iter().filter(|(name, value)| !is_shown_as(seen.header(name), value));
    missing.map(|(name, value)| format!("header {name} is `{}`, not `{value}`", seen.header(&name))).collect()
}

fn is_shown_as(value: &str, shown: &str) -> bool {
    match shown.split_once("****") {
        // A signature is another one every time.
        Some(("AW", _)) => value.starts_with("AWS4-HMAC-SHA256 "),
        Some((head, tail)) => value.starts_with(head) && value.ends_with(tail),
        None => value == shown,
    }
}

/// The comparison of bodies takes both names of the cap for one; a provider takes only its own.
fn cap_differs(expected: &Value, actual: &Value) -> Option<String> {
    let name = |body: &Value| {
        ["max_tokens", "max_completion_tokens"].into_iter().find(|name| body.get(*name).is_some())
    };
    let (expected, actual) = (name(expected), name(actual));
    (expected != actual).then(|| format!("the cap is {actual:?}, not {expected:?}"))
}

/// What a line of the list says and no request shows any more.
fn gone(known: &Difference, matched: &[(&str, &str)]) -> Vec<String> {
    let (models, cases, words, _) = known;
    let pairs = models.iter().flat_map(|model| cases.iter().map(move |case| (*model, *case)));
    let missing = pairs
        .filter(|(model, case)| !matched.iter().any(|(name, seen)| name.starts_with(model) && seen == case));
    missing.map(|(model, case)| format!("{model} {case}: {words}")).collect()
}
