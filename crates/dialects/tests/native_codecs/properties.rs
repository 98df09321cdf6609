//! What holds for every request and every stream.

use bytes::BytesMut;
use gatewright_core::{Dialect, RawEvent};
use gatewright_dialects::of;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{BOTH, decode, encode, events, relayed, style, thinker};

/// Events with anything in them that a stream may hold.
const COHERE: &str = concat!(
    "event: message-start\r\ndata: {\"type\":\"message-start\",\"id\":\"a\",\"delta\":{\"message\":{\"content\":[]}}}\r\n\r\n",
    "event: content-start\ndata: {\"index\":0,\"delta\":{\"message\":{\"content\":{\"type\":\"thinking\",\"thinking\":\"\"}}}}\n\n",
    "event: content-delta\ndata: {\"index\":0,\"delta\":{\"message\":{\"content\":{\"thinking\":\"h\u{e9}\"}}}}\n\n",
    ": comment\n\nevent: content-end\ndata: {\"index\":0}\n\n",
    "data: {\"type\":\"content-start\",\"index\":1,\"delta\":{\"message\":{\"content\":{\"type\":\"text\",\"text\":\"\"}}}}\n\n",
    "event: content-delta\ndata: {\"index\":1,\ndata: \"delta\":{\"message\":{\"content\":{\"text\":\"\u{1F600}\"}}}}\n\n",
    "event: content-end\ndata: {\"index\":1}\n\n",
    "event: citation-start\ndata: {\"index\":0,\"delta\":{\"message\":{\"citations\":{\"start\":0,\"end\":1,\"sources\":[{\"type\":\"document\",\"id\":\"doc:0\",\"document\":{\"text\":\"t\"}}]}}}}\n\n",
    "event: citation-end\ndata: {\"index\":0}\n\n",
    "event: tool-plan-delta\ndata: {\"delta\":{\"message\":{\"tool_plan\":\"p\"}}}\n\n",
    "event: tool-call-start\ndata: {\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}}}}\n\n",
    "event: tool-call-delta\ndata: {\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":\"{}\"}}}}}\n\n",
    "event: tool-call-end\ndata: {\"index\":0}\n\n",
    "event: message-end\ndata: {\"delta\":{\"finish_reason\":\"TOOL_CALL\",\"usage\":{\"tokens\":{\"input_tokens\":3,\"output_tokens\":2}}}}\n\n",
);

const OLLAMA: &str = concat!(
    "{\"model\":\"m\",\"created_at\":\"2026-01-02T03:04:05Z\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"h\u{e9}\"},\"done\":false}\n",
    "{\"model\":\"m\",\"message\":{\"content\":\"\u{1F600}\"},\"done\":false}\r\n\n",
    "{\"model\":\"m\",\"message\":{\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}}]},\"done\":false}\n",
    "{\"model\":\"m\",\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":3,\"eval_count\":2}",
);

fn stream(dialect: Dialect) -> &'static [u8] {
    match dialect {
        Dialect::CohereChat => COHERE.as_bytes(),
        _ => OLLAMA.as_bytes(),
    }
}

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9\u{e9}\u{1F600}\"\\\\]{1,8}"
}

