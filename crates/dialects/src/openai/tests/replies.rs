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

#[test]
fn no_field_stands_twice_in_an_answer() {
    let fields = |value: Value| value.as_object().unwrap().clone();
    let choice = Choice {
        index: 0,
        parts: vec![Part::text("a \"b\""), Part::text(" c")],
        finish: Finish::StopSequence,
        stop_sequence: Some("END".into()),
        logprobs: None,
        extra: fields(json!({
            "content": "theirs", "audio": {"id": 1}, "stop_reason": "theirs", "seed": 7, "tool_calls": [{"id": "x"}],
        })),
    };
    let answer = Answer {
        id: "id".into(),
        created: 5,
        choices: vec![choice],
        usage: Some(gatewright_core::Usage {
            input: 3,
            output: 2,
            cache_in_input: true,
            ..Default::default()
        }),
        extra: fields(json!({"object": "theirs", "usage": {}, "service_tier": "theirs", "provider": "p"})),
        ..Answer::default()
    };
    let want = r#"{"id":"id","object":"chat.completion","created":5,"model":"alias","choices":[{"index":0,"message":{"role":"assistant","content":"a \"b\" c","audio":{"id":1},"tool_calls":[{"id":"x"}]},"finish_reason":"stop","stop_reason":"END","seed":7}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}},"service_tier":"theirs","provider":"p"}"#;
    let told = |style: &ReplyStyle| String::from_utf8(OpenAi.encode_reply(&answer, style).to_vec()).unwrap();
    assert_eq!(told(&style(true)), want);
    let older = ReplyStyle { older_functions: true, ..style(true) };
    assert_eq!(told(&older), want.replace(r#","tool_calls":[{"id":"x"}]"#, ""));
}

#[test]
fn an_answer_that_is_passed_on_tells_the_same_of_itself_as_one_that_is_read() {
    for body in [
        r#"{"id":"c1","model":"m","choices":[{"index":0,"finish_reason":"stop"},{"index":2,"finish_reason":"eos"}]}"#,
        r#"{"choices":[{"finish_reason":"tool\u005fcalls"},{"index":1,"finish_reason":null}],"model":"a\"b","id":""}"#,
        r#"{"id":7,"model":null,"choices":[{"index":3,"finish_reason":""}]}"#,
    ] {
        let (frame, facts) = OpenAi.relay_told(body.into(), &style(false)).unwrap();
        assert_eq!(facts, OpenAi.facts(body.as_bytes()), "{body}");
        assert_eq!(frame.data, OpenAi.relay_reply(body.into(), &style(false)).unwrap().data);
    }
}
