//! What models of each maker are asked, where Converse has no word of its own.

use gatewright_core::ReasoningControl;
use gatewright_core::chat::{CacheMark, Chat, Effort, Part, Reasoning, Role, Tool, ToolCall, Turn};
use serde_json::{Value, json};

use super::{encode, facts};

fn chat() -> Chat {
    Chat { turns: vec![Turn::new(Role::User, vec![Part::text("hi")])], ..Chat::default() }
}

fn function(name: &str) -> Tool {
    Tool::Function {
        name: name.to_owned(),
        description: None,
        parameters: None,
        strict: None,
        cache: None,
        extra: gatewright_core::chat::Extra::new(),
    }
}

#[test]
fn each_maker_is_asked_to_think_in_its_own_words() {
    let thinking = json!({ "thinking": { "type": "enabled", "budget_tokens": 4096 } });
    let nova = json!({ "reasoningConfig": { "type": "enabled", "maxReasoningEffort": "high" } });
    for (model, fields, lost) in [
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", thinking.clone(), vec![]),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/x", thinking, vec![]),
        ("us.amazon.nova-2-lite-v1:0", nova, vec![]),
        ("openai.gpt-oss-120b-1:0", json!({ "reasoning_effort": "high" }), vec![]),
        ("us.deepseek.r1-v1:0", Value::Null, vec!["reasoning_effort".to_owned()]),
        ("amazon.nova-pro-v1:0", Value::Null, vec!["reasoning_effort".to_owned()]),
    ] {
        let reasoning = Some(Reasoning { effort: Some(Effort::High), ..Reasoning::default() });
        let (body, losses) = encode(&Chat { reasoning, ..chat() }, &facts(model, ReasoningControl::Budget));
        assert_eq!((&body["additionalModelRequestFields"], losses), (&fields, lost), "{model}");
    }
}

#[test]
fn only_models_that_have_a_cache_are_shown_what_it_shall_hold() {
    let mut chat = chat();
    chat.turns[0].parts =
        vec![Part::Text { text: "hi".into(), citations: vec![], cache: Some(CacheMark::OneHour) }];
    let (body, lost) = encode(&chat, &facts("amazon.nova-pro-v1:0", ReasoningControl::None));
    let point = json!({ "cachePoint": { "type": "default", "ttl": "1h" } });
    assert_eq!((&body["messages"][0]["content"][1], lost.len()), (&point, 0));
    let (body, lost) = encode(&chat, &facts("meta.llama3-70b-instruct-v1:0", ReasoningControl::None));
    assert_eq!(body["messages"][0]["content"], json!([{ "text": "hi" }]));
    assert_eq!(lost, ["messages.cache_control"]);
}

#[test]
fn calls_in_the_history_bring_their_tools_along() {
    let call = |name: &str| {
        Part::ToolCall(ToolCall { id: "1".into(), name: name.into(), arguments: "{}".into(), cache: None })
    };
    let mut chat = chat();
    chat.turns.push(Turn::new(Role::Assistant, vec![call("f"), call("f")]));
    let model = facts("anthropic.claude-v2", ReasoningControl::None);
    let spec = json!([{ "toolSpec": { "name": "f", "inputSchema": { "json": { "type": "object" } } } }]);
    assert_eq!(encode(&chat, &model).0["toolConfig"]["tools"], spec);
    chat.tool_choice = Some(gatewright_core::chat::ToolChoice::None);
    assert_eq!(encode(&chat, &model).0["toolConfig"], json!({ "tools": spec }));
    chat.tools = vec![function("g")];
    let (body, lost) = encode(&chat, &model);
    assert_eq!(body["toolConfig"]["tools"][0]["toolSpec"]["name"], "g");
    assert_eq!(lost, ["tool_choice"]);
}

#[test]
fn ids_that_the_api_refuses_are_changed_alike_in_calls_and_results() {
    let long = format!("{}-end/1", "x".repeat(80));
    let mut chat = chat();
    chat.turns = vec![
        Turn::new(
            Role::Assistant,
            vec![Part::ToolCall(ToolCall {
                id: long.clone(),
                name: "f".into(),
                arguments: "nonsense".into(),
                cache: None,
            })],
        ),
        Turn::new(
            Role::User,
            vec![Part::ToolResult(gatewright_core::chat::ToolResult {
                id: long,
                parts: vec![],
                is_error: false,
                cache: None,
            })],
        ),
    ];
    let (body, _) = encode(&chat, &facts("anthropic.claude-v2", ReasoningControl::None));
    let call = &body["messages"][0]["content"][0]["toolUse"];
    let id = call["toolUseId"].as_str().unwrap();
    assert!(id.len() == 64 && id.ends_with("-end_1"), "{id}");
    assert_eq!(call["input"], json!({ "invalid_arguments": "nonsense" }));
    assert_eq!(
        body["messages"][1]["content"][0],
        json!({ "toolResult": { "toolUseId": id, "content": [] } })
    );
}