fn cohere() -> impl Strategy<Value = Value> {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
    let settings = [
        json!({"temperature": 0.5, "p": 0.9, "k": 3, "seed": 7, "max_tokens": 9, "stop_sequences": ["x"]}),
        json!({"thinking": {"type": "enabled", "token_budget": 9}, "stream": true}),
        json!({"thinking": {"type": "disabled"}, "logprobs": true, "safety_mode": "OFF"}),
        json!({"response_format": {"type": "json_object", "json_schema": schema}}),
        json!({"documents": [{"id": "a", "data": {"text": "t", "title": "n", "more": 1}}, "plain"]}),
        json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}],
               "strict_tools": true, "tool_choice": "REQUIRED"}),
    ];
    (word(), word(), word(), select(settings.to_vec())).prop_map(|(asked, said, told, settings)| {
        let mut request = json!({"model": "m", "messages": [
            {"role": "system", "content": said},
            {"role": "user", "content": [{"type": "text", "text": asked},
                                         {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}]},
            {"role": "assistant", "tool_plan": told, "content": [{"type": "thinking", "thinking": said}],
             "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": told},
            {"role": "assistant", "content": said, "citations": [
                {"start": 0, "end": 1, "text": "", "sources": [
                    {"type": "document", "id": "doc:1", "document": {"id": "doc:1", "text": told}},
                    {"type": "document", "id": "own", "document": {"id": "own", "title": "n", "text": told}}]}]},
            {"role": "user", "content": asked},
        ]});
        request.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        request
    })
}

fn ollama() -> impl Strategy<Value = Value> {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let settings = [
        json!({"options": {"temperature": 0.5, "top_k": 3, "num_predict": 9, "stop": ["x"], "num_ctx": 4096}}),
        json!({"think": true, "stream": false, "keep_alive": "5m"}),
        json!({"think": false, "format": "json", "logprobs": true, "top_logprobs": 2}),
        json!({"format": schema}),
        json!({"tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": schema}}]}),
    ];
    (word(), word(), select(settings.to_vec())).prop_map(|(asked, said, settings)| {
        let mut request = json!({"model": "m", "messages": [
            {"role": "system", "content": said},
            {"role": "user", "content": asked, "images": ["QQ=="]},
            {"role": "assistant", "content": said, "thinking": asked,
             "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}]},
            {"role": "tool", "tool_name": "f", "content": said},
        ]});
        request.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        request
    })
}

proptest! {
    #[test]
    fn what_is_read_written_and_read_again_is_the_same(cohere in cohere(), ollama in ollama()) {
        for (dialect, request) in [(Dialect::CohereChat, cohere), (Dialect::OllamaChat, ollama)] {
            let once = decode(dialect, &request).unwrap();
            let (body, lost) = encode(dialect, &once, &thinker());
            prop_assert!(lost.is_empty(), "{lost:?}");
            prop_assert_eq!(decode(dialect, &body).unwrap(), once);
        }
    }

    #[test]
    fn the_cuts_between_chunks_change_nothing(size in 1_usize..200) {
        for dialect in BOTH {
            let stream = stream(dialect);
            prop_assert_eq!(events(dialect, stream, size).unwrap(), events(dialect, stream, 1 << 20).unwrap());
            prop_assert_eq!(relayed(dialect, stream, size).unwrap(), relayed(dialect, stream, 1 << 20).unwrap());
        }
    }

    #[test]
    fn a_stream_that_is_cut_ends_in_an_error(cut in any::<prop::sample::Index>()) {
        for dialect in BOTH {
            let stream = stream(dialect);
            let part = &stream[..cut.index(stream.len() - 2)];
            prop_assert!(events(dialect, part, 64).is_err());
            prop_assert!(relayed(dialect, part, 64).is_err());
        }
    }

    #[test]
    fn no_bytes_make_them_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), name in select(vec![
        "", "message-start", "content-start", "content-delta", "content-end", "tool-plan-delta", "tool-call-start",
        "tool-call-delta", "tool-call-end", "citation-start", "message-end",
    ])) {
        for dialect in BOTH {
            let (codec, event) = (of(dialect), RawEvent { name, data: &bytes });
            let _ = codec.decoder().event(event, &mut Vec::new());
            let _ = codec.relay(&style()).event(event, &mut BytesMut::new());
            let _ = codec.decode_reply(&bytes);
            let _ = codec.relay_reply(bytes.clone().into(), &style());
            let _ = codec.decode_error(http::StatusCode::BAD_REQUEST, &bytes);
            let _ = codec.embeddings().unwrap().decode_reply(&bytes);
        }
    }
}
