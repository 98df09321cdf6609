//! Requests for an upstream, written from what any client asked.

use gatewright_core::chat::{
    CacheMark, Chat, Effort, Extra, Media, MediaKind, MediaSource, Output, Part, Reasoning, Role, Tool,
    ToolCall, ToolChoice, ToolResult, Turn,
};
use gatewright_core::{ModelFacts, ReasoningControl};
use serde_json::{Value, json};

use super::{encode, facts, newest};

type Ask = fn(&mut Chat);

fn written(ask: Ask, model: &ModelFacts) -> (Value, Vec<String>) {
    let turns = vec![Turn::new(Role::User, vec![Part::text("hi")])];
    let mut chat = Chat { turns, ..Chat::default() };
    ask(&mut chat);
    encode(&chat, model)
}

/// What stands at a JSON pointer of the request; `null` where nothing does.
fn check(cases: &[(Ask, &ModelFacts, &str, Value, &[&str])]) {
    for (i, (ask, model, pointer, want, lost)) in cases.iter().enumerate() {
        let (body, losses) = written(*ask, model);
        let got = body.pointer(pointer).cloned().unwrap_or_default();
        assert_eq!(got, *want, "case {i} at {pointer} of {body}");
        assert_eq!(losses, *lost, "case {i}");
    }
}

fn function(name: &str) -> Tool {
    Tool::Function {
        name: name.into(),
        description: None,
        parameters: None,
        strict: None,
        cache: None,
        extra: Extra::new(),
    }
}

fn call(id: &str, arguments: &str) -> Part {
    Part::ToolCall(ToolCall { id: id.into(), name: "f".into(), arguments: arguments.into(), cache: None })
}

fn result(id: &str, parts: Vec<Part>) -> Part {
    Part::ToolResult(ToolResult { id: id.into(), parts, is_error: false, cache: None })
}

fn media(kind: MediaKind, source: MediaSource) -> Part {
    Part::Media(Media { kind, source, name: Some("n".into()), cache: None, extra: Extra::new() })
}

fn base64(media_type: &str) -> MediaSource {
    MediaSource::Base64 { media_type: media_type.into(), data: "aGk=".into() }
}

fn think(effort: Effort) -> Option<Reasoning> {
    Some(Reasoning { effort: Some(effort), ..Reasoning::default() })
}

fn schema(schema: Value) -> Output {
    Output::JsonSchema { name: "n".into(), description: None, schema, strict: Some(true) }
}

fn closed() -> Value {
    json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"],
            "additionalProperties": false })
}

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
    let citations =
        vec![json!({ "type": "web_search_result_location", "url": "u" }), sealed.clone(), page.clone()];
    let turns = vec![Turn::new(Role::User, vec![Part::Text { text: "t".into(), citations, cache: None }])];
    let (body, _) = encode(&Chat { turns, ..Chat::default() }, &newest());
    assert_eq!(body["messages"][0]["content"][0]["citations"], json!([sealed, page]));
}

