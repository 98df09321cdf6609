//! Requests: what is read, what is written for which model, and what is told as lost.

use gatewright_core::ErrorKind;

use super::*;

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
        let told = |name: &str| lost.iter().any(|lost| lost == name);
        assert_eq!(told("messages.thinking"), !thought, "{lost:?}");
        assert_eq!(told("messages.thinking.signature"), !blocks, "{lost:?}");
        assert_eq!(told("messages.cache_control"), !marked, "{lost:?}");
        assert_eq!(told("reasoning_effort"), effort.is_none(), "{lost:?}");
        assert_eq!(told("thinking.budget_tokens"), effort.is_some(), "{lost:?}");
    }
}

#[test]
fn what_the_dialect_has_no_place_for_is_told() {
    let mut chat = decode(&json!({"messages":[{"role":"user","content":"a"}],"verbosity":"low"})).unwrap();
    chat.extra.insert("context_management".into(), json!({}));
    chat.tools = vec![
        Tool::Hosted(json!({"type":"bash_20250124","name":"bash"})),
        Tool::Hosted(json!({"type":"mcp_toolset","mcp_server_name":"m"})),
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
    assert_eq!(lost, ["audio_url", "tools.bash_20250124", "tools.mcp_toolset", "context_management"]);
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
fn an_answer_is_capped_in_the_field_that_its_client_or_model_knows() {
    let model = |reasoning| ModelFacts { reasoning, ..ModelFacts::default() };
    for (body, reasoning, want) in [
        (json!({}), ReasoningControl::None, json!({"max_tokens": 300})),
        (json!({}), ReasoningControl::Effort, json!({"max_completion_tokens": 300})),
        (json!({"max_tokens": 900}), ReasoningControl::Effort, json!({"max_tokens": 300})),
        (json!({"max_tokens": 100}), ReasoningControl::None, json!({"max_tokens": 100})),
        (json!({"max_tokens": null}), ReasoningControl::None, json!({"max_tokens": 300})),
        (
            json!({"max_completion_tokens": 301}),
            ReasoningControl::None,
            json!({"max_completion_tokens": 300}),
        ),
    ] {
        let mut json = Json::parse(body.to_string().into(), JsonLimits::default()).unwrap();
        OpenAi.cap_output(&mut json, 300, &model(reasoning));
        let got: Value = serde_json::from_slice(&json.to_bytes()).unwrap();
        assert_eq!(got, want, "{body} for {reasoning:?}");
    }
}
