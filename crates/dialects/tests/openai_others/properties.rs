//! What holds for every request and every stream.

use bytes::BytesMut;
use gatewright_core::{Codec, RawEvent};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{completions, decode, decoded, encode, relayed, responses, style};

/// Events with anything in them that a response's stream may hold.
const RESPONSE: &str = concat!(
    "event: response.created\r\n",
    r#"data: {"type":"response.created","response":{"id":"resp_1","model":"m","created_at":1.5,"output":[]}}"#,
    "\r\n\r\n",
    r#"data: {"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning","id":"rs_1","summary":[]}}"#,
    "\n\n: comment\n\n",
    r#"data: {"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"a"}"#,
    "\n\n",
    r#"data: {"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":1,"delta":"b"}"#,
    "\n\n",
    r#"data: {"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"a"},{"type":"summary_text","text":"b"}],"encrypted_content":"e"}}"#,
    "\n\n",
    r#"data: {"type":"response.output_item.done","output_index":1,"item":{"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search","query":"q"}}}"#,
    "\n\nevent: response.output_text.delta\n",
    "data: {\"type\":\"response.output_text.delta\",\"output_index\":2,\ndata: \"content_index\":0,\"delta\":\"\u{e9}\u{1F600}\"}",
    "\n\n",
    r#"data: {"type":"response.output_text.annotation.added","output_index":2,"content_index":0,"annotation":{"type":"url_citation","url":"https://x","title":"t","start_index":0,"end_index":1}}"#,
    "\n\n",
    r#"data: {"type":"response.content_part.done","output_index":2,"content_index":0,"part":{"type":"output_text","text":"x"}}"#,
    "\n\n",
    r#"data: {"type":"response.output_item.added","output_index":3,"item":{"type":"function_call","call_id":"c","name":"f","arguments":""}}"#,
    "\n\n",
    r#"data: {"type":"response.function_call_arguments.delta","output_index":3,"delta":"{\"a\":\"\u00e9\"}"}"#,
    "\n\n",
    r#"data: {"type":"response.completed","response":{"id":"resp_1","model":"m","status":"completed","output":[],"usage":{"input_tokens":3,"output_tokens":2,"total_tokens":5}}}"#,
    "\n\n",
);

const COMPLETION: &str = concat!(
    r#"data: {"id":"cmpl-1","model":"m","choices":[{"index":0,"text":"a","logprobs":{"tokens":["a"],"token_logprobs":[-0.1],"top_logprobs":[{"a":-0.1}],"text_offset":[0]}}]}"#,
    "\r\n\r\n",
    "data: {\"id\":\"cmpl-1\",\"model\":\"m\",\ndata: \"choices\":[{\"index\":1,\"text\":\"\u{1F600}\",\"finish_reason\":\"length\"}]}",
    "\n\n",
    r#"data: {"model":"m","choices":[{"index":0,"text":"","finish_reason":"stop"}],"usage":null}"#,
    "\n\n",
    r#"data: {"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#,
    "\n\ndata: [DONE]\n\n",
);

fn both() -> [(&'static dyn Codec, &'static str); 2] {
    [(responses(), RESPONSE), (completions(), COMPLETION)]
}

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9\u{e9}\u{1F600}\"\\\\]{1,8}"
}

