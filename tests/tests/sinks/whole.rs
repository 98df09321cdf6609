//! Every field of the payload, of calls that end in different ways. `UPDATE_GOLDEN=1` writes the files under `golden/records`
//! anew: their fields are those of LiteLLM's `StandardLoggingPayload` (`litellm/types/utils.py` of 1.109), their values what
//! the spend logs of a LiteLLM proxy have for the same calls, where it has them.

use std::path::{Path, PathBuf};

use gatewright_tests::client::{Client, Response, chat};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, deployment, poll};
use gatewright_tests::upstream::{Said, Script, Upstream, Used};
use serde_json::{Map, Value, json};

use crate::{PATIENCE, records, target, wait_for};

/// What a record has that no two calls have in common, and what stands for it here.
const VARYING: [&str; 10] = [
    "/id",
    "/trace_id",
    "/session_id",
    "/litellm_call_id",
    "/startTime",
    "/endTime",
    "/completionStartTime",
    "/response_time",
    "/hidden_params/litellm_overhead_time_ms",
    "/response/created",
];

struct Scene {
    upstream: Upstream,
    webhook: Upstream,
    gateway: Gateway,
    client: Client,
    /// What stands for what: addresses, and what names a key.
    names: Vec<(String, &'static str)>,
}

impl Scene {
    fn new(more: &str) -> Self {
        let (upstream, webhook) = (Upstream::start(), target(200));
        let gateway = Setup::new(format!(
            "router_settings: {{num_retries: 0, disable_cooldowns: true}}\nmodel_list:\n{}\
             general_settings: {{master_key: {MASTER_KEY}, litellm_key_header_name: x-badge{more}}}\n\
             litellm_settings: {{callbacks: [mine], cache: true, cache_params: {{type: local, mode: default_off}}}}\n\
             callback_settings: {{mine: {{callback_type: generic_api, endpoint: '{}/logs', flush_interval: 0.05}}}}\n",
            deployment("m", "openai/gpt-4o", &upstream, ""),
            webhook.base(),
        ))
        .start();
        let admin = Client::new(gateway.addr()).header("x-badge", MASTER_KEY);
        admin.made("/team/new", json!({"team_id": "t-1", "team_alias": "Red", "max_budget": 50}));
        admin.made("/user/new", json!({"user_id": "u-1", "user_email": "ann@example.com", "max_budget": 20}));
        let made = admin.made(
            "/key/generate",
            json!({"key_alias": "dev", "team_id": "t-1", "user_id": "u-1", "max_budget": 10, "tags": ["b"]}),
        );
        let (key, token) = (made["key"].as_str().unwrap(), made["token"].as_str().unwrap());
        let client = Client::new(gateway.addr())
            .header("x-badge", key)
            .header("authorization", "Bearer secret-elsewhere")
            .header("x-api-key", "secret-anthropic")
            .header("x-session-token", "secret-session")
            .header("user-agent", "tests/1")
            .header("x-request-from", "ci")
            .header("x-forwarded-for", "203.0.113.9")
            .header("x-litellm-tags", "a,b");
        let names = vec![(upstream.base(), "<upstream>"), (token.to_owned(), "<hash>")];
        Self { upstream, webhook, gateway, client, names }
    }

    fn ask(&self, more: Value) -> Response {
        let mut fields = json!({
            "temperature": 0.5, "user": "ann", "web_search_options": {"search_context_size": "low"},
            "metadata": {"run": "7", "spend_logs_metadata": {"team": "x"}},
        });
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.client.post("/v1/chat/completions", &chat("m", "hi", fields))
    }

    /// The record of the call of that number, checked where it may not be the same twice.
    fn record(&self, number: usize, told: &Response) -> Value {
        let record = wait_for(&self.gateway, &self.webhook, number + 1).swap_remove(number);
        let call = told.header("x-litellm-call-id");
        for field in ["trace_id", "session_id", "litellm_call_id"] {
            assert_eq!(record[field], call, "{field}");
        }
        let at = |field: &str| record[field].as_f64().unwrap();
        let (began, first, ended) = (at("startTime"), at("completionStartTime"), at("endTime"));
        assert!(1.7e9 < began && began <= first && first <= ended, "{record:#}");
        let waited = if record["stream"] == true { first } else { ended } - began;
        assert!((at("response_time") - waited).abs() < 1e-3, "{record:#}");
        let overhead = &record["hidden_params"]["litellm_overhead_time_ms"];
        let told_overhead: Option<f64> = told.header("x-litellm-overhead-duration-ms").parse().ok();
        match told_overhead {
            // Measured one after the other.
            Some(told) => {
                assert!(overhead.as_f64().is_some_and(|ms| ms > 0.0 && ms <= told), "{overhead} {told}")
            }
            None => assert!(overhead.is_null(), "{overhead}"),
        }
        assert!(!record.to_string().contains("secret") && !record.to_string().contains("sk-"), "{record:#}");
        self.named(record, told.header("x-litellm-model-id"))
    }

