//! Clients of OpenAI's older forms in front of an upstream of this dialect.

use gatewright_core::ReplyStyle;
use serde_json::{Value, json};

use super::pairs::{asked, openai, streamed, streamed_as};
use super::{codec, style};

#[test]
fn a_client_of_the_older_functions_reads_its_call_in_the_older_form() {
    let request = json!({
        "model": "m", "messages": [{ "role": "user", "content": "q" }],
        "functions": [{ "name": "f", "parameters": { "type": "object" } }], "function_call": "auto",
    });
    let (body, _) = asked(openai(), codec(), &request);
    assert_eq!(body["tool_choice"], json!({ "type": "auto", "disable_parallel_tool_use": true }));
    let style = ReplyStyle { older_functions: true, ..style() };
    let call =
        |id: &str, name: &str| json!({ "type": "tool_use", "id": id, "name": name, "input": { "a": 1 } });
    let message = json!({
        "id": "msg_1", "type": "message", "model": "m", "stop_reason": "tool_use",
        "content": [call("t1", "f"), call("t2", "g")],
    });
    let answer = codec().decode_reply(message.to_string().as_bytes()).unwrap();
    let reply: Value = serde_json::from_slice(&openai().encode_reply(&answer, &style)).unwrap();
    assert_eq!(reply["choices"][0]["finish_reason"], "function_call");
    let said = json!({
        "role": "assistant", "content": null, "function_call": { "name": "f", "arguments": "{\"a\":1}" },
    });
    assert_eq!(reply["choices"][0]["message"], said);

    let start = |index: u32, id: &str, name: &str| {
        let block = json!({ "type": "tool_use", "id": id, "name": name, "input": {} });
        (
            "content_block_start",
            json!({ "type": "content_block_start", "index": index, "content_block": block }),
        )
    };
    let part = |index: u32| {
        let delta = json!({ "type": "input_json_delta", "partial_json": "{\"a\":1}" });
        ("content_block_delta", json!({ "type": "content_block_delta", "index": index, "delta": delta }))
    };
    let stop = |index: u32| ("content_block_stop", json!({ "type": "content_block_stop", "index": index }));
    let head = json!({ "id": "msg_1", "type": "message", "model": "m", "content": [], "usage": {} });
    let events = [
        ("message_start", json!({ "type": "message_start", "message": head })),
        start(0, "t1", "f"),
        part(0),
        stop(0),
        start(1, "t2", "g"),
        part(1),
        stop(1),
        ("message_delta", json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use" } })),
        ("message_stop", json!({ "type": "message_stop" })),
    ];
    let told = streamed_as(codec(), openai(), &style, &events);
    let choices: Vec<Value> = told
        .split("\n\n")
        .filter_map(|event| serde_json::from_str::<Value>(event.strip_prefix("data: ")?).ok())
        .filter_map(|event| event["choices"].get(0).cloned())
        .collect();
    let deltas: Vec<&Value> = choices.iter().map(|choice| &choice["delta"]).collect();
    assert_eq!(
        deltas,
        [
            &json!({ "role": "assistant", "content": "" }),
            &json!({ "function_call": { "name": "f", "arguments": "" } }),
            &json!({ "function_call": { "arguments": "{\"a\":1}" } }),
            &json!({}),
        ]
    );
    assert_eq!(choices[3]["finish_reason"], "function_call");
}

#[test]
fn an_answer_without_an_id_gets_ours() {
    let answer = gatewright_core::chat::Answer::default();
    for (client, prefix) in [(openai(), "chatcmpl-"), (codec(), "msg_")] {
        let reply: Value = serde_json::from_slice(&client.encode_reply(&answer, &style())).unwrap();
        assert_eq!(reply["id"], format!("{prefix}{}", style().attempt));
    }
    let events =
        [("", json!({ "choices": [{ "index": 0, "delta": { "content": "a" }, "finish_reason": "stop" }] }))];
    let told = streamed(openai(), codec(), &events);
    assert!(told.contains(&format!("\"msg_{}\"", style().attempt)), "{told}");
    let told = streamed(
        codec(),
        openai(),
        &[
            (
                "message_start",
                json!({ "type": "message_start", "message": { "type": "message", "usage": {} } }),
            ),
            ("message_delta", json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" } })),
            ("message_stop", json!({ "type": "message_stop" })),
        ],
    );
    assert!(told.contains(&format!("\"chatcmpl-{}\"", style().attempt)), "{told}");
}
