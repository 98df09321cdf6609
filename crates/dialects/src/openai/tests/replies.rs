//! Whole answers.

use gatewright_core::ErrorKind;

use super::*;

#[test]
fn a_whole_answer_survives_both_directions() {
    let body = json!({
        "id":"x","object":"chat.completion","created":5,"model":"m","provider":"p",
        "choices":[{"index":0,"message":{"role":"assistant","content":"see it","reasoning_content":"w",
            "thinking_blocks":[{"type":"thinking","thinking":"w","signature":"s"}],
            "annotations":[{"type":"url_citation","url_citation":{"start_index":4,"end_index":6,"url":"u","title":"t"}},{"type":"file","file":{}}],
            "tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}],"audio":{"id":"a"}},
            "finish_reason":"stop","logprobs":{"content":[]},"native_finish_reason":"done"}],
        "usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5},"service_tier":"default","system_fingerprint":"fp",
    });
    let answer = OpenAi.decode_reply(body.to_string().as_bytes()).unwrap();
    assert_eq!(answer.choices[0].finish, Finish::ToolCalls);
    let again = OpenAi.encode_reply(&answer, &style(true));
    assert_eq!(
        OpenAi.decode_reply(&again).unwrap(),
        Answer { model: "alias".into(), ..answer },
        "{}",
        String::from_utf8_lossy(&again)
    );
    let again: Value = serde_json::from_slice(&again).unwrap();
    assert_eq!(again["choices"][0]["native_finish_reason"], "done");
    assert_eq!(again["choices"][0]["message"]["annotations"], body["choices"][0]["message"]["annotations"]);
}

#[test]
fn answers_that_are_errors_are_errors() {
    for (body, kind) in [
        (r#"{"error":{"message":"x","code":429}}"#, ErrorKind::RateLimited),
        (r#"{"object":"error","message":"x","code":400}"#, ErrorKind::InvalidRequest),
        (r#"{"detail":"x"}"#, ErrorKind::Upstream),
        (r#"{"id":"x"}"#, ErrorKind::BadGateway),
        ("<html>", ErrorKind::BadGateway),
    ] {
        assert_eq!(OpenAi.decode_reply(body.as_bytes()).unwrap_err().kind(), kind, "{body}");
    }
}
