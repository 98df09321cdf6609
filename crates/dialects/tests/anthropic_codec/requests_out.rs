//! Requests for an upstream: turns and parts, and the fields that stand alone.

use gatewright_core::ModelFacts;
use gatewright_core::chat::{CacheMark, Chat, Effort, MediaKind, MediaSource, Part, Role, Turn};
use serde_json::{Value, json};

use super::asking::{base64, call, check, media, result, think, written};
use super::{encode, newest};

#[test]
fn a_plain_question_is_a_small_request() {
    let (body, losses) = written(|_| {}, &ModelFacts { name: "claude".into(), ..ModelFacts::default() });
    let want = json!({ "model": "claude", "max_tokens": 4096,
                       "messages": [{ "role": "user", "content": "hi" }] });
    assert_eq!((body, losses), (want, vec![]));
}

#[test]
fn turns_become_system_and_alternating_messages() {
    let new = &newest();
    check(&[
        (
            |c| c.turns.insert(0, Turn::new(Role::Developer, vec![Part::text("s")])),
            new,
            "/system",
            json!("s"),
            &[],
        ),
        (
            |c| {
                c.turns.insert(0, Turn::new(Role::System, vec![Part::text("s")]));
                c.turns.push(Turn::new(Role::System, vec![Part::text("late")]));
            },
            new,
            "/system",
            json!([{ "type": "text", "text": "s" }, { "type": "text", "text": "late" }]),
            &[],
        ),
        (
            |c| {
                let cache = Some(CacheMark::OneHour);
                let part = Part::Text { text: "s".into(), citations: vec![], cache };
                c.turns.insert(0, Turn::new(Role::System, vec![part]));
            },
            new,
            "/system/0/cache_control",
            json!({ "type": "ephemeral", "ttl": "1h" }),
            &[],
        ),
        (
            |c| c.turns.push(Turn::new(Role::User, vec![Part::text("and")])),
            new,
            "/messages",
            json!([{ "role": "user", "content": [{ "type": "text", "text": "hi" }, { "type": "text", "text": "and" }] }]),
            &[],
        ),
        (
            |c| {
                c.turns.push(Turn::new(Role::Assistant, vec![call("a", "{}"), call("b", r#"{"x": 1}"#)]));
                c.turns.push(Turn::new(Role::User, vec![Part::text("look:")]));
                c.turns.push(Turn::new(Role::User, vec![result("a", vec![Part::text("1")])]));
                c.turns.push(Turn::new(Role::User, vec![result("b", vec![])]));
            },
            new,
            "/messages/2/content",
            json!([
                { "type": "tool_result", "tool_use_id": "a", "content": "1" },
                { "type": "tool_result", "tool_use_id": "b" },
                { "type": "text", "text": "look:" },
            ]),
            &[],
        ),
        // A prefilled answer is kept, but may not end in white space.
        (
            |c| c.turns.push(Turn::new(Role::Assistant, vec![Part::text("It is \n")])),
            new,
            "/messages/1",
            json!({ "role": "assistant", "content": "It is" }),
            &[],
        ),
        // Nothing said.
        (
            |c| {
                c.turns.push(Turn::new(Role::Assistant, vec![Part::text("")]));
                c.turns.push(Turn::new(Role::User, vec![Part::text("?")]));
            },
            new,
            "/messages/0/content/1/text",
            json!("?"),
            &[],
        ),
        // An empty question is the provider's to refuse.
        (|c| c.turns[0].parts = vec![Part::text("")], new, "/messages/0/content", json!(""), &[]),
        (
            |c| c.turns[0].name = Some("Ann".into()),
            new,
            "/messages/0/content",
            json!("hi"),
            &["messages.name"],
        ),
        (
            |c| {
                let extra = &mut c.turns[0].extra;
                extra.insert("cache_control".into(), json!({ "type": "ephemeral" }));
                extra.insert("annotations".into(), json!([]));
            },
            new,
            "/messages/0/content/0/cache_control",
            json!({ "type": "ephemeral" }),
            &[],
        ),
    ]);
}

#[test]
fn every_part_becomes_its_block() {
    let cases: Vec<(Part, Value, &[&str])> = vec![
        (
            call("call:1|x", "{}"),
            json!({ "type": "tool_use", "id": "call_1_x", "name": "f", "input": {} }),
            &[],
        ),
        (call("a", ""), json!({ "type": "tool_use", "id": "a", "name": "f", "input": {} }), &[]),
        (
            call("a", r#"{"x": 1.50}"#),
            json!({ "type": "tool_use", "id": "a", "name": "f", "input": { "x": 1.5 } }),
            &[],
        ),
        (
            call("a", r#"{"x": "#),
            json!({ "type": "tool_use", "id": "a", "name": "f", "input": { "invalid_arguments": "{\"x\":" } }),
            &[],
        ),
        (
            Part::Reasoning { text: "hm".into(), signature: Some("s".into()) },
            json!({ "type": "thinking", "thinking": "hm", "signature": "s" }),
            &[],
        ),
        (Part::Reasoning { text: "hm".into(), signature: None }, json!(null), &["messages.reasoning"]),
        (
            Part::RedactedReasoning { data: "z".into() },
            json!({ "type": "redacted_thinking", "data": "z" }),
            &[],
        ),
        (Part::Refusal("no".into()), json!({ "type": "text", "text": "no" }), &[]),
        (
            Part::Other(json!({ "type": "web_search_tool_result", "tool_use_id": "s", "content": [] })),
            json!({ "type": "web_search_tool_result", "tool_use_id": "s", "content": [] }),
            &[],
        ),
        (Part::Other(json!({ "type": "strange" })), json!(null), &["messages.strange"]),
        (
            media(MediaKind::Image, base64("image/jpg")),
            json!({ "type": "image", "source": { "type": "base64", "media_type": "image/jpeg", "data": "aGk=" } }),
            &[],
        ),
        (
            media(MediaKind::Image, MediaSource::Url("https://x".into())),
            json!({ "type": "image", "source": { "type": "url", "url": "https://x" } }),
            &[],
        ),
        (
            media(MediaKind::Document, base64("application/pdf")),
            json!({ "type": "document", "title": "n",
                    "source": { "type": "base64", "media_type": "application/pdf", "data": "aGk=" } }),
            &[],
        ),
        (
            media(MediaKind::Document, base64("text/csv")),
            json!({ "type": "document", "title": "n",
                    "source": { "type": "text", "media_type": "text/plain", "data": "hi" } }),
            &[],
        ),
        (
            media(MediaKind::Document, base64("image/png")),
            json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "aGk=" } }),
            &[],
        ),
        (
            media(MediaKind::Document, MediaSource::File("file_1".into())),
            json!({ "type": "document", "title": "n", "source": { "type": "file", "file_id": "file_1" } }),
            &[],
        ),
        (media(MediaKind::Audio, base64("audio/wav")), json!(null), &["input_audio"]),
        (media(MediaKind::Video, base64("video/mp4")), json!(null), &["video_url"]),
        (
            result("a", vec![Part::text("x"), media(MediaKind::Image, MediaSource::Url("https://x".into()))]),
            json!({ "type": "tool_result", "tool_use_id": "a", "content": [
                { "type": "text", "text": "x" },
                { "type": "image", "source": { "type": "url", "url": "https://x" } },
            ] }),
            &[],
        ),
    ];
    for (part, want, lost) in cases {
        let turns = vec![Turn::new(Role::User, vec![Part::text("-"), part.clone(), Part::text("-")])];
        let (body, losses) = encode(&Chat { turns, ..Chat::default() }, &newest());
        let blocks = body["messages"][0]["content"].as_array().unwrap();
        let block = blocks.iter().find(|block| block["text"] != "-").cloned().unwrap_or_default();
        assert_eq!(block, want, "{part:?}");
        assert_eq!(losses, lost, "{part:?}");
    }
}

#[test]
fn only_citations_that_the_provider_gave_go_back() {
    let sealed = json!({ "type": "web_search_result_location", "url": "u", "encrypted_index": "e" });
    let page = json!({ "type": "page_location", "document_index": 0 });
    let web =
        |index: Value| json!({ "type": "web_search_result_location", "url": "u", "encrypted_index": index });
    let citations = vec![web(Value::Null), web("".into()), sealed.clone(), page.clone()];
    let turns = vec![Turn::new(Role::User, vec![Part::Text { text: "t".into(), citations, cache: None }])];
    let (body, _) = encode(&Chat { turns, ..Chat::default() }, &newest());
    assert_eq!(body["messages"][0]["content"][0]["citations"], json!([sealed, page]));
}

#[test]
fn other_fields_are_carried_or_reported() {
    let new = &newest();
    check(&[
        (|c| c.max_output = Some(5), new, "/max_tokens", json!(5), &[]),
        (|_| {}, new, "/max_tokens", json!(64_000), &[]),
        (|c| c.stop = vec!["\nX".into(), String::new()], new, "/stop_sequences", json!(["\nX"]), &[]),
        (|c| c.stream = true, new, "/stream", json!(true), &[]),
        (|c| c.user = Some("u-1".into()), new, "/metadata", json!({ "user_id": "u-1" }), &[]),
        (|c| c.user = Some("a@b.example".into()), new, "/metadata", json!(null), &["metadata.user_id"]),
        (|c| c.user = Some("+49 30 123456".into()), new, "/metadata", json!(null), &["metadata.user_id"]),
        (|c| c.service_tier = Some("default".into()), new, "/service_tier", json!("standard_only"), &[]),
        (|c| c.service_tier = Some("auto".into()), new, "/service_tier", json!("auto"), &[]),
        (|c| c.service_tier = Some("flex".into()), new, "/service_tier", json!(null), &["service_tier"]),
        (|c| c.sampling.temperature = Some(0.0), new, "/temperature", json!(0.0), &[]),
        (|c| c.sampling.temperature = Some(1.5), new, "/temperature", json!(1.0), &["temperature"]),
        (|c| c.sampling.top_k = Some(3), new, "/top_k", json!(3), &[]),
        (|c| drop(c.extra.insert("container".into(), json!("x"))), new, "/container", json!("x"), &[]),
        (|c| drop(c.extra.insert("store".into(), json!(false))), new, "/store", json!(null), &[]),
        (
            |c| drop(c.extra.insert("prediction".into(), json!({}))),
            new,
            "/prediction",
            json!(null),
            &["prediction"],
        ),
        (
            |c| {
                c.reasoning = think(Effort::Low);
                c.extra.insert("output_config".into(), json!({ "effort": "max", "task_budget": 1 }));
            },
            new,
            "/output_config",
            json!({ "effort": "low", "task_budget": 1 }),
            &[],
        ),
        (
            |c| {
                c.n = Some(2);
                let sampling = &mut c.sampling;
                (sampling.frequency_penalty, sampling.presence_penalty) = (Some(0.5), Some(0.5));
                (sampling.seed, sampling.logprobs, sampling.top_logprobs) = (Some(1), Some(true), Some(2));
                sampling.logit_bias = Some(json!({ "1": 2 }));
            },
            new,
            "/seed",
            json!(null),
            &["n", "frequency_penalty", "presence_penalty", "seed", "logprobs", "top_logprobs", "logit_bias"],
        ),
        // Values that ask for nothing are no loss.
        (
            |c| {
                c.n = Some(1);
                (c.sampling.frequency_penalty, c.sampling.logprobs) = (Some(0.0), Some(false));
                c.sampling.logit_bias = Some(json!({}));
            },
            new,
            "/n",
            json!(null),
            &[],
        ),
    ]);
}
