//! A client's requests, read.

use gatewright_core::ErrorKind;
use gatewright_core::chat::{
    CacheMark, Chat, Effort, Extra, Media, MediaKind, MediaSource, Output, Part, Reasoning, Role, Tool,
    ToolCall, ToolChoice, ToolResult,
};
use serde_json::{Value, json};

use super::decode;

fn read(fields: Value) -> Chat {
    let mut request = json!({ "model": "m", "max_tokens": 9, "messages": [] });
    request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    decode(&request).unwrap()
}

fn part(block: Value) -> Part {
    let mut chat = read(json!({ "messages": [{ "role": "user", "content": [block] }] }));
    chat.turns.remove(0).parts.remove(0)
}

fn media(kind: MediaKind, source: MediaSource) -> Media {
    Media { kind, source, name: None, cache: None, extra: Extra::new() }
}

#[test]
fn every_block_becomes_its_part() {
    let server =
        json!({ "type": "server_tool_use", "id": "s", "name": "web_search", "input": { "query": "q" } });
    let odd = json!({ "type": "of_tomorrow", "text": 5, "source": [1] });
    let by_server = json!({ "type": "tool_use", "id": "t", "name": "f", "input": {},
                            "caller": { "type": "code_execution_20260120", "tool_id": "s" } });
    let cases = [
        (json!({ "type": "text", "text": "hi" }), Part::text("hi")),
        (
            json!({ "type": "text", "text": "hi", "cache_control": { "type": "ephemeral", "ttl": "1h" } }),
            Part::Text { text: "hi".into(), citations: vec![], cache: Some(CacheMark::OneHour) },
        ),
        (
            json!({ "type": "text", "text": "hi", "citations": null, "cache_control": { "type": "ephemeral" } }),
            Part::Text { text: "hi".into(), citations: vec![], cache: Some(CacheMark::FiveMinutes) },
        ),
        (
            json!({ "type": "tool_use", "id": "t", "name": "f", "input": { "a": 1.50 },
                    "caller": { "type": "direct" } }),
            Part::ToolCall(ToolCall {
                id: "t".into(),
                name: "f".into(),
                arguments: r#"{"a":1.5}"#.into(),
                cache: None,
            }),
        ),
        (
            json!({ "type": "tool_result", "tool_use_id": "t", "content": "42" }),
            Part::ToolResult(ToolResult {
                id: "t".into(),
                parts: vec![Part::text("42")],
                is_error: false,
                cache: None,
            }),
        ),
        (
            json!({ "type": "tool_result", "tool_use_id": "t", "is_error": true, "content": [
                { "type": "text", "text": "no" },
                { "type": "image", "source": { "type": "url", "url": "https://x" } },
            ] }),
            Part::ToolResult(ToolResult {
                id: "t".into(),
                parts: vec![
                    Part::text("no"),
                    Part::Media(media(MediaKind::Image, MediaSource::Url("https://x".into()))),
                ],
                is_error: true,
                cache: None,
            }),
        ),
        (
            json!({ "type": "tool_result", "tool_use_id": "t" }),
            Part::ToolResult(ToolResult { id: "t".into(), parts: vec![], is_error: false, cache: None }),
        ),
        (
            json!({ "type": "thinking", "thinking": "hm", "signature": "sig" }),
            Part::Reasoning { text: "hm".into(), signature: Some("sig".into()) },
        ),
        (json!({ "type": "redacted_thinking", "data": "zz" }), Part::RedactedReasoning { data: "zz".into() }),
        (server.clone(), Part::Other(server)),
        (odd.clone(), Part::Other(odd)),
        (by_server.clone(), Part::Other(by_server)),
    ];
    for (block, want) in cases {
        assert_eq!(part(block.clone()), want, "{block}");
    }
}

