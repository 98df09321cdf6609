//! OpenAI's other two dialects, Responses and Completions: recorded traffic, and what holds for everything.

#![cfg(test)]

mod facts;
mod properties;
mod recorded;
mod requests;
#[path = "../support/whole.rs"]
mod whole;

use bytes::{Bytes, BytesMut};
use gatewright_core::chat::{Chat, Event};
use gatewright_core::{
    AttemptId, Codec, Decode, Dialect, Encode, Json, JsonLimits, Losses, ModelFacts, RawEvent,
    ReasoningControl, Relay, ReplyStyle, Result,
};
use gatewright_dialects::of;
use gatewright_dialects::sse::Splitter;
use serde_json::Value;

fn responses() -> &'static dyn Codec {
    of(Dialect::OpenAiResponses)
}

fn completions() -> &'static dyn Codec {
    of(Dialect::OpenAiCompletions)
}

fn style(asked: Option<&Value>) -> ReplyStyle {
    ReplyStyle {
        model: "the-alias".into(),
        include_usage: true,
        created: 1,
        attempt: AttemptId::from_bytes([0; 16]),
        older_functions: false,
        asked: asked.map(json),
    }
}

fn thinker() -> ModelFacts {
    ModelFacts {
        name: "m".into(),
        reasoning: ReasoningControl::Effort,
        structured_output: true,
        ..ModelFacts::default()
    }
}

fn json(value: &Value) -> Json {
    Json::parse(Bytes::from(value.to_string()), JsonLimits::default()).unwrap()
}

fn decode(codec: &dyn Codec, request: &Value) -> Result<Chat> {
    codec.decode_request(&json(request))
}

fn encode(codec: &dyn Codec, chat: &Chat) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let bytes = codec.encode_request(chat, &thinker(), &mut losses).unwrap();
    (serde_json::from_slice(&bytes).unwrap(), losses.into_fields().into_iter().map(Into::into).collect())
}

/// Feeds a stream in chunks of these ends.
fn chunked(stream: &[u8], cuts: &[usize], each: &mut dyn FnMut(RawEvent<'_>) -> Result<()>) -> Result<()> {
    let mut splitter = Splitter::new(1 << 24);
    let mut from = 0;
    for cut in cuts.iter().copied().chain([stream.len()]) {
        let cut = cut.clamp(from, stream.len());
        splitter.feed(&stream[from..cut], each)?;
        from = cut;
    }
    splitter.close(each)
}

fn decoded(mut decoder: Box<dyn Decode>, stream: &[u8], cuts: &[usize]) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    chunked(stream, cuts, &mut |event| decoder.event(event, &mut events))?;
    decoder.close(&mut events)?;
    Ok(events)
}

fn relayed(mut relay: Box<dyn Relay>, stream: &[u8], cuts: &[usize]) -> Result<Vec<u8>> {
    let mut out = BytesMut::new();
    chunked(stream, cuts, &mut |event| relay.event(event, &mut out).map(drop))?;
    relay.close(&mut out)?;
    Ok(out.to_vec())
}

fn encoded(mut encoder: Box<dyn Encode>, events: &[Event]) -> Vec<u8> {
    let mut out = BytesMut::new();
    events.iter().for_each(|event| encoder.event(event, &mut out));
    out.to_vec()
}

/// The events of a stream as JSON.
fn told(stream: &[u8]) -> Vec<Value> {
    let mut out = Vec::new();
    chunked(stream, &[], &mut |event| {
        out.extend(serde_json::from_slice(event.data).ok());
        Ok(())
    })
    .unwrap();
    out
}
