//! What each target is told, against its documented API.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use gatewright_sinks::{
    Delivered, Format, Helicone, Langfuse, LangfuseAccess, LangfuseOtel, Lunary, Parcel, S3, S3Settings,
    Sign, Sink, Undelivered, Webhook,
};
use gatewright_transport::{Request, Trust};
use serde_json::{Value, json};

use super::target::{Target, line};

const ID: &str = "01993b6e-8b9a-7000-8000-0123456789ab";

fn parcel(change: Value) -> Parcel {
    let mut fields = json!({
        "id": "chatcmpl-7",
        "trace_id": "trace-1",
        "litellm_call_id": ID,
        "call_type": "acompletion",
        "response_cost": 0.25,
        "status": "success",
        "total_tokens": 5,
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "startTime": 1_763_682_682.125,
        "endTime": 1_763_682_684.5,
        "completionStartTime": 1_763_682_683.0,
        "model": "gpt-4o",
        "metadata": {
            "user_api_key_team_alias": "Team A",
            "requester_metadata": {"session_id": "s-1", "trace_name": "n", "Helicone-Property-App": "x"},
        },
        "request_tags": ["a"],
        "end_user": "u-1",
        "messages": [{"role": "user", "content": "hi"}],
        "response": {"id": "chatcmpl-7", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}}]},
        "model_parameters": {"temperature": 0.5, "stop": ["x"]},
        "error_str": null,
    });
    let (into, from) = (fields.as_object_mut().unwrap(), change.as_object().unwrap().clone());
    into.extend(from);
    Parcel::new(into.clone())
}

fn good() -> Parcel {
    parcel(json!({}))
}

fn failed() -> Parcel {
    let error = json!({"error_code": "429", "error_class": "RateLimitError", "error_message": "too fast"});
    let change = json!({
        "litellm_call_id": "other", "status": "failure", "error_str": "too fast", "error_information": error,
        "response": null,
    });
    parcel(change)
}

fn access(host: &str) -> LangfuseAccess {
    LangfuseAccess { host: host.to_owned(), public_key: "pk-lf-1".into(), secret_key: "sk-lf-2".into() }
}

/// LiteLLM's `generic_api`.
#[tokio::test]
async fn a_webhook_gets_records_in_the_form_that_it_wants() {
    let (one, two) = (good(), failed());
    let both = [one.clone(), two.clone()];
    let as_array = format!("[{},{}]", one.to_line(), two.to_line());
    let as_lines = format!("{}\n{}", one.to_line(), two.to_line());
    for (format, most, body) in [
        (Format::JsonArray, usize::MAX, as_array),
        (Format::Ndjson, usize::MAX, as_lines),
        (Format::Single, 1, one.to_line()),
    ] {
        let target = Target::start();
        let headers = [("authorization".to_owned(), "Bearer t".into()), ("X-Own".to_owned(), "o".into())];
        let endpoint = format!("{}/logs?a=b", target.base());
        let sink = Webhook::new("w", &endpoint, &headers, (format, line(Trust::Operator))).unwrap();
        assert_eq!(sink.most_parcels(), most);
        assert_eq!(sink.deliver(&both[..most.min(2)]).await, Ok(Delivered::default()));
        let asked = target.asked().swap_remove(0);
        assert_eq!((asked.line.as_str(), asked.body.as_str()), ("POST /logs?a=b HTTP/1.1", body.as_str()));
        let told =
            ["authorization", "x-own", "content-type"].map(|name| asked.header(name).unwrap().to_owned());
        assert_eq!(told, ["Bearer t", "o", "application/json"]);
    }
}