#[test]
fn every_source_of_media_is_read() {
    let base64 =
        |media_type: &str| MediaSource::Base64 { media_type: media_type.into(), data: "QQ==".into() };
    let document = |source| media(MediaKind::Document, source);
    for (block, want) in [
        (
            json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "QQ==" } }),
            Part::Media(media(MediaKind::Image, base64("image/png"))),
        ),
        (
            json!({ "type": "image", "source": { "type": "url", "url": "https://x/y.png" } }),
            Part::Media(media(MediaKind::Image, MediaSource::Url("https://x/y.png".into()))),
        ),
        (
            json!({ "type": "image", "source": { "type": "file", "file_id": "file_1" } }),
            Part::Media(media(MediaKind::Image, MediaSource::File("file_1".into()))),
        ),
        (
            json!({ "type": "document", "title": "T", "citations": { "enabled": true }, "context": "c",
                    "source": { "type": "base64", "media_type": "application/pdf", "data": "QQ==" } }),
            Part::Media(Media {
                name: Some("T".into()),
                extra: [("context".into(), json!("c")), ("citations".into(), json!({ "enabled": true }))]
                    .into_iter()
                    .collect(),
                ..document(base64("application/pdf"))
            }),
        ),
        (
            json!({ "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "words" } }),
            Part::Media(document(MediaSource::Text("words".into()))),
        ),
        (
            json!({ "type": "document", "source": { "type": "content", "content": "words" } }),
            Part::Media(document(MediaSource::Text("words".into()))),
        ),
        (
            json!({ "type": "document", "source": { "type": "url", "url": "https://x/y.pdf" } }),
            Part::Media(document(MediaSource::Url("https://x/y.pdf".into()))),
        ),
        (
            json!({ "type": "document", "source": { "type": "file", "file_id": "file_1" } }),
            Part::Media(document(MediaSource::File("file_1".into()))),
        ),
    ] {
        assert_eq!(part(block.clone()), want, "{block}");
    }
}

#[test]
fn a_document_in_blocks_keeps_its_blocks_beside_its_text() {
    let blocks = json!([{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }]);
    let source = json!({ "type": "content", "content": blocks });
    let Part::Media(media) = part(json!({ "type": "document", "source": source })) else { panic!() };
    assert_eq!(media.source, MediaSource::Text("a\n\nb".into()));
    assert_eq!(media.extra["content"], blocks);
}

#[test]
fn every_field_finds_its_place() {
    let reasoning = |reasoning: Reasoning| Some(reasoning);
    type Look = fn(&Chat) -> Value;
    let seen: [(Value, Look, Value); 14] = [
        (json!({ "max_tokens": 7 }), |c| json!(c.max_output), json!(7)),
        (json!({ "top_k": 5 }), |c| json!(c.sampling.top_k), json!(5)),
        (json!({ "top_p": 0.5 }), |c| json!(c.sampling.top_p), json!(0.5)),
        (json!({ "temperature": 1 }), |c| json!(c.sampling.temperature), json!(1.0)),
        (json!({ "stop_sequences": ["a", "b"] }), |c| json!(c.stop), json!(["a", "b"])),
        (json!({ "stream": true }), |c| json!(c.stream), json!(true)),
        (json!({ "metadata": { "user_id": "u" } }), |c| json!(c.user), json!("u")),
        (json!({ "service_tier": "standard_only" }), |c| json!(c.service_tier), json!("default")),
        (json!({ "service_tier": "auto" }), |c| json!(c.service_tier), json!("auto")),
        (json!({ "container": "c" }), |c| json!(c.extra), json!({ "container": "c" })),
        (json!({ "of_tomorrow": [1] }), |c| json!(c.extra), json!({ "of_tomorrow": [1] })),
        (json!({ "stop_sequences": null, "tools": null, "tool_choice": null }), |c| json!(c.stop), json!([])),
        (
            json!({ "output_config": { "effort": "of_tomorrow", "task_budget": 1 } }),
            |c| c.extra["output_config"].clone(),
            json!({ "effort": "of_tomorrow", "task_budget": 1 }),
        ),
        (json!({ "system": "be brief" }), |c| json!(c.turns.len()), json!(1)),
    ];
    for (fields, look, want) in seen {
        assert_eq!(look(&read(fields.clone())), want, "{fields}");
    }
    for (fields, want) in [
        (
            json!({ "thinking": { "type": "enabled", "budget_tokens": 2000, "display": "omitted" } }),
            reasoning(Reasoning {
                budget: Some(2000),
                display: Some("omitted".into()),
                ..Reasoning::default()
            }),
        ),
        (
            json!({ "thinking": { "type": "adaptive" }, "output_config": { "effort": "max" } }),
            reasoning(Reasoning { adaptive: true, effort: Some(Effort::Max), ..Reasoning::default() }),
        ),
        (
            json!({ "thinking": { "type": "disabled" } }),
            reasoning(Reasoning { off: true, ..Reasoning::default() }),
        ),
        (json!({}), None),
    ] {
        assert_eq!(read(fields.clone()).reasoning, want, "{fields}");
    }
}

