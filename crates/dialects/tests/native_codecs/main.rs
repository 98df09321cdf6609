//! What the codecs of Cohere and of Ollama promise, and those of rankings.

#![cfg(test)]

mod asking;
mod properties;
mod ranking;
mod recordings;
mod telling;
mod vectors;

use bytes::{Bytes, BytesMut};
use gatewright_core::chat::{Chat, Event};
use gatewright_core::{
    AttemptId, Codec, Dialect, Json, JsonLimits, Losses, ModelFacts, RawEvent, ReasoningControl, ReplyStyle,
    Result,
};
use gatewright_dialects::{Splitter, of};
use serde_json::Value;

const BOTH: [Dialect; 2] = [Dialect::CohereChat, Dialect::OllamaChat];

fn style() -> ReplyStyle {
    ReplyStyle {
        model: "alias".into(),
        include_usage: true,
        created: 1,
        attempt: AttemptId::from_bytes([0; 16]),
        older_functions: false,
        asked: None,
    }
}

fn facts(reasoning: ReasoningControl) -> ModelFacts {
    ModelFacts { name: "up-model".into(), reasoning, structured_output: true, ..ModelFacts::default() }
}

/// A model that thinks.
fn thinker() -> ModelFacts {
    facts(ReasoningControl::Budget)
}

fn json(value: &Value) -> Json {
    Json::parse(Bytes::from(value.to_string()), JsonLimits::default()).unwrap()
}

fn decode(dialect: Dialect, request: &Value) -> Result<Chat> {
    of(dialect).decode_request(&json(request))
}

fn encode(dialect: Dialect, chat: &Chat, model: &ModelFacts) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let body = of(dialect).encode_request(chat, model, &mut losses).unwrap();
    (serde_json::from_slice(&body).unwrap(), lost(losses))
}

fn lost(losses: Losses) -> Vec<String> {
    losses.into_fields().into_iter().map(String::from).collect()
}

/// Shows the events of a stream that comes in chunks of this size.
fn chunked(
    codec: &dyn Codec,
    stream: &[u8],
    size: usize,
    each: &mut dyn FnMut(RawEvent<'_>) -> Result<()>,
) -> Result<()> {
    let mut splitter = Splitter::new(codec.framing(), 1 << 20);
    stream.chunks(size).try_for_each(|chunk| splitter.feed(chunk, each))?;
    splitter.close(each)
}

fn events(dialect: Dialect, stream: &[u8], size: usize) -> Result<Vec<Event>> {
    let codec = of(dialect);
    let (mut decoder, mut events) = (codec.decoder(), Vec::new());
    chunked(codec, stream, size, &mut |event| decoder.event(event, &mut events))?;
    decoder.close(&mut events)?;
    Ok(events)
}

fn relayed(
    dialect: Dialect,
    stream: &[u8],
    size: usize,
) -> Result<(Vec<u8>, Option<gatewright_core::Usage>)> {
    let codec = of(dialect);
    let (mut relay, mut out, mut usage) = (codec.relay(&style()), BytesMut::new(), None);
    chunked(codec, stream, size, &mut |event| {
        usage = relay.event(event, &mut out)?.usage.or(usage);
        Ok(())
    })?;
    relay.close(&mut out)?;
    Ok((out.to_vec(), usage))
}