#[tokio::test]
async fn an_answer_says_whether_it_is_worth_another_try() {
    let target = Target::start();
    let sink = Webhook::new("w", &target.base(), &[], (Format::JsonArray, line(Trust::Operator))).unwrap();
    let later = |why: &str, after: Option<u64>| {
        Err(Undelivered::Later { why: why.to_owned(), after: after.map(Duration::from_secs) })
    };
    for (status, headers, want) in [
        (204, "", Ok(Delivered::default())),
        (429, "retry-after: 7\r\n", later("the target answers 429", Some(7))),
        (500, "", later("the target answers 500", None)),
        (503, "retry-after: soon\r\n", later("the target answers 503", None)),
        (408, "", later("the target answers 408", None)),
        (401, "", Err(Undelivered::never("the target answers 401"))),
        (302, "location: /x\r\n", Err(Undelivered::never("the target answers 302"))),
    ] {
        target.answer(status, headers, "");
        assert_eq!(sink.deliver(&[good()]).await, want, "{status}");
    }
    let nobody =
        Webhook::new("w", "http://127.0.0.1:1", &[], (Format::JsonArray, line(Trust::Operator))).unwrap();
    assert_eq!(nobody.deliver(&[good()]).await, Err(Undelivered::later("could not connect")));
}

#[tokio::test]
async fn a_callers_address_may_not_be_inside() {
    let target = Target::start();
    let sink = Webhook::new("w", &target.base(), &[], (Format::JsonArray, line(Trust::Untrusted))).unwrap();
    assert_eq!(sink.deliver(&[good()]).await, Err(Undelivered::later("the address is forbidden")));
    assert!(target.asked().is_empty());
}

/// <https://api.reference.langfuse.com/#tag/ingestion/post/api/public/ingestion>.
#[tokio::test]
async fn langfuse_gets_a_trace_and_a_generation() {
    let target = Target::start();
    let sink = Langfuse::new("langfuse", &access(&target.base()), line(Trust::Operator)).unwrap();
    target.answer(
        207,
        "",
        &json!({"successes": [], "errors": [{"id": "other-trace-create", "status": 400}]}).to_string(),
    );
    assert_eq!(sink.deliver(&[good(), failed()]).await, Ok(Delivered { refused: 1 }));
    let asked = target.asked().swap_remove(0);
    assert_eq!(asked.line, "POST /api/public/ingestion HTTP/1.1");
    // `pk-lf-1:sk-lf-2`.
    assert_eq!(asked.header("authorization"), Some("Basic cGstbGYtMTpzay1sZi0y"));
    let batch = asked.json()["batch"].as_array().unwrap().clone();
    let kinds: Vec<_> = batch.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["trace-create", "generation-create", "trace-create", "generation-create"]);
    assert_eq!(batch[0]["id"], format!("{ID}-trace-create"), "what comes twice is one");
    assert_eq!(batch[0]["timestamp"], "2025-11-20T23:51:24.500Z");
    let trace = &batch[0]["body"];
    assert_eq!(
        [&trace["id"], &trace["name"], &trace["userId"], &trace["sessionId"]],
        ["trace-1", "n", "u-1", "s-1"]
    );
    assert_eq!((&trace["tags"], &trace["timestamp"]), (&json!(["a"]), &json!("2025-11-20T23:51:22.125Z")));
    let generation = &batch[1]["body"];
    assert_eq!([&generation["id"], &generation["traceId"], &generation["model"]], [ID, "trace-1", "gpt-4o"]);
    assert_eq!(generation["completionStartTime"], "2025-11-20T23:51:23.000Z");
    assert_eq!(generation["input"], json!([{"role": "user", "content": "hi"}]));
    assert_eq!(generation["output"], json!({"role": "assistant", "content": "hello"}));
    assert_eq!(
        generation["usage"],
        json!({"input": 3, "output": 2, "total": 5, "unit": "TOKENS", "totalCost": 0.25})
    );
    assert_eq!(generation["modelParameters"], json!({"temperature": 0.5, "stop": "[\"x\"]"}));
    let failure = &batch[3]["body"];
    assert_eq!((&failure["level"], &failure["statusMessage"]), (&json!("ERROR"), &json!("too fast")));
}

