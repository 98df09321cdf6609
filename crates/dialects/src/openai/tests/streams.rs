//! Streams: every provider's way of writing them, and ours.

use gatewright_core::{ErrorKind, RawEvent, Usage};

use super::gather::gather;
use super::*;

fn decode_stream(events: &[Value]) -> Result<Vec<Event>> {
    let mut reader = OpenAi.decoder();
    let mut out = Vec::new();
    for event in events {
        let data = event.as_str().map_or_else(|| event.to_string(), str::to_owned);
        reader.event(RawEvent { name: "", data: data.as_bytes() }, &mut out)?;
    }
    reader.close(&mut out)?;
    Ok(out)
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn streams_of_every_provider_become_blocks() {
    let reasoning = |text: &str, signature: Option<&str>| Part::Reasoning {
        text: text.into(),
        signature: signature.map(str::to_owned),
    };
    let calls = |items: Value| chunk(json!({ "tool_calls": items }));
    let function = |name: &str, arguments: &str| json!({"name": name, "arguments": arguments});
    let cases: Vec<(&str, Vec<Value>, Vec<Part>, Finish)> = vec![
        (
            "text",
            vec![
                chunk(json!({"role":"assistant","content":""})),
                chunk(json!({"content":"a"})),
                chunk(json!({"content":"b"})),
            ],
            vec![Part::text("ab")],
            Finish::Stop,
        ),
        (
            "reasoning_content",
            vec![
                chunk(json!({"reasoning_content":"w"})),
                chunk(json!({"reasoning_content":null,"content":"a"})),
            ],
            vec![reasoning("w", None), Part::text("a")],
            Finish::Stop,
        ),
        (
            "reasoning",
            vec![chunk(json!({"reasoning":"w","content":""})), chunk(json!({"content":"a"}))],
            vec![reasoning("w", None), Part::text("a")],
            Finish::Stop,
        ),
        (
            "openrouter",
            vec![
                chunk(json!({"reasoning":"w","reasoning_details":[{"type":"reasoning.text","text":"w"}]})),
                chunk(
                    json!({"reasoning":null,"reasoning_details":[{"type":"reasoning.text","signature":"s"}]}),
                ),
                chunk(json!({"reasoning_details":[{"type":"reasoning.encrypted","data":"d"}]})),
                chunk(json!({"content":"a"})),
            ],
            vec![reasoning("w", Some("s")), Part::RedactedReasoning { data: "d".into() }, Part::text("a")],
            Finish::Stop,
        ),
        (
            "litellm",
            vec![
                chunk(
                    json!({"reasoning_content":"w","thinking_blocks":[{"type":"thinking","thinking":"w","signature":null}]}),
                ),
                chunk(
                    json!({"reasoning_content":"","thinking_blocks":[{"type":"thinking","thinking":"","signature":"s"}]}),
                ),
                chunk(json!({"content":"a"})),
            ],
            vec![reasoning("w", Some("s")), Part::text("a")],
            Finish::Stop,
        ),
        (
            "mistral",
            vec![
                chunk(json!({"content":[{"type":"thinking","thinking":[{"type":"text","text":"w"}]}]})),
                chunk(json!({"content":[{"type":"text","text":"a"}]})),
            ],
            vec![reasoning("w", None), Part::text("a")],
            Finish::Stop,
        ),
        (
            "interleaved calls",
            vec![
                calls(json!([{"index":0,"id":"1","type":"function","function":function("f", "")}])),
                calls(json!([{"index":1,"id":"2","type":"function","function":function("g", "")}])),
                calls(
                    json!([{"index":0,"function":{"arguments":"{\"a\""}}, {"index":1,"function":{"arguments":"{}"}}]),
                ),
                calls(json!([{"index":0,"function":{"arguments":":1}"}}])),
            ],
            vec![call("1", "f", r#"{"a":1}"#), call("2", "g", "{}")],
            Finish::ToolCalls,
        ),
        (
            "whole calls without indexes",
            vec![calls(
                json!([{"id":"1","function":function("f", "{}")}, {"id":"2","function":function("g", "{}")}]),
            )],
            vec![call("1", "f", "{}"), call("2", "g", "{}")],
            Finish::ToolCalls,
        ),
        (
            "all numbered zero",
            vec![
                calls(json!([{"index":0,"id":"1","function":function("f", "{}")}])),
                calls(json!([{"index":0,"id":"2","function":function("g", "{}")}])),
            ],
            vec![call("1", "f", "{}"), call("2", "g", "{}")],
            Finish::ToolCalls,
        ),
        (
            "without ids",
            vec![
                calls(json!([{"index":0,"function":function("f", "{")}])),
                calls(json!([{"index":0,"function":{"arguments":"}"}}])),
            ],
            vec![call("call_c1_0_0", "f", "{}")],
            Finish::ToolCalls,
        ),
        (
            "name after id",
            vec![
                calls(json!([{"index":0,"id":"1"}])),
                calls(json!([{"index":0,"function":{"arguments":"{"}}])),
                calls(json!([{"index":0,"function":function("f", "}")}])),
            ],
            vec![call("1", "f", "{}")],
            Finish::ToolCalls,
        ),
        (
            "text with a call",
            vec![chunk(
                json!({"content":"a","tool_calls":[{"index":0,"id":"1","function":{"name":"f","arguments":{"a":1}}}]}),
            )],
            vec![Part::text("a"), call("1", "f", r#"{"a":1}"#)],
            Finish::ToolCalls,
        ),
        (
            "function_call",
            vec![
                chunk(json!({"function_call":function("f", "{")})),
                chunk(json!({"function_call":{"arguments":"}"}})),
            ],
            vec![call("call_c1_0_0", "f", "{}")],
            Finish::ToolCalls,
        ),
        (
            "refusal",
            vec![chunk(json!({"refusal":"n"})), chunk(json!({"refusal":"o"}))],
            vec![Part::Refusal("no".into())],
            Finish::Stop,
        ),
        (
            "message in place of delta",
            vec![json!({"id":"c","choices":[{"message":{"content":"a"}}]})],
            vec![Part::text("a")],
            Finish::Stop,
        ),
        ("nothing", vec![chunk(json!({}))], vec![], Finish::Stop),
    ];
    for (name, mut events, parts, finish) in cases {
        events.push(last("stop"));
        events.push(last("stop"));
        events.push(json!({"choices":[],"usage":{"prompt_tokens":1}}));
        events.push(json!("[DONE]"));
        let events = decode_stream(&events).unwrap();
        let (choices, usage) = gather(&events);
        assert_eq!((&choices[0].parts, choices[0].finish), (&parts, finish), "{name}");
        assert_eq!(usage.map(|u| u.input), Some(1));
        assert!(
            matches!(events[0], Event::Start { created: 5 | 0, .. }) && events.last() == Some(&Event::End),
            "{name}"
        );
        assert_ends_match(&events);
    }
}

#[test]
fn what_comes_after_the_reason_to_stop_harms_nothing() {
    let call =
        |index, id: &str| json!({"index": index, "id": id, "function": {"name": "f", "arguments": "{"}});
    let more = json!({"index": 0, "function": {"arguments": "}"}});
    let events = decode_stream(&[
        chunk(json!({"tool_calls": [call(0, "1")]})),
        last("tool_calls"),
        chunk(json!({"content": "late", "tool_calls": [more, call(1, "2")]})),
        last("stop"),
    ])
    .unwrap();
    let (choices, _) = gather(&events);
    let late = [self::call("1", "f", "{"), Part::text("late"), self::call("2", "f", "{")];
    assert_eq!((&choices[0].parts[..], choices[0].finish), (&late[..], Finish::ToolCalls));
    assert_ends_match(&events);
    let finishes = events.iter().filter(|event| matches!(event, Event::Finish { .. })).count();
    assert_eq!((finishes, events.last()), (1, Some(&Event::End)));
    // Nothing is added to a part that has ended.
    let end = events.iter().position(|event| *event == Event::PartEnd { choice: 0, index: 0 }).unwrap();
    assert!(!events[end..].iter().any(|event| matches!(event, Event::PartDelta { index: 0, .. })));
}

#[test]
fn usage_that_cannot_be_read_hides_none_that_can() {
    let used = json!({"prompt_tokens": 3});
    let event = json!({"choices": [], "usage": "none", "x_groq": {"usage": used}});
    let (_, usage) = gather(&decode_stream(&[last("stop"), event]).unwrap());
    assert_eq!(usage.map(|usage| usage.input), Some(3));
}

fn assert_ends_match(events: &[Event]) {
    let starts = events.iter().filter(|e| matches!(e, Event::PartStart { .. })).count();
    let ends = events.iter().filter(|e| matches!(e, Event::PartEnd { .. })).count();
    assert_eq!(starts, ends, "{events:?}");
}

#[test]
fn a_stream_that_breaks_off_fails() {
    let err = decode_stream(&[chunk(json!({"content":"a"}))]).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Connection);
    let err = decode_stream(&[json!({"error":{"message":"x","code":503}})]).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unavailable);
    assert!(decode_stream(&[chunk(json!({"content":"a"})), last("length")]).is_ok());
    assert!(
        decode_stream(&[json!({"id":"x","choices":[],"prompt_filter_results":[]}), last("stop")]).is_ok()
    );
}

/// What a client reads of the events that we write.
fn reread(events: &[Event], include_usage: bool) -> (String, Vec<Event>) {
    let mut writer = OpenAi.encoder(&style(include_usage));
    let mut out = BytesMut::new();
    events.iter().for_each(|event| writer.event(event, &mut out));
    let mut reader = OpenAi.decoder();
    let mut read = Vec::new();
    let mut splitter = crate::sse::Splitter::new(1 << 20);
    splitter.feed(&out, &mut |event| reader.event(event, &mut read)).unwrap();
    reader.close(&mut read).unwrap();
    (String::from_utf8(out.to_vec()).unwrap(), read)
}

#[test]
fn what_is_streamed_to_a_client_says_the_same() {
    let citation = json!({"type":"web_search_result_location","url":"u","title":"t","encrypted_index":"","cited_text":"","start_index":0,"end_index":1});
    let part = |index, kind| Event::PartStart { choice: 0, index, kind };
    let delta = |index, delta| Event::PartDelta { choice: 0, index, delta };
    let end = |index| Event::PartEnd { choice: 0, index };
    let events = [
        Event::Start { id: "x".into(), model: "m".into(), created: 0, extra: Extra::new() },
        part(0, PartKind::Reasoning),
        delta(0, Delta::Reasoning("be".into())),
        delta(0, Delta::Reasoning("cause".into())),
        delta(0, Delta::Signature("s".into())),
        end(0),
        part(1, PartKind::RedactedReasoning { data: "d".into() }),
        end(1),
        Event::Ping,
        part(2, PartKind::Text),
        delta(2, Delta::Text("h\"\u{e4}".into())),
        delta(2, Delta::Citation(citation)),
        end(2),
        part(3, PartKind::ToolCall { id: "1".into(), name: "f".into() }),
        part(4, PartKind::ToolCall { id: "2".into(), name: "g".into() }),
        delta(4, Delta::Arguments("{\"a\"".into())),
        delta(4, Delta::Arguments(":1}".into())),
        end(3),
        end(4),
        Event::Usage(Usage { input: 3, output: 2, cache_read: 1, ..Usage::default() }),
        Event::Finish { choice: 0, reason: Finish::ToolCalls, stop_sequence: None },
        Event::End,
    ];
    let (text, read) = reread(&events, true);
    let (mut want, _) = gather(&events);
    want[0].parts[3] = call("1", "f", "{}");
    let (got, usage) = gather(&read);
    assert_eq!(got, want, "{text}");
    let usage = usage.unwrap();
    assert_eq!((usage.input, usage.output, usage.cache_read), (4, 2, 1));
    assert!(text.starts_with(
        r#"data: {"id":"x","object":"chat.completion.chunk","created":7,"model":"alias","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#
    ));
    assert!(text.ends_with("data: [DONE]\n\n"));
    assert!(text.contains(r#""thinking_blocks":[{"type":"thinking","thinking":"because","signature":"s"}]"#));
    assert!(!reread(&events, false).0.contains("usage"));
}

#[test]
fn a_failure_in_mid_stream_is_told_in_events() {
    let event = OpenAi.encode_error_event(&Error::new(ErrorKind::Upstream, "broke"));
    assert_eq!(
        event,
        "data: {\"error\":{\"message\":\"broke\",\"type\":\"internal_server_error\",\"param\":null,\"code\":\"500\"}}\n\ndata: [DONE]\n\n"
    );
}
