//! Requests for an upstream: thinking, JSON and tools, after the model's ways.

use gatewright_core::chat::{
    CacheMark, Chat, Effort, Extra, Output, Part, Reasoning, Role, Tool, ToolChoice, Turn,
};
use gatewright_core::{ModelFacts, ReasoningControl};
use serde_json::{Value, json};

use super::asking::{call, check, closed, function, result, schema, think, written};
use super::{encode, facts, newest};

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
        "$defs": { "d": { "additionalProperties": true, "properties": { "x": {} } } },
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
        "$defs": { "d": { "additionalProperties": false, "properties": { "x": {} } } },
        "additionalProperties": false,
    });
    let output = schema(given);
    let (body, _) = encode(&Chat { output, ..Chat::default() }, &newest());
    assert_eq!(body["output_config"]["format"]["schema"], want);
}

fn strict_function(schema: Option<Value>) -> Tool {
    Tool::Function {
        name: "f".into(),
        description: None,
        parameters: schema,
        strict: Some(true),
        cache: None,
        extra: Extra::new(),
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table, one case after the other")]
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
        // A strict function is closed, even where its schema does not say that it is an object.
        (
            |c| c.tools = vec![strict_function(Some(json!({ "properties": {} })))],
            new,
            "/tools/0/input_schema",
            json!({ "properties": {}, "type": "object", "additionalProperties": false }),
            &[],
        ),
        (
            |c| c.tools = vec![strict_function(None)],
            new,
            "/tools/0/input_schema",
            json!({ "type": "object", "properties": {}, "additionalProperties": false }),
            &[],
        ),
        (
            |c| {
                c.tools = vec![
                    Tool::Hosted(json!({ "type": "web_search_20250305", "name": "web_search" })),
                    Tool::Hosted(json!({ "type": "mcp_toolset", "mcp_server_name": "m" })),
                    Tool::Hosted(json!({ "type": "tool_search_tool_regex", "name": "t" })),
                    Tool::Hosted(json!({ "type": "code_interpreter" })),
                ];
            },
            new,
            "/tools",
            json!([{ "type": "web_search_20250305", "name": "web_search" },
                   { "type": "mcp_toolset", "mcp_server_name": "m" },
                   { "type": "tool_search_tool_regex", "name": "t" }]),
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
