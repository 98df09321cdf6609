//! What is asked and answered: bodies of the sizes that the scenarios name.

use bytes::Bytes;
use serde_json::json;

use crate::scenario::KEPT;

/// Pieces of text in one streamed answer.
pub(crate) const EVENTS: usize = 100;

/// A request of about `size` bytes: a few turns, or many.
pub(crate) fn request(model: &str, size: usize, stream: bool) -> Bytes {
    let mut messages = vec![json!({"role": "system", "content": "You are a careful assistant."})];
    let mut written = 100;
    while written < size {
        let role = if messages.len() % 2 == 1 { "user" } else { "assistant" };
        let text = prose((size - written).min(1_500));
        written += text.len() + text.len() / 50 + 40;
        messages.push(json!({"role": role, "content": text}));
    }
    if messages.len() % 2 == 1 {
        messages.push(json!({"role": "user", "content": "Go on."}));
    }
    let mut body = json!({"model": model, "messages": messages, "max_tokens": 256, "stream": stream});
    if model == KEPT {
        body["cache"] = json!({"use-cache": true});
    }
    body.to_string().into()
}

/// A whole answer of OpenAI's, of about 1 KB.
pub(crate) fn openai() -> Bytes {
    json!({
        "id": "chatcmpl-bench", "object": "chat.completion", "created": 1_700_000_000, "model": "gpt-4o-2024-08-06",
        "choices": [{
            "index": 0, "message": {"role": "assistant", "content": prose(650), "refusal": null},
            "logprobs": null, "finish_reason": "stop",
        }],
        "usage": openai_usage(), "service_tier": "default", "system_fingerprint": "fp_bench",
    })
    .to_string()
    .into()
}

/// A whole answer of Anthropic's, of about 1 KB.
pub(crate) fn anthropic() -> Bytes {
    json!({
        "id": "msg_bench", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "text", "text": prose(750)}], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 200, "output_tokens": 150, "cache_read_input_tokens": 0},
    })
    .to_string()
    .into()
}

/// A streamed answer of OpenAI's, one event a piece.
pub(crate) fn openai_events() -> Vec<Bytes> {
    let chunk = |delta, finish| {
        json!({
            "id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1_700_000_000,
            "model": "gpt-4o-2024-08-06", "service_tier": "default", "system_fingerprint": "fp_bench",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}],
        })
    };
    let mut events: Vec<_> =
        (0..EVENTS).map(|n| chunk(json!({"content": format!(" word{n}")}), json!(null))).collect();
    events.push(chunk(json!({}), json!("stop")));
    let mut usage = chunk(json!({}), json!(null));
    usage["choices"] = json!([]);
    usage["usage"] = openai_usage();
    events.push(usage);
    let data = events.iter().map(|event| Bytes::from(format!("data: {event}\n\n")));
    data.chain([Bytes::from_static(b"data: [DONE]\n\n")]).collect()
}

/// A streamed answer of Anthropic's, one event a piece.
pub(crate) fn anthropic_events() -> Vec<Bytes> {
    let start = json!({
        "id": "msg_bench", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
        "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 200, "output_tokens": 1},
    });
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
    let name = |event: &serde_json::Value| event["type"].as_str().unwrap_or_default().to_owned();
    events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", name(event)).into()).collect()
}

fn openai_usage() -> serde_json::Value {
    json!({
        "prompt_tokens": 200, "completion_tokens": 150, "total_tokens": 350,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    })
}

/// Text with a quote and a line break now and then, as real prompts have.
fn prose(length: usize) -> String {
    const LINE: &str = "The quick brown fox said \"no\" to the lazy dog, and went on over the hills.\n";
    LINE.chars().cycle().take(length).collect()
}
