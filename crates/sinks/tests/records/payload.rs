//! What stands in a record.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use gatewright_core::{
    Allowance, Body, Budget, Cached, Call, Caller, Controls, Dialect, Error, ErrorKind, Frame, Frames, Head,
    Json, JsonLimits, KeyStanding, Money, Names, Operation, Reply, Result, Sender, ServedBy, Tab, Usage,
};
use gatewright_sinks::{Parcel, Privacy};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::fake::{Does, Fake, answer, call, make, settings, start};

async fn one(call: Call, reply: fn() -> Result<Reply>) -> Parcel {
    let fake = Fake::new("f", Does::Take);
    let sinks = start(settings(), &[&fake]);
    make(&sinks, call, reply).await;
    sleep(Duration::from_secs(6)).await;
    let got = fake.got.lock().unwrap();
    got[0].clone()
}

fn told(parcel: &Parcel, fields: &[&str]) -> Value {
    fields.iter().map(|field| parcel.fields().get(*field).cloned().unwrap_or_default()).collect()
}

fn served() -> Arc<ServedBy> {
    Arc::new(ServedBy {
        deployment: "dep-1".into(),
        group: "m".into(),
        model: "openai/gpt-4o".into(),
        api_base: "https://api.openai.com/v1".into(),
        provider: "openai".into(),
    })
}

#[tokio::test(start_paused = true)]
async fn a_call_that_succeeds_is_told_as_litellm_tells_it() {
    let key = KeyStanding { spent: Tab::from(Money(2_000_000_000)), ..KeyStanding::default() };
    let caller = Caller {
        team: Some("t-1".into()),
        user: Some("u-1".into()),
        known_as: Arc::new(Names { key: Some("dev".into()), team: Some("Team".into()), ..Names::default() }),
        tags: vec!["b".into()],
        key: Some(Arc::new(key)),
        ..Caller::new("hash")
    };
    let mut controls = Controls { tags: vec!["a".into(), "b".into()], ..Controls::default() };
    controls.record.metadata = Some(Arc::new(json!({"session_id": "s", "spend_logs_metadata": {"x": 1}})));
    controls.end_user = Some("end".into());
    let mut call = call();
    (call.caller, call.controls) = (Arc::new(caller), controls);
    let id = call.id.to_string();
    let parcel = one(call, || {
        let head = Head { served_by: Some(served()), ..Head::default() };
        Ok(Reply { head: head.into(), ..answer() })
    })
    .await;
    let fields =
        ["id", "litellm_call_id", "call_type", "status", "stream", "model", "model_group", "model_id"];
    let want = json!(["chatcmpl-7", id, "acompletion", "success", false, "gpt-4o", "m", "dep-1"]);
    assert_eq!(told(&parcel, &fields), want);
    let fields =
        ["prompt_tokens", "completion_tokens", "total_tokens", "request_tags", "end_user", "error_str"];
    assert_eq!(told(&parcel, &fields), json!([3, 2, 5, ["a", "b"], "end", null]));
    assert_eq!(parcel.value("messages").unwrap(), &json!([{"role": "user", "content": "hi"}]));
    assert_eq!(parcel.value("model_parameters").unwrap(), &json!({"temperature": 0.5, "user": "u"}));
    let response = parcel.value("response").unwrap();
    assert_eq!(response.pointer("/choices/0/message/content").unwrap(), "hello");
    assert_eq!(response.pointer("/usage/total_tokens").unwrap(), 5);
    let metadata: Vec<_> =
        ["user_api_key_hash", "user_api_key_alias", "user_api_key_team_alias", "user_api_key_user_id"]
            .map(|field| parcel.metadata(field).unwrap().as_str().unwrap().to_owned())
            .into();
    assert_eq!(metadata, ["hash", "dev", "Team", "u-1"]);
    assert_eq!(parcel.metadata("user_api_key_spend").unwrap(), 2.0);
    assert_eq!(parcel.noted("session_id").unwrap(), "s");
    assert_eq!(parcel.metadata("spend_logs_metadata").unwrap(), &json!({"x": 1}));
    assert!(parcel.seconds("startTime") > 1.7e9 && parcel.seconds("endTime") >= parcel.seconds("startTime"));
}

