//! What must hold of any request and any cut of a stream.

use gatewright_core::{RawEvent, Translate};
use proptest::prelude::*;

use super::*;

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

/// JSON of the dialect's own words in senseless places, and plain rubbish.
fn rubbish() -> impl Strategy<Value = String> {
    let keys = prop::sample::select(vec![
        "choices",
        "delta",
        "message",
        "content",
        "model",
        "usage",
        "error",
        "tool_calls",
        "function",
        "arguments",
        "reasoning",
        "finish_reason",
        "index",
        "role",
        "messages",
        "thinking_blocks",
        "text",
        "type",
    ]);
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!(-1.5)),
        Just(json!(true)),
        prop::sample::select(vec!["", "user", "text", "tool", "\"\\", "[DONE]"]).prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(5, 40, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys.clone(), inner), 0..5)
                .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    });
    (value, any::<prop::sample::Index>(), any::<bool>()).prop_map(|(value, at, cut)| {
        let text = value.to_string();
        if cut { text.chars().take(at.index(text.len() + 1)).collect() } else { text }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_that_comes_from_outside_panics(text in rubbish()) {
        let bytes = text.as_bytes();
        let _ = OpenAi.decode_reply(bytes);
        let _ = OpenAi.decode_error(StatusCode::BAD_REQUEST, bytes);
        let _ = fault::inside(bytes);
        let event = RawEvent { name: "", data: bytes };
        let (mut relay, mut out) = (OpenAi.relay(&style(false)), BytesMut::new());
        // Whatever is relayed is still one JSON value.
        for _ in 0..2 {
            out.clear();
            let valid = serde_json::from_slice::<Value>(bytes).is_ok();
            if relay.event(event, &mut out).is_ok() && valid && !out.is_empty() && !out.ends_with(b"[DONE]\n\n") {
                let told = String::from_utf8(out.to_vec()).unwrap();
                let data = told.trim_end().strip_prefix("data: ").unwrap();
                prop_assert!(serde_json::from_str::<Value>(data).is_ok(), "{} became {}", text, told);
            }
        }
        if let Ok(frame) = OpenAi.relay_reply(Bytes::copy_from_slice(bytes), &style(false)) {
            prop_assert!(serde_json::from_slice::<Value>(bytes).is_err() || serde_json::from_slice::<Value>(&frame.data).is_ok());
        }
        let mut translate = Translate::new(OpenAi.decoder(), OpenAi.encoder(&style(true)));
        let _ = gatewright_core::Relay::event(&mut translate, event, &mut out);
        let _ = gatewright_core::Relay::close(&mut translate, &mut out);
        if let Ok(body) = Json::parse(Bytes::copy_from_slice(bytes), JsonLimits::default())
            && let Ok(chat) = OpenAi.decode_request(&body)
        {
            encode_for(&chat, &facts());
        }
    }

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
