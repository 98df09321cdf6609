//! What each step of a codec costs, in instructions: `crates/dialects/examples/instructions.sh` counts them.
//!
//! One argument chooses the bodies: `plain` (1 KB), `tools` (a call, its result, two tools), `long` (60 KB).

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use gatewright_core::chat::{Answer, Chat};
use gatewright_core::{
    AttemptId, Codec, Dialect, Error, Json, JsonLimits, Losses, ModelFacts, RawEvent, Relay, ReplyStyle,
    Translate,
};
use serde_json::{Value, json};

/// The gateway's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often each step is taken; every figure is divided by it.
const TIMES: usize = 1_000;
/// Pieces of text in a stream.
const EVENTS: usize = 100;

type Done = Result<(), Box<dyn std::error::Error>>;

/// The bodies of one size.
struct Bodies {
    asked: [Bytes; 2],
    answered: [Bytes; 2],
    streamed: [Vec<(String, Bytes)>; 2],
}

/// Functions of their own, so that callgrind tells them apart.
macro_rules! steps {
    ($($name:ident($($arg:ident: $kind:ty),*) $body:block)*) => {
        mod steps {
            use super::*;
            $(
                #[inline(never)]
                pub(super) fn $name($($arg: $kind),*) -> Result<(), Error> {
                    black_box($body);
                    Ok(())
                }
            )*
        }
    };
}

steps! {
    index(body: &Bytes) { Json::parse(body.clone(), JsonLimits::default())? }
    readdress(codec: &dyn Codec, body: &Json) {
        let mut body = body.clone();
        codec.readdress(&mut body, "model-of-the-upstream");
        body.pieces()
    }
    decode_request_openai(body: &Json) { openai().decode_request(body)? }
    decode_request_anthropic(body: &Json) { anthropic().decode_request(body)? }
    encode_request_openai(body: &Chat) {
        openai().encode_request(body, &model(), &mut Losses::default())?
    }
    encode_request_anthropic(body: &Chat) {
        anthropic().encode_request(body, &model(), &mut Losses::default())?
    }
    decode_reply_openai(body: &Bytes) { openai().decode_reply(body)? }
    decode_reply_anthropic(body: &Bytes) { anthropic().decode_reply(body)? }
    encode_reply_openai(answer: &Answer) { openai().encode_reply(answer, &style()) }
    encode_reply_anthropic(answer: &Answer) { anthropic().encode_reply(answer, &style()) }
    relay_reply_openai(body: &Bytes) { openai().relay_reply(body.clone(), &style())? }
    relay_reply_anthropic(body: &Bytes) { anthropic().relay_reply(body.clone(), &style())? }
    relay_stream_openai(events: &[(String, Bytes)]) { relay(openai().relay(&style()), events)? }
    relay_stream_anthropic(events: &[(String, Bytes)]) { relay(anthropic().relay(&style()), events)? }
    translate_stream_openai_to_anthropic(events: &[(String, Bytes)]) {
        relay(Box::new(Translate::new(openai().decoder(), anthropic().encoder(&style()))), events)?
    }
    translate_stream_anthropic_to_openai(events: &[(String, Bytes)]) {
        relay(Box::new(Translate::new(anthropic().decoder(), openai().encoder(&style()))), events)?
    }
    estimate_bytes(body: &Bytes) { gatewright_tokens::estimate_bytes(body) }
}

fn main() -> Done {
    let bodies = Bodies::of(&std::env::args().nth(1).unwrap_or_default());
    let [openai_asked, anthropic_asked] =
        bodies.asked.each_ref().map(|body| Json::parse(body.clone(), JsonLimits::default()));
    let (openai_asked, anthropic_asked) = (openai_asked?, anthropic_asked?);
    let chats = [openai().decode_request(&openai_asked)?, anthropic().decode_request(&anthropic_asked)?];
    let [openai_answered, anthropic_answered] = &bodies.answered;
    let answers = [openai().decode_reply(openai_answered)?, anthropic().decode_reply(anthropic_answered)?];
    let [openai_events, anthropic_events] = &bodies.streamed;
    for _ in 0..TIMES {
        steps::index(&bodies.asked[0])?;
        steps::readdress(openai(), &openai_asked)?;
        steps::decode_request_openai(&openai_asked)?;
        steps::decode_request_anthropic(&anthropic_asked)?;
        steps::encode_request_openai(&chats[1])?;
        steps::encode_request_anthropic(&chats[0])?;
        steps::decode_reply_openai(openai_answered)?;
        steps::decode_reply_anthropic(anthropic_answered)?;
        steps::encode_reply_openai(&answers[1])?;
        steps::encode_reply_anthropic(&answers[0])?;
        steps::relay_reply_openai(openai_answered)?;
        steps::relay_reply_anthropic(anthropic_answered)?;
        steps::estimate_bytes(&bodies.asked[0])?;
    }
    for _ in 0..TIMES / EVENTS {
        steps::relay_stream_openai(openai_events)?;
        steps::relay_stream_anthropic(anthropic_events)?;
        steps::translate_stream_openai_to_anthropic(openai_events)?;
        steps::translate_stream_anthropic_to_openai(anthropic_events)?;
    }
    Ok(())
}

fn openai() -> &'static dyn Codec {
    gatewright_dialects::of(Dialect::OpenAiChat)
}

fn anthropic() -> &'static dyn Codec {
    gatewright_dialects::of(Dialect::AnthropicMessages)
}

fn relay(mut relay: Box<dyn Relay>, events: &[(String, Bytes)]) -> Result<usize, Error> {
    let mut out = BytesMut::with_capacity(1 << 16);
    for (name, data) in events {
        relay.event(RawEvent { name, data }, &mut out)?;
    }
    relay.close(&mut out)?;
    Ok(out.len())
}