/// <https://langfuse.com/integrations/native/opentelemetry>.
#[tokio::test]
async fn langfuse_gets_spans_where_it_takes_nothing_else() {
    let target = Target::start();
    let sink = LangfuseOtel::new("langfuse_otel", &access(&target.base()), line(Trust::Operator)).unwrap();
    assert_eq!(sink.deliver(&[good(), failed()]).await, Ok(Delivered::default()));
    let asked = target.asked().swap_remove(0);
    assert_eq!(asked.line, "POST /api/public/otel/v1/traces HTTP/1.1");
    assert_eq!(asked.header("authorization"), Some("Basic cGstbGYtMTpzay1sZi0y"));
    assert_eq!(asked.header("x-langfuse-ingestion-version"), Some("4"));
    let body = asked.json();
    let spans = body.pointer("/resourceSpans/0/scopeSpans/0/spans").unwrap();
    let span = &spans[0];
    assert_eq!(span["traceId"], "01993b6e8b9a700080000123456789ab");
    assert_eq!(span["spanId"].as_str().unwrap().len(), 16);
    assert_eq!(
        (&span["startTimeUnixNano"], &span["endTimeUnixNano"]),
        (&json!("1763682682125000000"), &json!("1763682684500000000"))
    );
    let attribute = |name: &str| {
        let all = span["attributes"].as_array().unwrap();
        all.iter().find(|one| one["key"] == name).unwrap()["value"]["stringValue"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(attribute("langfuse.observation.type"), "generation");
    assert_eq!(attribute("langfuse.observation.model.name"), "gpt-4o");
    assert_eq!(attribute("langfuse.observation.usage_details"), r#"{"input":3,"output":2,"total":5}"#);
    assert_eq!(attribute("langfuse.observation.cost_details"), r#"{"total":0.25}"#);
    assert_eq!(attribute("langfuse.observation.output"), r#"{"role":"assistant","content":"hello"}"#);
    assert_eq!((attribute("user.id"), attribute("session.id")), ("u-1".to_owned(), "s-1".to_owned()));
    assert_eq!(spans[1]["status"]["code"], 2);
}

/// <https://docs.helicone.ai/getting-started/integration-method/manual-logger-curl>.
#[tokio::test]
async fn helicone_gets_every_record_by_itself() {
    let target = Target::start();
    let sink = Helicone::new("helicone", &target.base(), &"sk-h".into(), line(Trust::Operator)).unwrap();
    assert_eq!(sink.most_parcels(), 1);
    assert_eq!(sink.deliver(&[good()]).await, Ok(Delivered::default()));
    assert_eq!(sink.deliver(&[failed()]).await, Ok(Delivered::default()));
    let asked = target.asked();
    assert_eq!(asked[0].line, "POST /custom/v1/log HTTP/1.1");
    assert_eq!(asked[0].header("authorization"), Some("Bearer sk-h"));
    let body = asked[0].json();
    assert_eq!(body["providerRequest"]["url"], "custom-model-nopath");
    let request = &body["providerRequest"]["json"];
    assert_eq!((&request["model"], &request["temperature"]), (&json!("gpt-4o"), &json!(0.5)));
    assert_eq!(request["messages"], json!([{"role": "user", "content": "hi"}]));
    let meta = json!({"Helicone-Request-Id": ID, "Helicone-User-Id": "u-1", "Helicone-Property-App": "x"});
    assert_eq!(body["providerRequest"]["meta"], meta);
    assert_eq!(
        (&body["providerResponse"]["status"], &body["providerResponse"]["json"]["id"]),
        (&json!(200), &json!("chatcmpl-7"))
    );
    let timing = json!({
        "startTime": {"seconds": 1_763_682_682, "milliseconds": 125},
        "endTime": {"seconds": 1_763_682_684, "milliseconds": 500},
    });
    assert_eq!(body["timing"], timing);
    let refused = asked[1].json();
    assert_eq!(refused["providerResponse"]["status"], 429);
    assert_eq!(refused["providerResponse"]["json"]["error"]["message"], "too fast");
}

/// <https://docs.lunary.ai/api/runs/ingest-run-events>.
#[tokio::test]
async fn lunary_is_told_when_a_run_begins_and_ends() {
    let target = Target::start();
    let sink = Lunary::new("lunary", &target.base(), &"pub-key".into(), line(Trust::Operator)).unwrap();
    let results = json!({"results": [
        {"id": ID, "success": false, "error": "Run with this ID already exists in the database."},
        {"id": "other", "success": false, "error": "no"},
        {"id": "other", "success": false, "error": "no"},
    ]});
    target.answer(200, "", &results.to_string());
    assert_eq!(sink.deliver(&[good(), failed()]).await, Ok(Delivered { refused: 1 }), "one came before");
    let asked = target.asked().swap_remove(0);
    assert_eq!(asked.line, "POST /v1/runs/ingest HTTP/1.1");
    assert_eq!(asked.header("authorization"), Some("Bearer pub-key"));
    let events = asked.json()["events"].as_array().unwrap().clone();
    let start = json!({
        "type": "llm", "event": "start", "runId": ID, "timestamp": "2025-11-20T23:51:22.125Z",
        "runtime": "gatewright", "name": "gpt-4o", "input": [{"role": "user", "content": "hi"}], "userId": "u-1",
        "tags": ["a"], "params": {"temperature": 0.5, "stop": ["x"]},
        "metadata": {"session_id": "s-1", "trace_name": "n", "Helicone-Property-App": "x"},
    });
    let end = json!({
        "type": "llm", "event": "end", "runId": ID, "timestamp": "2025-11-20T23:51:24.500Z",
        "runtime": "gatewright", "output": {"role": "assistant", "content": "hello"},
        "tokensUsage": {"prompt": 3, "completion": 2},
    });
    assert_eq!([&events[0], &events[1]], [&start, &end]);
    assert_eq!(
        (&events[3]["event"], &events[3]["error"]),
        (&json!("error"), &json!({"message": "too fast"}))
    );
}

/// Notes what is to be signed.
#[derive(Default)]
struct Signed(Mutex<Vec<String>>);

impl Sign for Signed {
    fn sign<'a>(&'a self, request: &'a mut Request) -> BoxFuture<'a, gatewright_core::Result<()>> {
        self.0.lock().unwrap().push(request.uri.to_string());
        request.headers.insert("authorization", "AWS4-HMAC-SHA256 x".parse().unwrap());
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn an_object_is_named_as_litellm_names_it() {
    let target = Target::start();
    let settings = S3Settings {
        bucket: "logs".into(),
        region: "us-west-2".into(),
        endpoint: Some(target.base()),
        path: "my path/".into(),
        team_prefix: true,
        encryption: Some("AES256".into()),
        ..S3Settings::default()
    };
    let signed = Arc::new(Signed::default());
    let sink = S3::new("s3_v2", settings.clone(), signed.clone(), line(Trust::Operator)).unwrap();
    assert_eq!(sink.most_parcels(), 1);
    assert_eq!(sink.deliver(&[good()]).await, Ok(Delivered::default()));
    let asked = target.asked().swap_remove(0);
    let path = "/logs/my%20path/Team%20A/2025-11-20/time-23-51-22-125000_chatcmpl-7.json";
    assert_eq!(asked.line, format!("PUT {path} HTTP/1.1"));
    assert_eq!(asked.body, good().to_line());
    let headers = ["content-type", "content-disposition", "x-amz-server-side-encryption", "authorization"];
    let told = headers.map(|name| asked.header(name).unwrap().to_owned());
    let shown = "inline; filename=\"time-2025-11-20T23-51-22-125000_chatcmpl-7.json\"";
    assert_eq!(told, ["application/json", shown, "AES256", "AWS4-HMAC-SHA256 x"]);
    assert_eq!(
        *signed.0.lock().unwrap(),
        [format!("{}{path}", target.base())],
        "what is sent is what was signed"
    );
    target.answer(503, "", "<Error/>");
    assert!(matches!(sink.deliver(&[good()]).await, Err(Undelivered::Later { .. })));
    let odd = parcel(json!({"id": "../../a b/\u{e4}"}));
    sink.deliver(&[odd]).await.unwrap();
    let line = target.asked().pop().unwrap().line;
    assert!(line.ends_with("_..-..-a-b--.json HTTP/1.1"), "a provider does not choose the place: {line}");
}