#[test]
fn thinking_is_asked_for_in_the_models_way() {
    let budget = &facts(ReasoningControl::Budget, true);
    let adaptive = &newest();
    let effort = &facts(ReasoningControl::Effort, true);
    let none = &facts(ReasoningControl::None, true);
    let unknown = &ModelFacts { max_output: None, ..budget.clone() };
    let small = &ModelFacts { max_output: Some(4096), ..budget.clone() };
    let enabled = |tokens: u64| json!({ "type": "enabled", "budget_tokens": tokens });
    check(&[
        (|c| c.reasoning = think(Effort::Minimal), budget, "/thinking", enabled(1024), &[]),
        (|c| c.reasoning = think(Effort::Low), budget, "/thinking", enabled(1024), &[]),
        (|c| c.reasoning = think(Effort::Medium), budget, "/thinking", enabled(2048), &[]),
        (|c| c.reasoning = think(Effort::High), budget, "/thinking", enabled(4096), &[]),
        (|c| c.reasoning = think(Effort::XHigh), budget, "/thinking", enabled(8192), &[]),
        (|c| c.reasoning = think(Effort::Max), budget, "/thinking", enabled(16_384), &[]),
        (|c| c.reasoning = think(Effort::None), budget, "/thinking", json!({ "type": "disabled" }), &[]),
        (|c| c.reasoning = think(Effort::High), budget, "/output_config", json!(null), &[]),
        (|c| c.reasoning = think(Effort::Low), adaptive, "/thinking", json!({ "type": "adaptive" }), &[]),
        (|c| c.reasoning = think(Effort::Minimal), adaptive, "/output_config/effort", json!("low"), &[]),
        (|c| c.reasoning = think(Effort::XHigh), adaptive, "/output_config/effort", json!("xhigh"), &[]),
        (|c| c.reasoning = think(Effort::None), adaptive, "/thinking", json!({ "type": "disabled" }), &[]),
        (|c| c.reasoning = think(Effort::High), effort, "/output_config/effort", json!("high"), &[]),
        (|c| c.reasoning = think(Effort::High), effort, "/thinking", json!(null), &[]),
        (|c| c.reasoning = think(Effort::High), none, "/thinking", json!(null), &["reasoning_effort"]),
        (|c| c.reasoning = think(Effort::None), none, "/thinking", json!(null), &[]),
        // A budget for a model that takes none becomes a word.
        (
            |c| c.reasoning = Some(Reasoning { budget: Some(3000), ..Reasoning::default() }),
            adaptive,
            "/output_config/effort",
            json!("medium"),
            &[],
        ),
        // The client's cap stands; the budget gives way.
        (
            |c| (c.reasoning, c.max_output) = (think(Effort::High), Some(3000)),
            budget,
            "/thinking",
            enabled(1500),
            &[],
        ),
        (
            |c| (c.reasoning, c.max_output) = (think(Effort::High), Some(1100)),
            budget,
            "/thinking",
            enabled(1024),
            &[],
        ),
        (
            |c| (c.reasoning, c.max_output) = (think(Effort::Low), Some(1024)),
            budget,
            "/thinking",
            json!(null),
            &["reasoning_effort"],
        ),
        (
            |c| {
                c.reasoning = Some(Reasoning { budget: Some(5000), ..Reasoning::default() });
                c.max_output = Some(5000);
            },
            budget,
            "/thinking",
            enabled(2500),
            &["thinking.budget_tokens"],
        ),
        (|c| c.reasoning = think(Effort::High), small, "/thinking", enabled(2048), &[]),
        (|c| c.reasoning = think(Effort::High), unknown, "/max_tokens", json!(8192), &[]),
        (
            |c| drop(c.extra.insert("thinking".into(), json!({ "x": 1 }))),
            none,
            "/thinking",
            json!({ "x": 1 }),
            &[],
        ),
        (
            |c| {
                let display = Some("summarized".to_owned());
                c.reasoning = Some(Reasoning { adaptive: true, display, ..Reasoning::default() });
            },
            adaptive,
            "/thinking",
            json!({ "type": "adaptive", "display": "summarized" }),
            &[],
        ),
    ]);
}

#[test]
fn what_thinking_forbids_gives_way() {
    let budget = &facts(ReasoningControl::Budget, true);
    check(&[
        (
            |c| {
                c.reasoning = think(Effort::Low);
                (c.sampling.temperature, c.sampling.top_p, c.sampling.top_k) =
                    (Some(0.5), Some(0.5), Some(5));
            },
            budget,
            "/temperature",
            json!(null),
            &["temperature", "top_p", "top_k"],
        ),
        (
            |c| (c.reasoning, c.sampling.temperature) = (think(Effort::Low), Some(1.0)),
            budget,
            "/temperature",
            json!(1.0),
            &[],
        ),
        // A forced tool is what the client cannot do without.
        (
            |c| {
                c.reasoning = think(Effort::Low);
                (c.tools, c.tool_choice) = (vec![function("f")], Some(ToolChoice::Required));
            },
            budget,
            "/thinking",
            json!(null),
            &["reasoning_effort"],
        ),
        // The turn that waits for results began without thinking.
        (
            |c| {
                c.reasoning = think(Effort::Low);
                c.turns.push(Turn::new(Role::Assistant, vec![call("a", "{}")]));
                c.turns.push(Turn::new(Role::User, vec![result("a", vec![])]));
            },
            budget,
            "/thinking",
            json!(null),
            &["reasoning_effort"],
        ),
        (
            |c| {
                c.reasoning = think(Effort::Low);
                let thought = Part::Reasoning { text: "t".into(), signature: Some("s".into()) };
                c.turns.push(Turn::new(Role::Assistant, vec![thought, call("a", "{}")]));
                c.turns.push(Turn::new(Role::User, vec![result("a", vec![])]));
            },
            budget,
            "/thinking/type",
            json!("enabled"),
            &[],
        ),
    ]);
}

