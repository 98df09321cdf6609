//! OpenAI Completions as a provider writes it.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Said, Used};

/// A whole answer.
pub(super) fn whole(id: &str, body: &Value, said: &Said) -> Bytes {
    let choice = |index: usize| json!({"text": said.text.concat(), "index": index, "logprobs": null, "finish_reason": finish(said)});
    let choices: Vec<Value> = (0..said.n.max(1)).map(choice).collect();
    let mut chunk = chunk(id, body, json!(choices));
    chunk["usage"] = usage(&said.used);
    chunk.to_string().into()
}

/// A streamed answer, one event an item.
pub(super) fn stream(id: &str, body: &Value, said: &Said, asked: bool) -> Vec<Bytes> {
    let mut events = Vec::new();
    let mut push = |chunk: Value| events.push(Bytes::from(format!("data: {chunk}\n\n")));
    for index in 0..said.n.max(1) {
        for piece in &said.text {
            let choice = json!({"text": piece, "index": index, "logprobs": null, "finish_reason": null});
            push(chunk(id, body, json!([choice])));
        }
        let choice = json!({"text": "", "index": index, "logprobs": null, "finish_reason": finish(said)});
        push(chunk(id, body, json!([choice])));
    }
    if asked {
        let mut last = chunk(id, body, json!([]));
        last["usage"] = usage(&said.used);
        push(last);
    }
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}

fn chunk(id: &str, body: &Value, choices: Value) -> Value {
    json!({"id": id, "object": "text_completion", "created": 1_700_000_000, "model": body["model"], "choices": choices})
}

fn finish(said: &Said) -> &str {
    said.finish.as_deref().unwrap_or("stop")
}

fn usage(used: &Used) -> Value {
    json!({"prompt_tokens": used.input, "completion_tokens": used.output, "total_tokens": used.input + used.output})
}