fn model() -> ModelFacts {
    ModelFacts { name: "claude-sonnet-4-5".into(), ..ModelFacts::default() }
}

fn style() -> ReplyStyle {
    ReplyStyle {
        model: "alias".into(),
        include_usage: true,
        created: 1_700_000_000,
        attempt: AttemptId::from_bytes([7; 16]),
        older_functions: false,
        asked: None,
    }
}

// === impl Bodies ===

impl Bodies {
    fn of(size: &str) -> Self {
        let (turns, called) = match size {
            "long" => (40, false),
            size => (1, size == "tools"),
        };
        let text = |value: Value| Bytes::from(value.to_string());
        Self {
            asked: [text(openai_request(turns, called)), text(anthropic_request(turns, called))],
            answered: [text(openai_reply(called)), text(anthropic_reply(called))],
            streamed: [openai_events(), anthropic_events()],
        }
    }
}

/// A few turns or many; with a call and its result where `called`.
fn openai_request(turns: usize, called: bool) -> Value {
    let mut messages = vec![json!({"role": "system", "content": "You are a careful assistant."})];
    for _ in 1..turns {
        messages.push(json!({"role": "user", "content": prose(300)}));
        messages.push(json!({"role": "assistant", "content": prose(1_200)}));
    }
    messages.push(json!({"role": "user", "content": prose(800)}));
    let mut body = json!({"model": "alias", "max_tokens": 256, "temperature": 0.5, "stream": false});
    if called {
        let function = json!({"name": "weather", "arguments": "{\"city\": \"Bern\", \"days\": 3}"});
        let call = json!({"id": "call_1", "type": "function", "function": function});
        messages.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
        messages.push(json!({"role": "tool", "tool_call_id": "call_1", "content": "Sunny, 21 degrees."}));
        let tool = |name: &str| json!({"type": "function", "function": {"name": name, "description": prose(80), "parameters": schema()}});
        body["tools"] = json!([tool("weather"), tool("time")]);
    }
    body["messages"] = messages.into();
    body
}

fn anthropic_request(turns: usize, called: bool) -> Value {
    let mut messages = Vec::new();
    for _ in 1..turns {
        messages.push(json!({"role": "user", "content": prose(300)}));
        messages.push(json!({"role": "assistant", "content": [{"type": "text", "text": prose(1_200)}]}));
    }
    messages.push(json!({"role": "user", "content": [{"type": "text", "text": prose(800)}]}));
    let mut body = json!({"model": "alias", "max_tokens": 256, "system": "You are a careful assistant."});
    if called {
        let call = json!({"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Bern"}});
        let result = json!({"type": "tool_result", "tool_use_id": "call_1", "content": "Sunny, 21 degrees."});
        messages.push(json!({"role": "assistant", "content": [call]}));
        messages.push(json!({"role": "user", "content": [result]}));
        let tool = |name: &str| json!({"name": name, "description": prose(80), "input_schema": schema()});
        body["tools"] = json!([tool("weather"), tool("time")]);
    }
    body["messages"] = messages.into();
    body
}

fn openai_reply(called: bool) -> Value {
    let mut message = json!({"role": "assistant", "content": prose(750), "refusal": null});
    if called {
        let function = json!({"name": "weather", "arguments": "{\"city\":\"Bern\"}"});
        message["tool_calls"] = json!([{"id": "call_1", "type": "function", "function": function}]);
    }
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"}],
        "usage": openai_usage(), "service_tier": "default", "system_fingerprint": "fp_1",
    })
}

fn anthropic_reply(called: bool) -> Value {
    let mut content = vec![json!({"type": "text", "text": prose(750)})];
    if called {
        content
            .push(json!({"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bern"}}));
    }
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
        "content": content, "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 200, "output_tokens": 150, "cache_read_input_tokens": 0},
    })
}

fn openai_usage() -> Value {
    json!({
        "prompt_tokens": 200, "completion_tokens": 150, "total_tokens": 350,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    })
}

fn openai_events() -> Vec<(String, Bytes)> {
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
        json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000,
            "model": "gpt-4o-2024-08-06", "service_tier": "default", "system_fingerprint": "fp_1",
            "choices": [choice],
        })
    };
    let mut events: Vec<_> =
        (0..EVENTS).map(|n| chunk(json!({"content": format!(" word{n}")}), Value::Null)).collect();
    events.push(chunk(json!({}), "stop".into()));
    events.push(json!({"id": "chatcmpl-1", "choices": [], "usage": openai_usage()}));
    events.iter().map(|event| (String::new(), event.to_string().into())).collect()
}

fn anthropic_events() -> Vec<(String, Bytes)> {
    let mut start = anthropic_reply(false);
    start["content"] = json!([]);
    let mut events = vec![
        json!({"type": "message_start", "message": start}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    ];
    events.extend((0..EVENTS).map(|n| {
        let delta = json!({"type": "text_delta", "text": format!(" word{n}")});
        json!({"type": "content_block_delta", "index": 0, "delta": delta})
    }));
    let stop = json!({"stop_reason": "end_turn", "stop_sequence": null});
    events.extend([
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": stop, "usage": {"output_tokens": 150}}),
        json!({"type": "message_stop"}),
    ]);
    let name = |event: &Value| event["type"].as_str().unwrap_or_default().to_owned();
    events.iter().map(|event| (name(event), event.to_string().into())).collect()
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
        "required": ["city"],
    })
}

/// Text with a quote and a line break now and then, as real prompts have.
fn prose(length: usize) -> String {
    const LINE: &str = "The quick brown fox said \"no\" to the lazy dog, and went on over the hills.\n";
    LINE.chars().cycle().take(length).collect()
}
