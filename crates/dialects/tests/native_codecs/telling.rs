//! What answers tell.

use gatewright_core::chat::Finish;
use gatewright_core::{Dialect, ErrorKind, Usage};
use gatewright_dialects::of;
use serde_json::{Value, json};

use super::{events, relayed, style};

#[test]
fn an_answer_that_says_of_itself_that_it_failed_is_an_error() {
    for (word, kind) in [("ERROR", ErrorKind::Upstream), ("TIMEOUT", ErrorKind::Timeout)] {
        let body = json!({"id": "a", "message": {"role": "assistant"}, "finish_reason": word}).to_string();
        let codec = of(Dialect::CohereChat);
        assert_eq!(codec.decode_reply(body.as_bytes()).unwrap_err().kind(), kind);
        assert_eq!(codec.relay_reply(body.into(), &style()).unwrap_err().kind(), kind);
        let end = json!({"type": "message-end", "delta": {"finish_reason": word, "error": "it broke"}});
        let stream = format!("event: message-end\ndata: {end}\n\n");
        for err in [
            events(Dialect::CohereChat, stream.as_bytes(), 64).unwrap_err(),
            relayed(Dialect::CohereChat, stream.as_bytes(), 64).unwrap_err(),
        ] {
            assert_eq!((err.kind(), err.message()), (kind, "it broke"));
        }
    }
    let line = b"{\"error\":\"an error was encountered while running the model\"}\n";
    for err in [
        events(Dialect::OllamaChat, line, 64).unwrap_err(),
        relayed(Dialect::OllamaChat, line, 64).unwrap_err(),
        of(Dialect::OllamaChat).decode_reply(line).unwrap_err(),
    ] {
        assert_eq!(err.kind(), ErrorKind::Upstream);
        assert!(err.message().contains("running the model"), "{}", err.message());
    }
}

#[test]
fn what_cohere_does_not_bill_is_told_apart() {
    let usage = json!({"billed_units": {"input_tokens": 11, "output_tokens": 4},
                       "tokens": {"input_tokens": 506, "output_tokens": 5}, "cached_tokens": 448});
    let body = json!({"id": "a", "message": {"content": []}, "finish_reason": "MAX_TOKENS", "usage": usage});
    let answer = of(Dialect::CohereChat).decode_reply(body.to_string().as_bytes()).unwrap();
    let usage = answer.usage.unwrap();
    let wanted = Usage {
        input: 506,
        output: 5,
        cache_read: 448,
        unbilled_input: 495,
        unbilled_output: 1,
        cache_in_input: true,
        ..Usage::default()
    };
    assert_eq!(usage, wanted);
    let billed = usage.billed();
    assert_eq!((billed.input, billed.output, billed.cache_read), (11, 4, 0));
    assert_eq!(answer.choices[0].finish, Finish::Length);
    let written = of(Dialect::CohereChat).encode_reply(&answer, &style());
    let written: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(written["usage"]["billed_units"], json!({"input_tokens": 11, "output_tokens": 4}));
}

#[test]
fn the_model_of_a_relayed_line_is_the_one_that_the_client_knows() {
    let stream = b"{\"model\":\"up\",\"message\":{\"content\":\"model\"},\"done\":true,\"x\": 1.50}\n";
    let (out, _) = relayed(Dialect::OllamaChat, stream, 5).unwrap();
    let wanted = "{\"model\":\"alias\",\"message\":{\"content\":\"model\"},\"done\":true,\"x\": 1.50}\n";
    assert_eq!(String::from_utf8(out).unwrap(), wanted);
}

#[test]
fn calls_without_ids_get_their_own() {
    let call = json!({"function": {"name": "f", "arguments": {}}});
    let body = json!({"model": "m", "created_at": "2026-01-02T03:04:05Z", "done": true,
                      "message": {"role": "assistant", "content": "", "tool_calls": [call, call]}});
    let answer = of(Dialect::OllamaChat).decode_reply(body.to_string().as_bytes()).unwrap();
    let ids: Vec<&str> = answer.choices[0]
        .parts
        .iter()
        .filter_map(|part| match part {
            gatewright_core::chat::Part::ToolCall(call) => Some(call.id.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(ids, ["call_20260102030405_0", "call_20260102030405_1"]);
    assert_eq!(answer.choices[0].finish, Finish::ToolCalls);
}