#[test]
fn json_is_asked_for_as_the_model_takes_it() {
    let new = &newest();
    let old = &facts(ReasoningControl::Budget, false);
    let forced = json!({ "type": "tool", "name": "json_tool_call", "disable_parallel_tool_use": true });
    check(&[
        (
            |c| c.output = schema(closed()),
            new,
            "/output_config",
            json!({ "format": { "type": "json_schema", "schema": closed() } }),
            &[],
        ),
        (|c| c.output = schema(closed()), old, "/tools/0/name", json!("json_tool_call"), &[]),
        (|c| c.output = schema(closed()), old, "/tools/0/input_schema", closed(), &[]),
        (|c| c.output = schema(closed()), old, "/tool_choice", forced.clone(), &[]),
        (|c| c.output = schema(closed()), old, "/system", json!(null), &[]),
        // With tools of its own, the client's come first.
        (
            |c| (c.output, c.tools) = (schema(closed()), vec![function("f")]),
            old,
            "/tool_choice",
            json!({ "type": "any" }),
            &[],
        ),
        (
            |c| {
                (c.output, c.tools) = (schema(closed()), vec![function("f")]);
                c.tool_choice = Some(ToolChoice::None);
            },
            old,
            "/tool_choice",
            forced,
            &[],
        ),
        // Never forced while thinking is on.
        (
            |c| (c.output, c.reasoning) = (schema(closed()), think(Effort::Low)),
            old,
            "/tool_choice",
            json!({ "type": "auto" }),
            &[],
        ),
        (
            |c| (c.output, c.reasoning) = (schema(closed()), think(Effort::Low)),
            old,
            "/system",
            json!("Give your final answer only by calling the tool json_tool_call, not as text."),
            &[],
        ),
        // A map of free keys cannot be closed, so the native way cannot carry it.
        (
            |c| c.output = schema(json!({ "type": "object", "additionalProperties": { "type": "string" } })),
            new,
            "/tools/0/name",
            json!("json_tool_call"),
            &[],
        ),
        // A list is no tool's input.
        (
            |c| c.output = schema(json!({ "type": "array" })),
            old,
            "/tools",
            json!(null),
            &["response_format.json_schema"],
        ),
        (|c| c.output = Output::JsonObject, new, "/output_config", json!(null), &[]),
    ]);
    let (body, _) = written(|c| c.output = Output::JsonObject, new);
    assert!(body["system"].as_str().unwrap().contains("one JSON object"), "{body}");
}

#[test]
fn a_schema_is_brought_within_the_native_limits() {
    let given = json!({
        "type": "object", "title": "T",
        "properties": {
            "minimum": { "type": "integer", "minimum": 1, "description": "count" },
            "when": { "type": "string", "format": "date" },
            "how": { "oneOf": [{ "type": "string", "format": "odd" }, { "$ref": "#/$defs/d" }] },
            "list": { "type": "array", "minItems": 1, "maxItems": 3, "items": { "type": "object", "properties": {} } },
        },
        "$defs": { "d": { "type": "object", "additionalProperties": true, "properties": { "x": {} } } },
    });
    let want = json!({
        "type": "object", "title": "T",
        "properties": {
            "minimum": { "type": "integer", "description": "count\n\n{minimum: 1}" },
            "when": { "type": "string", "format": "date" },
            "how": { "anyOf": [{ "type": "string", "description": "{format: \"odd\"}" }, { "$ref": "#/$defs/d" }] },
            "list": { "type": "array", "minItems": 1, "description": "{maxItems: 3}",
                      "items": { "type": "object", "properties": {}, "additionalProperties": false } },
        },
        "$defs": { "d": { "type": "object", "additionalProperties": false, "properties": { "x": {} } } },
        "additionalProperties": false,
    });
    let output = schema(given);
    let (body, _) = encode(&Chat { output, ..Chat::default() }, &newest());
    assert_eq!(body["output_config"]["format"]["schema"], want);
}

