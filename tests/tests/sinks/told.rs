//! What is told of a call, however it ends.

use gatewright_tests::client::{Client, chat, message};
use gatewright_tests::gateway::{MASTER_KEY, Setup, deployment, poll};
use gatewright_tests::upstream::{Ends, Said, Script, Upstream};
use serde_json::{Value, json};

use crate::{PATIENCE, gateway, records, target, wait_for};

fn text(value: &Value, at: &str) -> String {
    value.pointer(at).unwrap_or_else(|| panic!("{at}: {value:#}")).as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_record_tells_what_was_asked_answered_and_spent() {
    let (upstream, webhook) = (Upstream::start(), target(200));
    let gateway = gateway(&upstream, &webhook, "").start();
    let client = Client::of(&gateway).header("user-agent", "tests/1").header("x-litellm-tags", "a,b");
    upstream.push(Script::says(Said::text(["hello"])));
    let more = json!({"temperature": 0.5, "user": "u-1", "metadata": {"trace_name": "n"}});
    let told = client.post("/v1/chat/completions", &chat("m", "what is it", more));
    assert_eq!(told.status, 200, "{}", told.text());
    let [record] = &*wait_for(&gateway, &webhook, 1) else { panic!("one") };
    assert_eq!(record["litellm_call_id"], told.header("x-litellm-call-id"));
    assert_eq!(record["id"], told.json()["id"]);
    let fields =
        ["status", "call_type", "model", "model_group", "custom_llm_provider", "end_user", "user_agent"];
    let found: Vec<String> = fields.map(|field| record[field].as_str().unwrap_or_default().to_owned()).into();
    assert_eq!(found, ["success", "acompletion", "gpt-4o", "m", "openai", "u-1", "tests/1"]);
    assert_eq!(record["messages"], json!([{"role": "user", "content": "what is it"}]));
    assert_eq!(text(record, "/response/choices/0/message/content"), "hello");
    assert_eq!(record["request_tags"], json!(["a", "b"]));
    assert_eq!(record["model_parameters"]["temperature"], 0.5);
    assert_eq!(text(record, "/metadata/requester_metadata/trace_name"), "n");
    assert_eq!([&record["prompt_tokens"], &record["completion_tokens"]], [10, 5]);
    let cost: f64 = told.header("x-litellm-response-cost").parse().unwrap_or_default();
    let booked = gateway.journal_when("it ended", |all| all.len() == 1 && all[0].ending() == "complete");
    let booked = booked[0].0["cost"].as_f64().unwrap();
    let recorded = record["response_cost"].as_f64().unwrap();
    assert!(recorded > 0.0 && (recorded - booked).abs() < 1e-12, "{recorded} {booked} {cost}");
    let seen = webhook.last();
    assert_eq!((seen.path.as_str(), seen.header("authorization")), ("/logs", "Bearer target"));
    assert!(!String::from_utf8_lossy(&seen.body).contains(MASTER_KEY), "no key is in a record");
}

#[test]
fn streams_failures_and_clients_that_leave_have_records_too() {
    let (upstream, webhook) = (Upstream::start(), target(200));
    let gateway = gateway(&upstream, &webhook, "").start();
    let client = Client::of(&gateway);
    upstream.push(Script::says(Said::text(["hel", "lo"])));
    let streamed = client.start("/v1/messages", &message("m", "hi", json!({"stream": true}))).finish();
    assert_eq!(streamed.status, 200);
    let first = wait_for(&gateway, &webhook, 1).swap_remove(0);
    assert_eq!((&first["call_type"], &first["stream"]), (&json!("anthropic_messages"), &json!(true)));
    assert_eq!(text(&first, "/response/choices/0/message/content"), "hello");
    assert_eq!(first["status"], "success");
    upstream.push(Script::fails(429, "too fast"));
    assert_eq!(client.post("/v1/chat/completions", &chat("m", "hi", json!({}))).status, 429);
    let failed = wait_for(&gateway, &webhook, 2).swap_remove(1);
    let told = [
        text(&failed, "/status"),
        text(&failed, "/error_information/error_code"),
        text(&failed, "/error_information/error_class"),
    ];
    assert_eq!(told, ["failure", "429", "RateLimitError"]);
    assert!(text(&failed, "/error_str").contains("too fast"), "{failed:#}");
    assert_eq!(client.post("/v1/chat/completions", &chat("nobody", "hi", json!({}))).status, 400);
    let unknown = wait_for(&gateway, &webhook, 3).swap_remove(2);
    assert_eq!((&unknown["status"], &unknown["model"]), (&json!("failure"), &json!("nobody")));
    upstream.push(Script::says(Said::words(20)).stopping(8, Ends::Stall));
    let mut live = client.start("/v1/chat/completions", &chat("m", "hi", json!({"stream": true})));
    live.event_with("w0");
    drop(live);
    let left = wait_for(&gateway, &webhook, 4).swap_remove(3);
    assert_eq!([text(&left, "/status"), text(&left, "/error_information/error_code")], ["failure", "499"]);
    assert!(text(&left, "/response/choices/0/message/content").starts_with("w0"), "{left:#}");
}

#[test]
fn content_is_left_out_where_it_shall_be() {
    let (upstream, webhook) = (Upstream::start(), target(200));
    let clear = gateway(&upstream, &webhook, "").start();
    let asked = chat("m", "secret-words", json!({}));
    let said = || upstream.push(Script::says(Said::text(["secret-answer"])));
    said();
    let redacting = Client::of(&clear).header("x-litellm-enable-message-redaction", "true");
    assert_eq!(redacting.post("/v1/chat/completions", &asked).status, 200);
    upstream.push(Script::fails(400, "I do not like secret-words"));
    assert_eq!(redacting.post("/v1/chat/completions", &asked).status, 400);
    wait_for(&clear, &webhook, 2);
    let redacted = gateway(&upstream, &webhook, "turn_off_message_logging: true").start();
    said();
    assert_eq!(Client::of(&redacted).post("/v1/chat/completions", &asked).status, 200);
    for record in wait_for(&redacted, &webhook, 3) {
        assert!(!record.to_string().contains("secret"), "{record:#}");
        assert_eq!(text(&record, "/messages/0/content"), "redacted-by-litellm");
    }
    // Nobody's record: what follows it comes alone.
    said();
    let silent = chat("m", "secret-words", json!({"no-log": true}));
    assert_eq!(Client::of(&clear).post("/v1/chat/completions", &silent).status, 200);
    said();
    let without = Client::of(&clear).header("x-litellm-disable-callbacks", "mine");
    assert_eq!(without.post("/v1/chat/completions", &asked).status, 200);
    said();
    assert_eq!(Client::of(&clear).post("/v1/chat/completions", &asked).status, 200);
    let all = wait_for(&clear, &webhook, 4);
    assert_eq!((all.len(), text(&all[3], "/messages/0/content")), (4, "secret-words".to_owned()));
    let log = clear.log() + &redacted.log();
    assert!(!log.contains("secret"), "{log}");
}

#[test]
fn vendors_are_found_by_their_variables() {
    let (upstream, vendor) = (Upstream::start(), target(200));
    let config = format!(
        "model_list:\n{}general_settings: {{master_key: {MASTER_KEY}}}\n\
         litellm_settings:\n  success_callback: [langfuse, langfuse_otel, helicone, lunary, s3_v2, json_file]\n  \
         s3_callback_params: {{s3_bucket_name: logs, s3_region_name: us-east-1, s3_path: p, s3_endpoint_url: '{}'}}\n",
        deployment("m", "openai/gpt-4o", &upstream, ""),
        vendor.base(),
    );
    let gateway = Setup::new(config)
        .env("LANGFUSE_PUBLIC_KEY", "pk-lf-1")
        .env("LANGFUSE_SECRET_KEY", "sk-lf-2")
        .env("LANGFUSE_HOST", &vendor.base())
        .env("HELICONE_API_KEY", "sk-helicone")
        .env("HELICONE_API_BASE", &vendor.base())
        .env("LUNARY_PUBLIC_KEY", "lunary-key")
        .env("LUNARY_API_URL", &vendor.base())
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "aws-secret")
        .env("DEFAULT_FLUSH_INTERVAL_SECONDS", "0.1")
        .env("DEFAULT_S3_FLUSH_INTERVAL_SECONDS", "0.1")
        .start();
    assert_eq!(Client::of(&gateway).chat("m", "hi").status, 200);
    let paths = || {
        let mut paths: Vec<String> =
            vendor.seen().iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect();
        paths.sort();
        paths
    };
    let found = poll(PATIENCE, || Some(paths()).filter(|paths| paths.len() == 5));
    let found = found.unwrap_or_else(|| panic!("{:?} {}", paths(), gateway.log()));
    let posts = [
        "POST /api/public/ingestion",
        "POST /api/public/otel/v1/traces",
        "POST /custom/v1/log",
        "POST /v1/runs/ingest",
    ];
    assert_eq!(found[..4], posts);
    assert!(found[4].starts_with("PUT /logs/p/20") && found[4].ends_with(".json"), "{found:?}");
    let put = vendor.seen().into_iter().find(|seen| seen.method == "PUT").unwrap();
    let signed = put.header("authorization");
    assert!(
        signed.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
            && signed.contains("/us-east-1/s3/aws4_request"),
        "{signed}"
    );
    assert_eq!(put.header("x-amz-content-sha256").len(), 64);
    let file = gateway.dir().join("gatewright-data/records.jsonl");
    let lines =
        poll(PATIENCE, || std::fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n'))).unwrap();
    let record: Value = serde_json::from_str(lines.trim_end()).unwrap();
    assert_eq!(record["status"], "success");
    for secret in ["sk-lf-2", "sk-helicone", "lunary-key", "aws-secret"] {
        assert!(!gateway.log().contains(secret), "{secret}");
    }
}

#[test]
fn a_keys_own_sink_and_its_teams_may_not_be_inside() {
    let (upstream, webhook, inside) = (Upstream::start(), target(200), target(200));
    let gateway = gateway(&upstream, &webhook, "").start();
    let admin = Client::of(&gateway);
    let own = json!({"callback_name": "generic_api", "callback_type": "success", "callback_vars": {"endpoint": inside.base()}});
    admin.made("/team/new", json!({"team_id": "t"}));
    let nowhere = json!({"callback_name": "langsmith", "callback_vars": {}});
    assert_eq!(admin.post("/team/t/callback", &nowhere).status, 400);
    admin.made("/team/t/callback", own.clone());
    for (count, more) in [(1, json!({"metadata": {"logging": [own]}})), (2, json!({"team_id": "t"}))] {
        let mut body = more;
        body["key_alias"] = json!(format!("dev-{count}"));
        let key = admin.made("/key/generate", body)["key"].as_str().unwrap().to_owned();
        assert_eq!(Client::with_key(&gateway, &key).chat("m", "hi").status, 200);
        let record = wait_for(&gateway, &webhook, count).swap_remove(count - 1);
        assert_eq!(text(&record, "/metadata/user_api_key_alias"), format!("dev-{count}"));
        let lost = poll(PATIENCE, || {
            let metrics = admin.get("/metrics").text();
            let line = format!("gatewright_sinks_spooled{{sink=\"own:generic_api\"}} {count}");
            metrics.contains(&line).then_some(())
        });
        assert!(lost.is_some(), "{}", admin.get("/metrics").text());
    }
    assert!(gateway.log().contains("the address is forbidden"), "{}", gateway.log());
    assert_eq!(records(&inside).len(), 0);
}