#[test]
fn every_tool_choice_is_read() {
    for (wire, choice, parallel) in [
        (json!({ "type": "auto" }), ToolChoice::Auto, None),
        (json!({ "type": "any", "disable_parallel_tool_use": true }), ToolChoice::Required, Some(false)),
        (json!({ "type": "tool", "name": "f" }), ToolChoice::Function("f".into()), None),
        (json!({ "type": "none" }), ToolChoice::None, None),
    ] {
        let chat = read(json!({ "tool_choice": wire }));
        assert_eq!(chat.tool_choice, Some(choice), "{wire}");
        assert_eq!(chat.parallel_tool_calls, parallel, "{wire}");
    }
}

#[test]
fn functions_and_hosted_tools_are_told_apart() {
    let search = json!({ "type": "web_search_20250305", "name": "web_search", "max_uses": 2 });
    let chat = read(json!({ "tools": [
        { "type": "custom", "name": "f", "description": "d", "input_schema": { "type": "object" }, "strict": true,
          "cache_control": { "type": "ephemeral" }, "defer_loading": true },
        search,
    ] }));
    assert_eq!(
        chat.tools,
        [
            Tool::Function {
                name: "f".into(),
                description: Some("d".into()),
                parameters: Some(json!({ "type": "object" })),
                strict: Some(true),
                cache: Some(CacheMark::FiveMinutes),
                extra: [("defer_loading".into(), json!(true))].into_iter().collect(),
            },
            Tool::Hosted(search),
        ]
    );
}

#[test]
fn both_names_of_a_json_schema_are_read() {
    let closed = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"],
                         "additionalProperties": false });
    let open = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
    for (schema, strict) in [(closed, Some(true)), (open, None)] {
        let format = json!({ "type": "json_schema", "schema": schema });
        for fields in [json!({ "output_config": { "format": format } }), json!({ "output_format": format })] {
            let want = Output::JsonSchema {
                name: "response".into(),
                description: None,
                schema: schema.clone(),
                strict,
            };
            assert_eq!(read(fields).output, want);
        }
    }
}

#[test]
fn turns_keep_their_order_and_system_comes_first() {
    let chat = read(json!({
        "messages": [
            { "role": "user", "content": "q" },
            { "role": "system", "content": "from here on, French" },
            { "role": "assistant", "content": [{ "type": "text", "text": "a" }] },
        ],
        "system": [{ "type": "text", "text": "s" }],
    }));
    let turns: Vec<_> = chat.turns.iter().map(|turn| (turn.role, turn.parts[0].clone())).collect();
    assert_eq!(
        turns,
        [
            (Role::System, Part::text("s")),
            (Role::User, Part::text("q")),
            (Role::System, Part::text("from here on, French")),
            (Role::Assistant, Part::text("a")),
        ]
    );
}

#[test]
fn a_malformed_request_is_refused_by_the_name_of_its_field() {
    for (request, param) in [
        (json!({ "model": "m" }), "messages"),
        (json!({ "messages": ["hi"] }), "messages"),
        (json!({ "messages": [{ "role": "robot", "content": "hi" }] }), "messages"),
        (json!({ "messages": [{ "role": "user", "content": 5 }] }), "messages"),
        (json!({ "messages": [{ "role": "user", "content": [{ "type": "text" }] }] }), "messages"),
        (json!({ "messages": [{ "role": "user", "content": [{ "type": "image" }] }] }), "messages"),
        (json!({ "messages": [], "system": 5 }), "system"),
        (json!({ "messages": [], "max_tokens": "many" }), "max_tokens"),
        (json!({ "messages": [], "tools": [{ "description": "no name" }] }), "tools"),
        (json!({ "messages": [], "tool_choice": { "type": "maybe" } }), "tool_choice"),
        (json!({ "messages": [], "thinking": { "type": "enabled" } }), "thinking"),
    ] {
        let err = decode(&request).unwrap_err();
        assert_eq!((err.kind(), err.param()), (ErrorKind::InvalidRequest, Some(param)), "{request}: {err}");
    }
}