#[tokio::test(start_paused = true)]
async fn a_call_costs_the_sum_of_its_attempts() {
    let fake = Fake::new("f", Does::Take);
    let sinks = start(settings(), &[&fake]);
    let above = Tab::under(None);
    let mut call = call();
    call.tab = Some(above.clone());
    let next = tower::service_fn(async |call: Call| {
        let tab = call.tab.as_ref().unwrap();
        tab.add(Money(250_000_000));
        tab.add(Money(500_000_000));
        Ok(answer())
    });
    let recorded = gatewright_sinks::Recorded::new(sinks.clone());
    let mut reply = gatewright_core::Middleware::handle(&recorded, call, &next).await.unwrap();
    while reply.frames.next().await.is_some() {}
    sleep(Duration::from_secs(6)).await;
    let got = fake.got.lock().unwrap();
    assert_eq!(got[0].value("response_cost").unwrap(), 0.75);
    assert_eq!(above.total(), Money(750_000_000), "whoever counts above it counts it too");
}

#[tokio::test(start_paused = true)]
async fn a_cached_answer_tells_what_it_saved() {
    let parcel = one(call(), || {
        let cached =
            Cached { key: "k-1".into(), hit: true, similarity: None, saved: Some(Money(1_000_000_000)) };
        Ok(Reply { head: Box::new(Head { cached: Some(Arc::new(cached)), ..Head::default() }), ..answer() })
    })
    .await;
    let fields = ["cache_hit", "cache_key", "saved_cache_cost", "response_cost"];
    assert_eq!(told(&parcel, &fields), json!([true, "k-1", 1.0, 0.0]));
}

