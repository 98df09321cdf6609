//! The dialect as a whole: requests and answers through both directions, streams cut anywhere.

use gatewright_core::chat::*;
use gatewright_core::{ErrorKind, JsonLimits, RawEvent, ReasoningControl, Translate, Usage};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn decode(body: &Value) -> Result<Chat> {
    OpenAi.decode_request(&Json::parse(body.to_string().into(), JsonLimits::default())?)
}

fn facts() -> ModelFacts {
    ModelFacts { name: "claude-x".into(), reasoning: ReasoningControl::Effort, ..ModelFacts::default() }
}

fn encode_for(chat: &Chat, model: &ModelFacts) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let body = OpenAi.encode_request(chat, model, &mut losses).unwrap();
    let lost = losses.into_fields().into_iter().map(String::from).collect();
    (serde_json::from_slice(&body).unwrap(), lost)
}

fn style(include_usage: bool) -> ReplyStyle {
    ReplyStyle { model: "alias".into(), include_usage, created: 7 }
}

fn with_message(message: &Value) -> Value {
    json!({"model": "m", "messages": [message]})
}

#[test]
fn messages_are_read_into_turns() {
    let text = |text: &str| Part::text(text);
    let marked = |text: &str, mark| Part::Text { text: text.into(), citations: vec![], cache: Some(mark) };
    let media = |kind, source, name: Option<&str>| {
        Part::Media(Media { kind, source, name: name.map(str::to_owned), cache: None, extra: Extra::new() })
    };
    let inline =
        |media_type: &str| MediaSource::Base64 { media_type: media_type.into(), data: "AA==".into() };
    let call = |id: &str, name: &str, arguments: &str| {
        Part::ToolCall(ToolCall {
            id: id.into(),
            name: name.into(),
            arguments: arguments.into(),
            cache: None,
        })
    };
    let result = |id: &str, parts, cache| {
        Part::ToolResult(ToolResult { id: id.into(), parts, is_error: false, cache })
    };
    for (message, role, parts) in [
        (json!({"role":"system","content":"a"}), Role::System, vec![text("a")]),
        (
            json!({"role":"developer","content":[{"type":"text","text":"a"}]}),
            Role::Developer,
            vec![text("a")],
        ),
        (
            json!({"role":"user","content":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}),
            Role::User,
            vec![marked("a", CacheMark::OneHour)],
        ),
        (
            json!({"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},
                {"type":"image_url","image_url":{"url":"https://x/y.png"}},
                {"type":"image_url","image_url":"data:image/png;base64,AA=="},
                {"type":"file","file":{"file_data":"data:application/pdf;base64,AA==","filename":"a.pdf"}},
                {"type":"file","file":{"file_id":"file-1"}},
                {"type":"file","file":{"file_data":"AA==","filename":"b.pdf"}},
                {"type":"input_audio","input_audio":{"data":"AA==","format":"mp3"}},
                {"type":"video_url","video_url":{"url":"https://x/y.mp4"}},
                {"type":"odd","x":1}]}),
            Role::User,
            vec![
                marked("a", CacheMark::FiveMinutes),
                media(MediaKind::Image, MediaSource::Url("https://x/y.png".into()), None),
                media(MediaKind::Image, inline("image/png"), None),
                media(MediaKind::Document, inline("application/pdf"), Some("a.pdf")),
                media(MediaKind::Document, MediaSource::File("file-1".into()), None),
                media(MediaKind::Document, inline("application/pdf"), Some("b.pdf")),
                media(MediaKind::Audio, inline("audio/mpeg"), None),
                media(MediaKind::Video, MediaSource::Url("https://x/y.mp4".into()), None),
                Part::Other(json!({"type":"odd","x":1})),
            ],
        ),
        (
            json!({"role":"assistant","content":null,"reasoning_content":"why","thinking_blocks":[
                {"type":"thinking","thinking":"why","signature":"s"},{"type":"redacted_thinking","data":"d"}],
                "tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}},
                    {"id":"2","type":"function","function":{"name":"g","arguments":{"a":1}}}]}),
            Role::Assistant,
            vec![
                Part::Reasoning { text: "why".into(), signature: Some("s".into()) },
                Part::RedactedReasoning { data: "d".into() },
                call("1", "f", "{}"),
                call("2", "g", r#"{"a":1}"#),
            ],
        ),
        (
            json!({"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"w"}]},{"type":"text","text":"a"}],"refusal":"no"}),
            Role::Assistant,
            vec![
                Part::Reasoning { text: "w".into(), signature: None },
                text("a"),
                Part::Refusal("no".into()),
            ],
        ),
        (
            json!({"role":"assistant","content":"a","reasoning":"w","reasoning_details":[{"type":"reasoning.text","text":"w","signature":"s"}]}),
            Role::Assistant,
            vec![Part::Reasoning { text: "w".into(), signature: Some("s".into()) }, text("a")],
        ),
        (
            json!({"role":"tool","tool_call_id":"1","content":[{"type":"text","text":"a"}],"cache_control":{"type":"ephemeral"}}),
            Role::User,
            vec![result("1", vec![text("a")], Some(CacheMark::FiveMinutes))],
        ),
    ] {
        let chat = decode(&with_message(&message)).unwrap();
        assert_eq!((chat.turns[0].role, &chat.turns[0].parts), (role, &parts), "{message}");
    }
}

#[test]
fn the_older_functions_are_tools() {
    let chat = decode(&json!({"messages":[
        {"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},
        {"role":"function","name":"f","content":"one"},
        {"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},
        {"role":"function","name":"f","content":"two"},
    ],"functions":[{"name":"f","parameters":{}}],"function_call":{"name":"f"}}))
    .unwrap();
    let ids: Vec<_> = chat
        .turns
        .iter()
        .map(|turn| match &turn.parts[0] {
            Part::ToolCall(call) => call.id.clone(),
            Part::ToolResult(result) => result.id.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(ids[0] == ids[1] && ids[2] == ids[3] && ids[0] != ids[2], "{ids:?}");
    assert_eq!(chat.tool_choice, Some(ToolChoice::Function("f".into())));
    assert!(matches!(&chat.tools[0], Tool::Function { name, .. } if name == "f"));
}

#[test]
fn every_form_of_tool_choice_is_understood() {
    let tools = json!([{"type":"function","function":{"name":"f"}},{"type":"custom","custom":{"name":"c"}}]);
    let function = || ToolChoice::Function("f".into());
    let allowed = json!({"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"f"}}]}});
    for (wire, want, written) in [
        (json!("auto"), ToolChoice::Auto, json!("auto")),
        (json!("none"), ToolChoice::None, json!("none")),
        (json!("required"), ToolChoice::Required, json!("required")),
        (json!("any"), ToolChoice::Required, json!("required")),
        (
            json!({"type":"function","function":{"name":"f"}}),
            function(),
            json!({"type":"function","function":{"name":"f"}}),
        ),
        (json!({"type":"tool","name":"f"}), function(), json!({"type":"function","function":{"name":"f"}})),
        (
            json!({"type":"custom","custom":{"name":"c"}}),
            ToolChoice::Function("c".into()),
            json!({"type":"custom","custom":{"name":"c"}}),
        ),
        (allowed.clone(), ToolChoice::Allowed { names: vec!["f".into()], required: true }, allowed),
    ] {
        let chat = decode(&json!({"messages":[],"tools":tools,"tool_choice":wire})).unwrap();
        assert_eq!(chat.tool_choice, Some(want), "{wire}");
        assert_eq!(encode_for(&chat, &facts()).0["tool_choice"], written);
    }
    let err = decode(&json!({"messages":[],"tool_choice":"maybe"})).unwrap_err();
    assert_eq!((err.kind(), err.param()), (ErrorKind::InvalidRequest, Some("tool_choice")));
}

#[test]
fn bad_requests_are_refused_with_the_field() {
    for (body, param) in [
        (json!({"model":"m"}), "messages"),
        (json!({"messages":"x"}), "messages"),
        (json!({"messages":[1]}), "messages[0]"),
        (json!({"messages":[{"role":"user","content":""},{"role":"king"}]}), "messages[1].role"),
        (json!({"messages":[],"temperature":"hot"}), "temperature"),
        (json!({"messages":[],"stop":5}), "stop"),
    ] {
        let err = decode(&body).unwrap_err();
        assert_eq!((err.kind(), err.param()), (ErrorKind::InvalidRequest, Some(param)), "{body}");
    }
}

#[test]
fn what_a_model_cannot_take_is_not_sent_to_it() {
    let chat = decode(&json!({"messages":[
        {"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]},
        {"role":"assistant","content":"b","reasoning_content":"w","thinking_blocks":[{"type":"thinking","thinking":"w","signature":"s"}]},
    ],"max_tokens":9,"thinking":{"type":"enabled","budget_tokens":5000}}))
    .unwrap();
    let model = |name: &str, reasoning| ModelFacts { name: name.into(), reasoning, ..ModelFacts::default() };
    for (model, limit, effort, thought, blocks, marked) in [
        (model("gpt-4o", ReasoningControl::None), "max_tokens", None, false, false, false),
        (
            model("gpt-5", ReasoningControl::Effort),
            "max_completion_tokens",
            Some("medium"),
            false,
            false,
            false,
        ),
        (
            model("deepseek-x", ReasoningControl::Effort),
            "max_completion_tokens",
            Some("medium"),
            true,
            false,
            false,
        ),
        (
            model("anthropic/claude-x", ReasoningControl::Budget),
            "max_completion_tokens",
            Some("medium"),
            true,
            true,
            true,
        ),
    ] {
        let (body, lost) = encode_for(&chat, &model);
        assert_eq!(body[limit], 9, "{body}");
        assert_eq!(body.get("reasoning_effort").and_then(Value::as_str), effort, "{body}");
        assert_eq!(body["messages"][1].get("reasoning_content").is_some(), thought, "{body}");
        assert_eq!(body["messages"][1].get("thinking_blocks").is_some(), blocks, "{body}");
        assert_eq!(body["messages"][0]["content"].is_array(), marked, "{body}");
        assert_eq!(lost.is_empty(), effort.is_some(), "{lost:?}");
    }
}

#[test]
fn what_the_dialect_has_no_place_for_is_told() {
    let mut chat = decode(&json!({"messages":[{"role":"user","content":"a"}],"verbosity":"low"})).unwrap();
    chat.extra.insert("context_management".into(), json!({}));
    chat.tools = vec![
        Tool::Hosted(json!({"type":"bash_20250124","name":"bash"})),
        Tool::Hosted(json!({"type":"web_search_20250305","name":"web_search"})),
    ];
    chat.turns[0].parts.push(Part::Media(Media {
        kind: MediaKind::Audio,
        source: MediaSource::Url("https://x/a.wav".into()),
        name: None,
        cache: None,
        extra: Extra::new(),
    }));
    let (body, lost) = encode_for(&chat, &facts());
    assert_eq!(lost, ["audio by url", "tools.bash_20250124", "context_management"]);
    assert_eq!((&body["verbosity"], &body["web_search_options"]), (&json!("low"), &json!({})));
    assert!(body.get("tools").is_none() && body.get("context_management").is_none());
}

#[test]
fn results_of_tools_follow_their_calls_and_their_images_come_after() {
    let image = Part::Media(Media {
        kind: MediaKind::Image,
        source: MediaSource::Url("u".into()),
        name: None,
        cache: None,
        extra: Extra::new(),
    });
    let result =
        |id: &str, parts| Part::ToolResult(ToolResult { id: id.into(), parts, is_error: false, cache: None });
    let turn = Turn::new(
        Role::User,
        vec![result("1", vec![Part::text("a"), image]), Part::text("and?"), result("2", vec![])],
    );
    let chat = Chat { turns: vec![turn], ..Chat::default() };
    let (body, _) = encode_for(&chat, &facts());
    assert_eq!(
        body["messages"],
        json!([
            {"role":"tool","content":"a","tool_call_id":"1"},
            {"role":"tool","content":"","tool_call_id":"2"},
            {"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}},{"type":"text","text":"and?"}]},
        ])
    );
}

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

/// The parts that events build, as a whole answer would have them.
pub(super) fn gather(events: &[Event]) -> (Vec<Choice>, Option<Usage>) {
    let mut choices: Vec<(u32, Vec<(u32, Part)>, Option<Finish>)> = Vec::new();
    let mut usage = None;
    for event in events {
        let (Event::PartStart { choice, .. }
        | Event::PartDelta { choice, .. }
        | Event::Finish { choice, .. }) = event
        else {
            if let Event::Usage(used) = event {
                usage = Some(*used);
            }
            continue;
        };
        if !choices.iter().any(|(index, ..)| index == choice) {
            choices.push((*choice, Vec::new(), None));
        }
        let (_, parts, finish) = choices.iter_mut().find(|(index, ..)| index == choice).unwrap();
        match event {
            Event::PartStart { index, kind, .. } => parts.push((*index, begun(kind))),
            Event::PartDelta { index, delta, .. } => {
                add(&mut parts.iter_mut().find(|(known, _)| known == index).unwrap().1, delta);
            }
            Event::Finish { reason, .. } => *finish = Some(*reason),
            _ => {}
        }
    }
    let choice = |(index, parts, finish): (u32, Vec<(u32, Part)>, Option<Finish>)| Choice {
        index,
        parts: parts.into_iter().map(|(_, part)| part).collect(),
        finish: finish.expect("every choice ends"),
        stop_sequence: None,
        logprobs: None,
        extra: Extra::new(),
    };
    (choices.into_iter().map(choice).collect(), usage)
}

fn begun(kind: &PartKind) -> Part {
    match kind {
        PartKind::Text => Part::text(""),
        PartKind::Reasoning => Part::Reasoning { text: String::new(), signature: None },
        PartKind::RedactedReasoning { data } => Part::RedactedReasoning { data: data.clone() },
        PartKind::ToolCall { id, name } => Part::ToolCall(ToolCall {
            id: id.clone(),
            name: name.clone(),
            arguments: String::new(),
            cache: None,
        }),
        PartKind::Refusal => Part::Refusal(String::new()),
        PartKind::Other(value) => Part::Other(value.clone()),
    }
}

fn add(part: &mut Part, delta: &Delta) {
    match (part, delta) {
        (Part::Text { text, .. } | Part::Refusal(text), Delta::Text(more)) => text.push_str(more),
        (Part::ToolCall(call), Delta::Arguments(more)) => call.arguments.push_str(more),
        (Part::Reasoning { text, .. }, Delta::Reasoning(more)) => text.push_str(more),
        (Part::Reasoning { signature, .. }, Delta::Signature(more)) => *signature = Some(more.clone()),
        (Part::Text { citations, .. }, Delta::Citation(value)) => citations.push(value.clone()),
        (Part::Other(_), Delta::Other(_)) => {}
        (part, delta) => panic!("{delta:?} does not belong to {part:?}"),
    }
}

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

fn chunk(delta: Value) -> Value {
    json!({"id":"c-1","model":"m","created":5,"choices":[{"index":0,"delta":delta,"finish_reason":null}]})
}

fn last(word: &str) -> Value {
    json!({"id":"c-1","model":"m","choices":[{"index":0,"delta":{},"finish_reason":word}]})
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    Part::ToolCall(ToolCall { id: id.into(), name: name.into(), arguments: arguments.into(), cache: None })
}

#[test]
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

fn mark() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        Just(None),
        Just(Some(json!({"type":"ephemeral"}))),
        Just(Some(json!({"type":"ephemeral","ttl":"1h"})))
    ]
}

fn content_part() -> impl Strategy<Value = Value> {
    let part = prop_oneof![
        "[a-z\"\u{e4} ]{0,5}".prop_map(|text| json!({"type":"text","text":text})),
        Just(json!({"type":"image_url","image_url":{"url":"https://x/y","detail":"low"}})),
        Just(json!({"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}})),
        Just(
            json!({"type":"file","file":{"file_data":"data:application/pdf;base64,AA==","filename":"a.pdf"}})
        ),
        Just(json!({"type":"file","file":{"file_id":"file-1"}})),
        Just(json!({"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}})),
    ];
    (part, mark()).prop_map(|(mut part, mark)| {
        if let Some(mark) = mark {
            part["cache_control"] = mark;
        }
        part
    })
}

fn message() -> impl Strategy<Value = Value> {
    let content = || {
        prop_oneof![
            "[a-z ]{0,6}".prop_map(Value::from),
            prop::collection::vec(content_part(), 1..4).prop_map(Value::from)
        ]
    };
    prop_oneof![
        content().prop_map(|content| json!({"role":"user","content":content,"name":"n"})),
        content().prop_map(|content| json!({"role":"user","content":content})),
        "[a-z]{1,4}".prop_map(|text| json!({"role":"system","content":text})),
        "[a-z]{1,4}".prop_map(|text| json!({"role":"developer","content":text})),
        ("[a-z]{1,4}", any::<bool>()).prop_map(|(text, signed)| {
            let mut message = json!({"role":"assistant","content":text,"reasoning_content":"w","prefix":true});
            if signed {
                message["thinking_blocks"] = json!([{"type":"thinking","thinking":"w","signature":"s"},{"type":"redacted_thinking","data":"d"}]);
            }
            message
        }),
        prop::collection::vec("[a-z]{1,3}", 1..4).prop_map(|names| {
            let calls: Vec<_> = names
                .iter()
                .map(|name| json!({"id":name,"type":"function","function":{"name":name,"arguments":"{\"a\": 1}"}}))
                .collect();
            json!({"role":"assistant","content":null,"tool_calls":calls})
        }),
        ("[a-z]{1,3}", mark()).prop_map(|(id, mark)| {
            let mut message = json!({"role":"tool","tool_call_id":id,"content":"done"});
            if let Some(mark) = mark {
                message["cache_control"] = mark;
            }
            message
        }),
    ]
}

fn options() -> impl Strategy<Value = Value> {
    prop::sample::subsequence(
        vec![
            ("temperature", json!(0.5)),
            ("top_p", json!(1)),
            ("top_k", json!(3)),
            ("max_completion_tokens", json!(10)),
            ("stop", json!(["a", "b"])),
            ("stop", json!("a")),
            ("n", json!(2)),
            ("stream", json!(true)),
            ("stream_options", json!({"include_usage":true,"include_obfuscation":false})),
            ("seed", json!(-4)),
            ("logprobs", json!(true)),
            ("top_logprobs", json!(2)),
            ("logit_bias", json!({"50256":-100})),
            ("user", json!("u")),
            ("metadata", json!({"k":"v"})),
            ("service_tier", json!("flex")),
            ("reasoning_effort", json!("high")),
            ("response_format", json!({"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object"},"strict":true}})),
            ("response_format", json!({"type":"json_object"})),
            ("tools", json!([{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":true},"cache_control":{"type":"ephemeral"}},{"type":"custom","custom":{"name":"c"}}])),
            ("parallel_tool_calls", json!(false)),
            ("tool_choice", json!({"type":"function","function":{"name":"f"}})),
            ("frequency_penalty", json!(0.25)),
            ("presence_penalty", json!(-0.25)),
            ("verbosity", json!("low")),
            ("prediction", json!({"type":"content","content":"x"})),
        ],
        0..26,
    )
    .prop_map(|fields| {
        let mut body = serde_json::Map::new();
        fields.into_iter().for_each(|(key, value)| drop(body.insert(key.into(), value)));
        if !body.contains_key("tools") {
            body.remove("tool_choice");
            body.remove("parallel_tool_calls");
        }
        Value::Object(body)
    })
}

proptest! {
    #[test]
    fn a_request_survives_both_directions(
        messages in prop::collection::vec(message(), 0..5),
        options in options(),
    ) {
        let mut body = options;
        body["messages"] = messages.into();
        let chat = decode(&body).unwrap();
        let (again, lost) = encode_for(&chat, &facts());
        prop_assert_eq!(lost, Vec::<String>::new());
        prop_assert_eq!(decode(&again).unwrap(), chat, "{}", again);
    }

    #[test]
    fn any_chunking_of_a_stream_says_the_same(cuts in prop::collection::vec(1usize..40, 1..20)) {
        let events = [
            chunk(json!({"role":"assistant","content":""})),
            chunk(json!({"reasoning":"w\u{1f600}"})),
            chunk(json!({"content":"h\u{e4}"})),
            chunk(json!({"tool_calls":[{"index":0,"id":"1","function":{"name":"f","arguments":"{}"}}]})),
            last("tool_calls"),
            json!({"id":"c-1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}),
        ];
        let mut text = String::new();
        events.iter().for_each(|event| text.push_str(&format!(": ping\n\ndata: {event}\r\n\r\n")));
        text.push_str("data: [DONE]\n\n");
        let run = |chunks: Vec<&[u8]>| {
            let mut reader = OpenAi.decoder();
            let mut events = Vec::new();
            let mut relay = OpenAi.relay(&style(false));
            let mut translate = Translate::new(OpenAi.decoder(), OpenAi.encoder(&style(true)));
            let (mut relayed, mut translated) = (BytesMut::new(), BytesMut::new());
            let mut splitter = crate::sse::Splitter::new(1 << 20);
            for chunk in chunks {
                splitter
                    .feed(chunk, &mut |event| {
                        relay.event(event, &mut relayed)?;
                        gatewright_core::Relay::event(&mut translate, event, &mut translated)?;
                        reader.event(event, &mut events)
                    })
                    .unwrap();
            }
            (events, relayed, translated)
        };
        let bytes = text.as_bytes();
        let mut chunks = Vec::new();
        let mut at = 0;
        for cut in cuts.iter().cycle() {
            if at >= bytes.len() { break; }
            let end = (at + cut).min(bytes.len());
            chunks.push(&bytes[at..end]);
            at = end;
        }
        prop_assert_eq!(run(chunks), run(vec![bytes]));
    }
}