    fn named(&self, mut record: Value, deployment: &str) -> Value {
        for at in VARYING {
            if let Some(value) = record.pointer_mut(at).filter(|value| !value.is_null()) {
                *value = json!("<varies>");
            }
        }
        if let Some(id) = record.pointer_mut("/response/id") {
            *id = json!("<varies>");
        }
        if let Some(key) = record["cache_key"].as_str().map(str::to_owned) {
            assert_eq!(record["hidden_params"]["cache_key"], key);
            record["cache_key"] = json!("<key>");
            record["hidden_params"]["cache_key"] = json!("<key>");
        }
        let deployment = (deployment.to_owned(), "<deployment>");
        let text = self
            .names
            .iter()
            .chain([&deployment])
            .fold(record.to_string(), |text, (found, name)| text.replace(found, name));
        serde_json::from_str(&text).unwrap()
    }
}

/// Compares a record with the file of this name.
fn check(name: &str, record: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/records").join(format!("{name}.json"));
    let text = format!("{}\n", serde_json::to_string_pretty(&sorted(record)).unwrap());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let want: Value = serde_json::from_str(&read(&path)).unwrap();
    let mut others = Vec::new();
    compare("", record, &want, &mut others);
    assert!(others.is_empty(), "{name}: {others:#?}");
}

/// Notes every field that is another one than wanted.
fn compare(at: &str, found: &Value, want: &Value, others: &mut Vec<String>) {
    match (found, want) {
        (Value::Object(found), Value::Object(want)) => {
            for name in found.keys().chain(want.keys().filter(|name| !found.contains_key(*name))) {
                let absent = Value::String("<absent>".to_owned());
                let [found, want] = [found, want].map(|fields| fields.get(name).unwrap_or(&absent));
                compare(&format!("{at}/{name}"), found, want, others);
            }
        }
        _ if found == want => {}
        _ => others.push(format!("{at}: {found}, not {want}")),
    }
}

fn read(path: &PathBuf) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut all: Vec<_> = fields.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            all.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(all.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(all) => Value::Array(all.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

fn answer() -> Script {
    let used = Used { input: 100, output: 20, cached: 40, reasoning: 5, ..Used::default() };
    Script::says(Said { used, ..Said::text(["hel", "lo"]) })
        .header("x-ratelimit-limit-requests", "500")
        .header("x-ratelimit-remaining-tokens", "29000")
        .header("x-ratelimit-reset-tokens", "6m0s")
        .header("set-cookie", "secret-cookie")
}

#[test]
fn every_field_is_told_of_calls_that_end_in_each_way() {
    let scene = Scene::new("");
    let cached = json!({"cache": {"use-cache": true}});
    scene.upstream.push(answer());
    let whole = scene.ask(cached.clone());
    assert_eq!(whole.status, 200, "{}", whole.text());
    let record = scene.record(0, &whole);
    check("whole", &record);
    let parts = &record["cost_breakdown"];
    let part = |name: &str| parts[name].as_f64().unwrap_or_default();
    let sum = part("input_cost") + part("cache_read_cost") + part("output_cost") + part("tool_usage_cost");
    assert!((sum - record["response_cost"].as_f64().unwrap()).abs() < 1e-12 && sum > 0.0, "{parts}");
    let hit = scene.ask(cached);
    assert_eq!(hit.header("x-gatewright-cache"), "hit");
    let hit = scene.record(1, &hit);
    check("hit", &hit);
    assert_eq!(hit["saved_cache_cost"], record["response_cost"]);
    scene.upstream.push(answer());
    let stream = scene.ask(json!({"stream": true}));
    check("stream", &scene.record(2, &stream));
    let refusal = Script::fails(429, "too fast")
        .header("x-ratelimit-limit-requests", "500")
        .header("x-request-id", "req-1");
    scene.upstream.push(refusal);
    let failed = scene.ask(json!({}));
    assert_eq!(failed.status, 429);
    check("failed", &scene.record(3, &failed));
}

#[test]
fn where_clients_are_is_told_to_nobody_where_it_shall_not_be() {
    let scene = Scene::new(", disable_requester_ip_address_logging: true");
    scene.upstream.push(answer());
    let record = scene.record(0, &scene.ask(json!({})));
    let metadata = &record["metadata"];
    assert_eq!([&record["requester_ip_address"], &metadata["requester_ip_address"]], [&Value::Null; 2]);
    assert_eq!(metadata["requester_custom_headers"]["x-request-from"], "ci");
    assert!(!record.to_string().contains("203.0.113.9"), "{record:#}");
}

#[test]
fn what_is_told_of_a_model_is_what_the_configuration_says_now() {
    let (upstream, webhook) = (Upstream::start(), target(200));
    let text = |price: &str| {
        let more = format!("input_cost_per_token: {price}");
        format!(
            "model_list:\n{}    model_info: {{id: same}}\ngeneral_settings: {{master_key: {MASTER_KEY}}}\n\
             litellm_settings: {{callbacks: [mine]}}\n\
             callback_settings: {{mine: {{callback_type: generic_api, endpoint: '{}/logs', flush_interval: 0.05}}}}\n",
            deployment("m", "openai/gpt-4o", &upstream, &more),
            webhook.base(),
        )
    };
    let gateway = Setup::new(text("0.5")).start();
    let client = Client::of(&gateway);
    let price =
        |record: &Value| record["model_map_information"]["model_map_value"]["input_cost_per_token"].as_f64();
    assert_eq!(client.chat("m", "hi").status, 200);
    assert_eq!(wait_for(&gateway, &webhook, 1).iter().map(price).collect::<Vec<_>>(), [Some(0.5)]);
    gateway.reread(&text("0.25"));
    let told = poll(PATIENCE, || {
        assert_eq!(client.chat("m", "hi").status, 200);
        records(&webhook).iter().map(price).find(|price| *price == Some(0.25))
    });
    assert!(told.is_some(), "{:#?}", records(&webhook).last());
}