#[tokio::test(start_paused = true)]
async fn a_stream_in_another_dialect_is_told_as_the_others_are() {
    let body = r#"{"model":"m","system":"be brief","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let body = Body::Json(Json::parse(body.into(), JsonLimits::default()).unwrap());
    let codec = gatewright_dialects::of(Dialect::AnthropicMessages);
    let mut call = Call::new(Operation::Chat, codec, "m", body);
    call.stream = true;
    let parcel = one(call, || {
        let events = [
            r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"claude","usage":{"input_tokens":3,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hel"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#,
            r#"{"type":"message_stop"}"#,
        ];
        let frame = |(at, data): (usize, &&str)| {
            let kind = data.split('"').nth(3).unwrap();
            let data = Bytes::from(format!("event: {kind}\ndata: {data}\n\n"));
            Ok(Frame { data, content: u32::from(at == 2), last: at == 6, ..Frame::default() })
        };
        let frames: Vec<_> = events.iter().enumerate().map(frame).collect();
        let head = Head { streams: true, ..Head::default() };
        Ok(Reply { head: head.into(), frames: Frames::many(futures_util::stream::iter(frames)) })
    })
    .await;
    assert_eq!(told(&parcel, &["id", "call_type", "stream"]), json!(["msg_1", "anthropic_messages", true]));
    let messages = parcel.value("messages").unwrap();
    assert_eq!(messages[0]["role"], "system", "{messages}");
    assert_eq!(messages[1], json!({"role": "user", "content": "hi"}));
    let response = parcel.value("response").unwrap();
    assert_eq!(response.pointer("/choices/0/message/content").unwrap(), "hello");
    assert_eq!(parcel.value("model_parameters").unwrap(), &json!({"max_tokens": 9, "stream": true}));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_a_failure_with_what_came() {
    let fake = Fake::new("f", Does::Take);
    let sinks = start(settings(), &[&fake]);
    let next = tower::service_fn(async |_: Call| {
        let chunk = r#"{"id":"c-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"so far"},"finish_reason":null}]}"#;
        let data = Bytes::from(format!("data: {chunk}\n\n"));
        let usage = Some(Usage { input: 3, output: 1, ..Usage::default() });
        let first = Ok(Frame { data, usage, content: 6, last: false });
        let frames = futures_util::StreamExt::chain(
            futures_util::stream::iter([first]),
            futures_util::stream::pending(),
        );
        Ok(Reply { head: Box::new(Head { streams: true, ..Head::default() }), frames: Frames::many(frames) })
    });
    let recorded = gatewright_sinks::Recorded::new(sinks.clone());
    let mut call = call();
    call.stream = true;
    let mut reply = gatewright_core::Middleware::handle(&recorded, call, &next).await.unwrap();
    reply.frames.next().await.unwrap().unwrap();
    drop(reply);
    sleep(Duration::from_secs(6)).await;
    let got = fake.got.lock().unwrap();
    assert_eq!(got[0].text("status"), Some("failure"));
    assert_eq!(got[0].value("error_information").unwrap()["error_code"], "499");
    let response = got[0].value("response").unwrap();
    assert_eq!(response.pointer("/choices/0/message/content").unwrap(), "so far");
    assert_eq!(got[0].value("completion_tokens").unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_left_out_and_the_rest_is_told() {
    let fake = Fake::new("f", Does::Take);
    let content = gatewright_sinks::ContentLimits { asked: 10, answered: 10 };
    let sinks = start(gatewright_sinks::Settings { content, ..settings() }, &[&fake]);
    make(&sinks, call(), || Ok(answer())).await;
    sleep(Duration::from_secs(6)).await;
    let got = fake.got.lock().unwrap();
    assert_eq!((got[0].value("messages"), got[0].value("response")), (None, None));
    assert_eq!(got[0].value("total_tokens").unwrap(), 5);
}

#[tokio::test(start_paused = true)]
async fn whoever_called_is_told_with_their_budgets_and_the_headers_of_their_own() {
    let ends = UNIX_EPOCH + Duration::from_secs(1_763_682_682);
    let allowance = |scope: &'static str, model: Option<&str>, most: i64| Allowance {
        scope,
        id: "x".into(),
        model: model.map(Into::into),
        requests: None,
        tokens: None,
        tokens_a_day: None,
        parallel: None,
        budgets: vec![Budget {
            most: Money(most * 1_000_000_000),
            spent: Money(500_000_000),
            duration: None,
            ends: Some(ends),
            turn: 0,
        }],
        soft: None,
    };
    let allowances = vec![
        allowance("api_key", None, 1),
        allowance("user", Some("m"), 2),
        allowance("user", None, 3),
        allowance("team", None, 4),
    ];
    let caller = Caller { allowances, team: Some("t-1".into()), ..Caller::new("hash") };
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-trace", "a"),
        ("x-trace", "b"),
        ("x-real-ip", "203.0.113.9"),
        ("x-badge", "secret"),
        ("x-api-key", "secret"),
        ("x-session-token", "secret"),
        ("x-authorization", "secret"),
        ("x-secret-thing", "secret"),
        ("x-cookie", "secret"),
        ("x-credentials", "secret"),
        ("x-hub-signature", "secret"),
        ("authorization", "Bearer secret"),
    ] {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let made = || {
        let mut call = call();
        (call.caller, call.headers) = (Arc::new(caller.clone()), headers.clone());
        let target = PathAndQuery::from_static("/v1beta/models/m:generateContent?key=secret");
        call.sender = Some(Sender { address: [192, 0, 2, 7].into(), target });
        call
    };
    let told = async |privacy: Privacy| {
        let fake = Fake::new("f", Does::Take);
        let privacy = Privacy { key_header: Some(HeaderName::from_static("x-badge")), ..privacy };
        let sinks = start(gatewright_sinks::Settings { privacy, ..settings() }, &[&fake]);
        make(&sinks, made(), || Ok(answer())).await;
        sleep(Duration::from_secs(6)).await;
        let got = fake.got.lock().unwrap();
        assert!(!got[0].to_line().contains("secret"), "{}", got[0].to_line());
        got[0].clone()
    };
    let parcel = told(Privacy::default()).await;
    for (field, want) in [
        ("user_api_key_budget_reset_at", json!("2025-11-20T23:51:22Z")),
        ("user_api_key_user_spend", json!(0.5)),
        ("user_api_key_user_max_budget", json!(3.0)),
        ("user_api_key_team_spend", json!(0.5)),
        ("user_api_key_team_max_budget", json!(4.0)),
        ("user_api_key_request_route", json!("/v1beta/models/m:generateContent")),
        ("team_id", json!("t-1")),
        ("requester_ip_address", json!("192.0.2.7")),
        ("requester_custom_headers", json!({"x-trace": "a, b", "x-real-ip": "203.0.113.9"})),
    ] {
        assert_eq!(parcel.metadata(field), Some(&want), "{field}");
    }
    let parcel = told(Privacy { no_addresses: true, ..Privacy::default() }).await;
    assert_eq!((parcel.value("requester_ip_address"), parcel.metadata("requester_ip_address")), (None, None));
    assert_eq!(parcel.metadata("requester_custom_headers"), Some(&json!({"x-trace": "a, b"})));
    let parcel = told(Privacy { anonymous: true, ..Privacy::default() }).await;
    let metadata = parcel.value("metadata").unwrap().as_object().unwrap();
    let holders: Vec<_> =
        metadata.keys().filter(|name| name.starts_with("user_api_key") || name.starts_with("team")).collect();
    assert!(holders.is_empty(), "{holders:?}");
}

#[tokio::test(start_paused = true)]
async fn whose_limit_refused_a_call_is_told() {
    let limited = |kind: ErrorKind, counted: &'static str| {
        let counted = HeaderValue::from_static(counted);
        let headers = HeaderMap::from_iter([(HeaderName::from_static("rate_limit_type"), counted)]);
        Error::new(kind, "no").with_headers(headers)
    };
    for (refusal, category, counted) in [
        (limited(ErrorKind::LimitReached, "tokens"), json!("litellm_rate_limit"), json!("tokens")),
        (
            limited(ErrorKind::LimitReached, "max_parallel_requests"),
            json!("litellm_rate_limit"),
            json!("concurrent_requests"),
        ),
        (limited(ErrorKind::BudgetExceeded, "budget"), Value::Null, json!("budget")),
        // What an upstream writes there says nothing of ours.
        (limited(ErrorKind::RateLimited, "tokens"), json!("vendor_rate_limit"), Value::Null),
        (limited(ErrorKind::Upstream, "tokens"), Value::Null, Value::Null),
    ] {
        let fake = Fake::new("f", Does::Take);
        let sinks = start(settings(), &[&fake]);
        let told = refusal.clone();
        let next = tower::service_fn(move |_: Call| std::future::ready(Err::<Reply, _>(told.clone())));
        let recorded = gatewright_sinks::Recorded::new(sinks.clone());
        assert!(gatewright_core::Middleware::handle(&recorded, call(), &next).await.is_err());
        sleep(Duration::from_secs(6)).await;
        let got = fake.got.lock().unwrap();
        let information = got[0].value("error_information").unwrap();
        let found = [&information["error_rate_limit_category"], &information["error_rate_limit_type"]];
        assert_eq!(found, [&category, &counted], "{refusal:?}");
        assert_eq!(got[0].value("cost_breakdown"), None, "nothing was spent");
    }
}

#[tokio::test(start_paused = true)]
async fn the_tools_of_a_providers_own_are_told_apart() {
    for (tools, search, files) in [
        (
            json!([{"type": "web_search_20250305", "name": "w"}]),
            json!({"type": "web_search_20250305", "name": "w"}),
            Value::Null,
        ),
        (
            json!([{"type": "function"}, {"type": "file_search", "vector_store_ids": ["v"]}]),
            Value::Null,
            json!({"type": "file_search", "vector_store_ids": ["v"]}),
        ),
        (json!("none"), Value::Null, Value::Null),
    ] {
        let body = json!({"model": "m", "messages": [], "tools": tools}).to_string();
        let body = Body::Json(Json::parse(body.into(), JsonLimits::default()).unwrap());
        let call = Call::new(Operation::Chat, gatewright_dialects::of(Dialect::OpenAiChat), "m", body);
        let parcel = one(call, || Ok(answer())).await;
        let want = json!({"web_search_options": search, "file_search": files});
        assert_eq!(parcel.value("standard_built_in_tools_params"), Some(&want));
    }
}
