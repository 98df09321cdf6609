//! Bedrock's Converse as a provider writes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{BufMut as _, Bytes, BytesMut};
use serde_json::{Value, json};

use super::{Answer, Said, Script, Used};

/// What names an event that carries another API's.
const CHUNK: [(&str, &str); 2] = [(":event-type", "chunk"), (":message-type", "event")];

/// A whole answer.
pub(super) fn whole(said: &Said) -> Bytes {
    let mut content = Vec::new();
    if !said.reasoning.is_empty() {
        let text = json!({"text": said.reasoning.concat(), "signature": said.signature});
        content.push(json!({"reasoningContent": {"reasoningText": text}}));
    }
    if let Some(data) = &said.redacted {
        content.push(json!({"reasoningContent": {"redactedContent": data}}));
    }
    if !said.text.is_empty() {
        content.push(json!({"text": said.text.concat()}));
    }
    for tool in &said.tools {
        let call = json!({"toolUseId": tool.id, "name": tool.name, "input": tool.input()});
        content.push(json!({"toolUse": call}));
    }
    let mut answer = json!({
        "output": {"message": {"role": "assistant", "content": content}}, "stopReason": finish(said),
        "usage": usage(&said.used), "metrics": {"latencyMs": 1},
    });
    further(&mut answer, &said.used);
    answer.to_string().into()
}

/// A streamed answer, one event an item.
pub(super) fn stream(said: &Said) -> Vec<Bytes> {
    let mut out = Events::default();
    out.push("messageStart", &json!({"role": "assistant"}));
    let thought = |delta: Value| json!({"reasoningContent": delta});
    if !said.reasoning.is_empty() {
        let pieces = said.reasoning.iter().map(|piece| thought(json!({"text": piece})));
        let signature = said.signature.iter().map(|signature| thought(json!({"signature": signature})));
        out.block(None, pieces.chain(signature));
    }
    if let Some(data) = &said.redacted {
        out.block(None, [thought(json!({"redactedContent": data}))]);
    }
    if !said.text.is_empty() {
        out.block(None, said.text.iter().map(|piece| json!({"text": piece})));
    }
    for tool in &said.tools {
        let start = json!({"toolUse": {"toolUseId": tool.id, "name": tool.name}});
        out.block(Some(start), tool.arguments.iter().map(|piece| json!({"toolUse": {"input": piece}})));
    }
    let mut stop = json!({"stopReason": finish(said)});
    further(&mut stop, &said.used);
    out.push("messageStop", &stop);
    out.push("metadata", &json!({"usage": usage(&said.used), "metrics": {"latencyMs": 1}}));
    out.events
}

/// Another API's events, each in one named `chunk`.
pub(super) fn chunks(events: Vec<Bytes>) -> Vec<Bytes> {
    let data = |event: Bytes| {
        let text = String::from_utf8_lossy(&event).into_owned();
        let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_default().to_owned();
        frame(&CHUNK, &json!({"bytes": BASE64.encode(data)}))
    };
    events.into_iter().map(data).collect()
}

/// An error body.
pub(super) fn error(message: &str) -> Bytes {
    json!({"message": message}).to_string().into()
}

/// The header that names an error.
pub(super) fn error_name(status: u16) -> &'static str {
    match status {
        400 => "ValidationException:http://internal.amazon.com/",
        403 => "AccessDeniedException:http://internal.amazon.com/",
        404 => "ResourceNotFoundException:http://internal.amazon.com/",
        429 => "ThrottlingException:http://internal.amazon.com/",
        503 => "ServiceUnavailableException:http://internal.amazon.com/",
        _ => "InternalServerException:http://internal.amazon.com/",
    }
}

/// An exception in a stream.
pub(super) fn error_event(message: &str) -> Bytes {
    let payload = json!({"message": message});
    frame(&[(":exception-type", "throttlingException"), (":message-type", "exception")], &payload)
}

impl Script {
    /// What `invoke-with-response-stream` answers: events named `chunk`, all at once.
    pub fn chunks_of_aws(payloads: impl IntoIterator<Item = Value>) -> Self {
        let body: BytesMut = payloads.into_iter().flat_map(|payload| frame(&CHUNK, &payload)).collect();
        let content_type = "application/vnd.amazon.eventstream".to_owned();
        Self { answer: Answer::Raw { content_type, body: body.freeze() }, ..Self::default() }
    }
}

#[derive(Default)]
struct Events {
    events: Vec<Bytes>,
    blocks: usize,
}

impl Events {
    fn push(&mut self, name: &str, payload: &Value) {
        self.events.push(frame(&[(":event-type", name), (":message-type", "event")], payload));
    }

    fn block(&mut self, start: Option<Value>, deltas: impl IntoIterator<Item = Value>) {
        let index = self.blocks;
        self.blocks += 1;
        if let Some(start) = start {
            self.push("contentBlockStart", &json!({"contentBlockIndex": index, "start": start}));
        }
        for delta in deltas {
            self.push("contentBlockDelta", &json!({"contentBlockIndex": index, "delta": delta}));
        }
        self.push("contentBlockStop", &json!({"contentBlockIndex": index}));
    }
}

fn frame(headers: &[(&str, &str)], payload: &Value) -> Bytes {
    let headers: Vec<_> = headers.iter().copied().chain([(":content-type", "application/json")]).collect();
    message(&headers, payload.to_string().as_bytes())
}

/// One message of Amazon's event stream, with headers of text.
pub fn message(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let mut head = BytesMut::new();
    for (name, value) in headers {
        head.put_u8(name.len() as u8);
        head.put_slice(name.as_bytes());
        head.put_u8(7);
        head.put_u16(value.len() as u16);
        head.put_slice(value.as_bytes());
    }
    let mut out = BytesMut::new();
    out.put_u32((12 + head.len() + payload.len() + 4) as u32);
    out.put_u32(head.len() as u32);
    out.put_u32(crc32fast::hash(&out));
    out.put_slice(&head);
    out.put_slice(payload);
    out.put_u32(crc32fast::hash(&out));
    out.freeze()
}

fn finish(said: &Said) -> String {
    let found = if said.tools.is_empty() { "end_turn" } else { "tool_use" };
    said.finish.clone().unwrap_or_else(|| found.to_owned())
}

/// What Claude's own answer says besides, as Converse hands it on.
fn further(answer: &mut Value, used: &Used) {
    if used.reasoning > 0 {
        let details = json!({"thinking_tokens": used.reasoning});
        answer["additionalModelResponseFields"] = json!({"usage": {"output_tokens_details": details}});
    }
}

fn usage(used: &Used) -> Value {
    json!({
        "inputTokens": used.input - used.cached - used.cache_write, "outputTokens": used.output,
        "totalTokens": used.input + used.output, "cacheReadInputTokens": used.cached,
        "cacheWriteInputTokens": used.cache_write,
    })
}
