//! What upstreams are asked.

use bytes::Bytes;
use gatewright_core::{Dialect, ReasoningControl};
use gatewright_dialects::of;
use serde_json::{Value, json};

use super::{decode, encode, facts, json as parsed, thinker};

const OPENAI: Dialect = Dialect::OpenAiChat;

fn asked(dialect: Dialect, more: Value) -> (Value, Vec<String>) {
    let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    encode(dialect, &decode(OPENAI, &request).unwrap(), &thinker())
}

#[test]
fn cohere_is_asked_within_its_scales() {
    let (body, lost) = asked(
        Dialect::CohereChat,
        json!({"temperature": 1.5, "top_p": 1, "frequency_penalty": -0.5, "seed": -1, "top_k": 900,
               "stop": ["1", "2", "3", "4", "5", "6"]}),
    );
    assert_eq!((&body["temperature"], &body["p"], &body["k"]), (&json!(1.0), &json!(0.99), &json!(500)));
    assert_eq!((&body["frequency_penalty"], body.get("seed")), (&json!(0.0), None));
    assert_eq!(body["stop_sequences"].as_array().unwrap().len(), 5);
    assert_eq!(lost, ["stop", "temperature", "frequency_penalty", "seed"]);
}

#[test]
fn cohere_is_strict_where_every_tool_can_be() {
    let tool = |name: &str, required: Value, strict: bool| {
        let parameters = json!({"type": "object", "properties": {"a": {}}, "required": required});
        json!({"type": "function", "function": {"name": name, "parameters": parameters, "strict": strict}})
    };
    for (tools, strict, lost) in [
        (json!([tool("f", json!(["a"]), true)]), json!(true), vec![]),
        (
            json!([tool("f", json!(["a"]), true), tool("g", json!([]), true)]),
            Value::Null,
            vec!["tools.strict"],
        ),
        (
            json!([tool("f", json!(["a"]), true), tool("g", json!(["a"]), false)]),
            Value::Null,
            vec!["tools.strict"],
        ),
        (json!([tool("f", json!(["a"]), false)]), Value::Null, vec![]),
    ] {
        let (body, told) = asked(Dialect::CohereChat, json!({"tools": tools}));
        assert_eq!((&body["strict_tools"], told), (&strict, lost.into_iter().map(String::from).collect()));
    }
}

#[test]
fn thinking_is_asked_only_of_models_that_think() {
    let effort = json!({"model": "m", "messages": [], "reasoning_effort": "medium"});
    let chat = decode(OPENAI, &effort).unwrap();
    let (cohere, _) = encode(Dialect::CohereChat, &chat, &thinker());
    assert_eq!(cohere["thinking"], json!({"type": "enabled", "token_budget": 2048}));
    for dialect in super::BOTH {
        let (body, lost) = encode(dialect, &chat, &facts(ReasoningControl::None));
        assert_eq!((body.get("thinking"), body.get("think")), (None, None));
        assert_eq!(lost, ["reasoning_effort"]);
    }
    for (model, think) in
        [("qwen3", json!(true)), ("gpt-oss:20b", json!("medium")), ("lib/gpt-oss", json!("medium"))]
    {
        let model = gatewright_core::ModelFacts { name: model.into(), ..thinker() };
        assert_eq!(encode(Dialect::OllamaChat, &chat, &model).0["think"], think);
    }
}

#[test]
fn an_operators_defaults_and_a_cap_stand_where_the_dialect_reads_them() {
    let set = |dialect, body: Value, fields: &[(&str, &'static str)]| {
        let mut body = parsed(&body);
        for (field, value) in fields {
            of(dialect).set_default(&mut body, field, &Bytes::from_static(value.as_bytes()));
        }
        of(dialect).cap_output(&mut body, 50, &thinker());
        serde_json::from_slice::<Value>(&body.to_bytes()).unwrap()
    };
    let fields = [("top_p", "0.5"), ("max_tokens", "90"), ("num_ctx", "8192"), ("keep_alive", "\"1m\"")];
    assert_eq!(
        set(Dialect::OllamaChat, json!({"options": {"top_p": 0.9}}), &fields),
        json!({"options": {"top_p": 0.9, "num_predict": 50, "num_ctx": 8192}, "keep_alive": "1m"})
    );
    let fields = [("top_p", "0.5"), ("stop", "[\"x\"]"), ("max_completion_tokens", "90")];
    assert_eq!(
        set(Dialect::CohereChat, json!({"p": 0.9}), &fields),
        json!({"p": 0.9, "stop_sequences": ["x"], "max_tokens": 50})
    );
}

#[test]
fn bad_requests_of_clients_are_refused_in_words() {
    for (dialect, body, words) in [
        (Dialect::CohereChat, json!({}), "messages"),
        (Dialect::CohereChat, json!({"messages": [{"role": "robot", "content": "x"}]}), "robot"),
        (Dialect::CohereChat, json!({"messages": [{"role": "tool", "content": "x"}]}), "tool_call_id"),
        (Dialect::CohereChat, json!({"messages": [{"role": "user", "content": [{"type": "film"}]}]}), "film"),
        (Dialect::OllamaChat, json!({}), "messages"),
        (Dialect::OllamaChat, json!({"messages": [{"role": "robot", "content": "x"}]}), "robot"),
        (Dialect::OllamaChat, json!({"messages": 1}), "messages"),
    ] {
        let err = decode(dialect, &body).unwrap_err();
        assert_eq!(err.kind(), gatewright_core::ErrorKind::InvalidRequest, "{body}");
        assert!(err.message().contains(words), "{}", err.message());
    }
}