fn asked() -> impl Strategy<Value = Value> {
    let parts = prop_oneof![
        word().prop_map(|text| json!({"type": "input_text", "text": text})),
        select(vec![
            json!({"type": "input_image", "image_url": "https://x/y.png", "detail": "high"}),
            json!({"type": "input_image", "image_url": "data:image/png;base64,QQ==", "detail": "auto"}),
            json!({"type": "input_image", "file_id": "file-1", "detail": "auto"}),
            json!({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,QQ=="}),
            json!({"type": "input_file", "file_url": "https://x/y.pdf"}),
            json!({"type": "input_audio", "input_audio": {"data": "QQ==", "format": "mp3"}}),
        ]),
    ];
    let message = (select(vec!["user", "system", "developer"]), prop::collection::vec(parts, 1..3));
    prop_oneof![
        message.prop_map(|(role, content)| json!({"type": "message", "role": role, "content": content})),
        word().prop_map(|text| json!({"role": "user", "content": text})),
        word().prop_map(|text| json!({"type": "function_call_output", "call_id": "c_1", "output": text})),
    ]
}

fn said() -> impl Strategy<Value = Value> {
    prop_oneof![
        word().prop_map(|text| json!({"type": "message", "role": "assistant", "content": [
            {"type": "output_text", "text": text, "annotations": []}, {"type": "refusal", "refusal": "no"}]})),
        word().prop_map(|text| json!({"type": "reasoning", "id": "rs_1", "encrypted_content": "e",
            "summary": [{"type": "summary_text", "text": text}]})),
        word().prop_map(|text| json!({"type": "function_call", "call_id": "c_1", "name": "f",
            "arguments": json!({"a": text}).to_string()})),
        word().prop_map(|text| json!({"type": "custom_tool_call", "call_id": "c_2", "name": "g", "input": text})),
        select(vec![
            json!({"type": "reasoning", "summary": [], "encrypted_content": "e"}),
            json!({"type": "web_search_call", "id": "ws_1", "status": "completed"}),
            json!({"type": "item_reference", "id": "msg_1"}),
        ]),
    ]
}

fn settings() -> impl Strategy<Value = Value> {
    let schema = json!({"type": "object", "properties": {}});
    let function = json!({"type": "function", "name": "f", "parameters": schema, "strict": true});
    select(vec![
        json!({"instructions": "be brief"}),
        json!({"max_output_tokens": 9, "temperature": 0.5, "top_p": 0.9, "top_logprobs": 2, "user": "u"}),
        json!({"text": {"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": true}, "verbosity": "low"}}),
        json!({"text": {"format": {"type": "json_object"}}, "service_tier": "flex", "stream": true}),
        json!({"reasoning": {"effort": "high", "summary": "auto"}, "truncation": "auto", "max_tool_calls": 3}),
        json!({"tools": [function, {"type": "file_search", "vector_store_ids": ["vs_1"]}],
               "tool_choice": {"type": "function", "name": "f"}, "parallel_tool_calls": false}),
        json!({"tools": [function, {"type": "web_search", "user_location": {"type": "approximate", "country": "FR"}}],
               "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]}}),
        json!({"tools": [{"type": "custom", "name": "g", "description": "d",
                          "format": {"type": "grammar", "syntax": "lark", "definition": "start: \"a\""}}],
               "tool_choice": {"type": "custom", "name": "g"}, "prompt_cache_key": "k", "safety_identifier": "s"}),
    ])
}

fn continued() -> impl Strategy<Value = Value> {
    let settings = select(vec![
        json!({"max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "logprobs": 2, "user": "u", "n": 2}),
        json!({"stop": "x", "seed": 3, "frequency_penalty": 0.1, "presence_penalty": 0.2, "stream": true}),
        json!({"stop": ["x", "y"], "suffix": "end", "best_of": 3, "logit_bias": {"5": 1}}),
    ]);
    (word(), settings).prop_map(|(prompt, mut settings)| {
        settings["prompt"] = prompt.into();
        settings
    })
}

proptest! {
    #[test]
    fn a_response_that_is_read_written_and_read_again_is_the_same(
        items in prop::collection::vec(prop_oneof![asked(), said()], 1..6), settings in settings()
    ) {
        let mut request = json!({"model": "m", "input": items});
        request.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let once = decode(responses(), &request).unwrap();
        let (written, lost) = encode(responses(), &once);
        prop_assert!(lost.is_empty(), "{lost:?}");
        let mut again = decode(responses(), &written).unwrap();
        // Every request for an upstream says that nothing shall be stored, which no conversation has a word for.
        again.extra.shift_remove("store");
        let normal = encode(responses(), &again).0;
        prop_assert_eq!(written, normal);
    }

    #[test]
    fn a_completion_that_is_read_written_and_read_again_is_the_same(request in continued()) {
        let once = decode(completions(), &request).unwrap();
        let (written, lost) = encode(completions(), &once);
        prop_assert!(lost.is_empty(), "{lost:?}");
        prop_assert_eq!(decode(completions(), &written).unwrap(), once);
    }

    #[test]
    fn the_cuts_between_chunks_change_nothing(mut cuts in prop::collection::vec(0..RESPONSE.len(), 0..40)) {
        cuts.sort_unstable();
        for (codec, stream) in both() {
            let stream = stream.as_bytes();
            prop_assert_eq!(decoded(codec.decoder(), stream, &cuts).unwrap(), decoded(codec.decoder(), stream, &[]).unwrap());
            let relay = || codec.relay(&style(None));
            prop_assert_eq!(relayed(relay(), stream, &cuts).unwrap(), relayed(relay(), stream, &[]).unwrap());
        }
    }

    #[test]
    fn a_stream_that_is_cut_off_is_no_answer(end in 0..RESPONSE.len()) {
        for (codec, stream) in both() {
            let end = end.min(stream.len());
            let whole = stream.as_bytes().get(end..).is_none_or(|rest| rest.trim_ascii().is_empty());
            // A completion is whole with the last of its choices; usage and the end mark may be missing.
            let bytes = &stream.as_bytes()[..end];
            let got = decoded(codec.decoder(), bytes, &[]);
            let ends = got.is_ok() || stream == COMPLETION;
            prop_assert_eq!(ends, whole || stream == COMPLETION);
            let _ = relayed(codec.relay(&style(None)), bytes, &[]);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), name in select(vec![
        "", "error", "response.created", "response.completed",
    ])) {
        for (codec, _) in both() {
            let event = RawEvent { name, data: &bytes };
            let _ = codec.decoder().event(event, &mut Vec::new());
            let _ = codec.relay(&style(None)).event(event, &mut BytesMut::new());
            let _ = codec.decode_reply(&bytes);
            let _ = codec.relay_reply(bytes.clone().into(), &style(None));
            let _ = codec.decode_error(http::StatusCode::BAD_REQUEST, &bytes);
        }
    }
}
