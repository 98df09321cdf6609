//! Requests that no other dialect can be asked, and answers in the form that their client asked for.

use gatewright_core::ErrorKind;
use gatewright_core::chat::{Answer, Choice, Extra, Finish, Part, ToolCall};
use serde_json::{Value, json};

use super::{completions, decode, json as json_of, responses, style};

#[test]
fn what_only_the_provider_keeps_is_refused_elsewhere() {
    for (field, value) in [
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!("conv_1")),
        ("prompt", json!({"id": "pmpt_1"})),
        ("background", json!(true)),
    ] {
        let mut request = json!({"model": "m", "input": "hi"});
        request[field] = value;
        let err = decode(responses(), &request).unwrap_err();
        assert_eq!((err.kind(), err.param()), (ErrorKind::Unsupported, Some(field)));
    }
}

#[test]
fn a_broken_request_is_told_by_the_place_at_fault() {
    for (request, words) in [
        (json!({"model": "m"}), "Missing required parameter: 'input'."),
        (
            json!({"input": [{"role": "robot", "content": "x"}]}),
            "invalid value for 'input[0]': unknown role 'robot'",
        ),
        (
            json!({"input": [{"type": "function_call", "name": "f"}]}),
            "invalid value for 'input[0]': an item has no 'call_id'",
        ),
    ] {
        let err = decode(responses(), &request).unwrap_err();
        assert_eq!((err.kind(), err.message()), (ErrorKind::InvalidRequest, words), "{request}");
    }
}

#[test]
fn a_prompt_is_one_text_where_a_chat_answers_it() {
    for (prompt, kind) in [
        (json!("a"), None),
        (json!(["a"]), None),
        (json!(["a", "b"]), Some(ErrorKind::Unsupported)),
        (json!([1, 2]), Some(ErrorKind::Unsupported)),
        (json!([[1], [2]]), Some(ErrorKind::Unsupported)),
        (json!([]), Some(ErrorKind::InvalidRequest)),
        (json!(3), Some(ErrorKind::InvalidRequest)),
    ] {
        let read = decode(completions(), &json!({"model": "m", "prompt": prompt}));
        assert_eq!(read.err().map(|err| err.kind()), kind, "{prompt}");
    }
}

#[test]
fn what_may_be_written_is_read_where_the_dialect_says_it() {
    for (codec, request, cap, answers) in [
        (responses(), json!({"max_output_tokens": 9, "max_tokens": 1, "n": 5}), Some(9), 1),
        (responses(), json!({"max_tokens": 1}), None, 1),
        (completions(), json!({"max_tokens": 9, "max_output_tokens": 1, "prompt": "a", "n": 2}), Some(9), 2),
        (completions(), json!({"prompt": ["a", "b", "c"], "n": 2, "best_of": 4}), None, 12),
        (completions(), json!({"prompt": [1, 2, 3]}), None, 1),
        (completions(), json!({"prompt": [[1], [2]]}), None, 2),
    ] {
        let body = json_of(&request);
        assert_eq!((codec.stated_cap(&body), codec.answers(&body)), (cap, answers), "{request}");
    }
}

fn answer(parts: Vec<Part>, finish: Finish) -> Answer {
    let choice = Choice { index: 0, parts, finish, stop_sequence: None, logprobs: None, extra: Extra::new() };
    Answer { choices: vec![choice], ..Answer::default() }
}

#[test]
fn a_custom_tool_is_called_in_its_own_form() {
    let asked = json!({"model": "m", "input": "x", "tools": [{"type": "custom", "name": "patch"}]});
    let call = ToolCall {
        id: "c".to_owned(),
        name: "patch".to_owned(),
        arguments: r#"{"input":"*** Begin"}"#.to_owned(),
        cache: None,
    };
    let answer = answer(vec![Part::ToolCall(call)], Finish::ToolCalls);
    let written: Value =
        serde_json::from_slice(&responses().encode_reply(&answer, &style(Some(&asked)))).unwrap();
    let item = &written["output"][0];
    assert_eq!((&item["type"], &item["input"]), (&json!("custom_tool_call"), &json!("*** Begin")));
    assert_eq!(written["tools"], asked["tools"]);
}

#[test]
fn an_answer_that_was_cut_says_why() {
    for (finish, status, reason) in [
        (Finish::Stop, "completed", Value::Null),
        (Finish::Length, "incomplete", json!({"reason": "max_output_tokens"})),
        (Finish::ContentFilter, "incomplete", json!({"reason": "content_filter"})),
    ] {
        let written = responses().encode_reply(&answer(vec![Part::text("a")], finish), &style(None));
        let written: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!((&written["status"], &written["incomplete_details"]), (&json!(status), &reason));
    }
}

#[test]
fn an_echo_stands_before_the_completion() {
    let asked = json!({"model": "m", "prompt": "Once ", "echo": true});
    let written =
        completions().encode_reply(&answer(vec![Part::text("upon")], Finish::Stop), &style(Some(&asked)));
    let written: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(written["choices"][0]["text"], "Once upon");
}