#[test]
fn tools_and_their_choice_are_written() {
    let new = &newest();
    let old = &facts(ReasoningControl::Budget, false);
    check(&[
        (
            |c| c.tools = vec![function("f")],
            new,
            "/tools/0",
            json!({ "name": "f", "input_schema": { "type": "object", "properties": {} } }),
            &[],
        ),
        (
            |c| {
                c.tools = vec![Tool::Function {
                    name: "f".into(),
                    description: Some("d".into()),
                    parameters: Some(json!({ "properties": {} })),
                    strict: Some(true),
                    cache: Some(CacheMark::FiveMinutes),
                    extra: [("input_examples".into(), json!([{}])), ("odd".into(), json!(1))]
                        .into_iter()
                        .collect(),
                }];
            },
            old,
            "/tools/0",
            json!({ "name": "f", "description": "d", "input_schema": { "type": "object", "properties": {} },
                    "cache_control": { "type": "ephemeral" }, "input_examples": [{}] }),
            &["tools.strict", "tools.odd"],
        ),
        (
            |c| {
                c.tools = vec![
                    Tool::Hosted(json!({ "type": "web_search_20250305", "name": "web_search" })),
                    Tool::Hosted(json!({ "type": "mcp_toolset", "mcp_server_name": "m" })),
                    Tool::Hosted(json!({ "type": "code_interpreter" })),
                ];
            },
            new,
            "/tools",
            json!([{ "type": "web_search_20250305", "name": "web_search" },
                   { "type": "mcp_toolset", "mcp_server_name": "m" }]),
            &["tools.code_interpreter"],
        ),
        (
            |c| drop(c.extra.insert("web_search_options".into(), json!({ "search_context_size": "high" }))),
            new,
            "/tools/0",
            json!({ "type": "web_search_20250305", "name": "web_search", "max_uses": 10 }),
            &[],
        ),
        (|c| c.tools = vec![function("f")], new, "/tool_choice", json!(null), &[]),
        (
            |c| (c.tools, c.parallel_tool_calls) = (vec![function("f")], Some(false)),
            new,
            "/tool_choice",
            json!({ "type": "auto", "disable_parallel_tool_use": true }),
            &[],
        ),
        (
            |c| (c.tools, c.tool_choice) = (vec![function("f")], Some(ToolChoice::Required)),
            new,
            "/tool_choice",
            json!({ "type": "any" }),
            &[],
        ),
        (
            |c| (c.tools, c.tool_choice) = (vec![function("f")], Some(ToolChoice::None)),
            new,
            "/tool_choice",
            json!({ "type": "none" }),
            &[],
        ),
        (
            |c| (c.tools, c.tool_choice) = (vec![function("f")], Some(ToolChoice::Function("f".into()))),
            new,
            "/tool_choice",
            json!({ "type": "tool", "name": "f" }),
            &[],
        ),
        (
            |c| {
                c.tools = vec![function("f"), function("g")];
                c.tool_choice = Some(ToolChoice::Allowed { names: vec!["g".into()], required: true });
            },
            new,
            "/tools",
            json!([{ "name": "g", "input_schema": { "type": "object", "properties": {} } }]),
            &[],
        ),
        (|c| c.tool_choice = Some(ToolChoice::Auto), new, "/tool_choice", json!(null), &[]),
        (|c| c.tool_choice = Some(ToolChoice::Required), new, "/tool_choice", json!(null), &["tool_choice"]),
    ]);
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
