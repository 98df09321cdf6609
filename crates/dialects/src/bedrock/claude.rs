//! Anthropic Messages as Bedrock carries them: `invoke`, where the model stands in the address and the API's version in the
//! body, and `invoke-with-response-stream`, whose binary events hold Anthropic's own in base64.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html>

use bytes::Bytes;
use gatewright_core::chat::{Answer, Chat};
use gatewright_core::{
    Codec, Decode, Dialect, Encode, Error, Frame, Framing, Json, JsonLimits, Losses, ModelFacts, Operation,
    Relay, ReplyFacts, ReplyStyle, Result, UpstreamFault,
};
use http::{HeaderMap, StatusCode};

use super::error;
use super::invoked::{self, Unwrapped, unwrap};
use crate::anthropic::Anthropic;
use crate::json::json;

/// The codec of Claude on Bedrock, for upstreams: its clients speak Anthropic's own.
pub(crate) struct Claude;

/// The version that the body must name.
const VERSION: &str = "bedrock-2023-05-31";

/// The features that Bedrock's page on Claude's messages names. A request that names another is refused whole, and clients
/// of Anthropic's own API name many.
const FEATURES: [&str; 11] = [
    "computer-use-2024-10-22",
    "computer-use-2025-01-24",
    "context-1m-2025-08-07",
    "context-management-2025-06-27",
    "dev-full-thinking-2025-05-14",
    "effort-2025-11-24",
    "interleaved-thinking-2025-05-14",
    "output-128k-2025-02-19",
    "token-efficient-tools-2025-02-19",
    "tool-examples-2025-10-29",
    "tool-search-tool-2025-10-19",
];

impl Codec for Claude {
    fn dialect(&self) -> Dialect {
        Dialect::AnthropicMessages
    }

    fn framing(&self) -> Framing {
        Framing::AwsEvents
    }

    fn path(&self, operation: Operation, model: &str, stream: bool) -> Option<String> {
        invoked::path(operation, model, stream)
    }

    fn readdress(&self, body: &mut Json, _model: &str) {
        body.remove("model");
        body.remove("stream");
        if !body.has("anthropic_version") {
            body.set_string("anthropic_version", VERSION);
        }
    }

    fn relay_reply(&self, body: Bytes, style: &ReplyStyle) -> Result<Frame> {
        Anthropic.relay_reply(body, style)
    }

    fn relay(&self, style: &ReplyStyle) -> Box<dyn Relay> {
        Box::new(Unwrapped::new(Anthropic.relay(style)))
    }

    fn decode_request(&self, body: &Json) -> Result<Chat> {
        Anthropic.decode_request(body)
    }

    fn encode_request(&self, chat: &Chat, model: &ModelFacts, losses: &mut Losses) -> Result<Bytes> {
        let bytes = Anthropic.encode_request(chat, model, losses)?;
        let mut body = Json::parse(bytes, JsonLimits::default())?;
        self.readdress(&mut body, &model.name);
        losses.add_if(body.remove("service_tier").is_some(), "service_tier");
        Ok(body.to_bytes())
    }

    fn opt_ins(&self, body: &Json) -> Vec<&'static str> {
        Anthropic.opt_ins(body)
    }

    fn name_features(&self, body: &mut Json, names: &[&str], losses: &mut Losses) -> bool {
        let mut all: Vec<String> = body.get("anthropic_beta").ok().flatten().unwrap_or_default();
        for name in names {
            if !FEATURES.contains(name) {
                losses.add(format!("anthropic-beta.{name}"));
            } else if !all.iter().any(|own| own == name) {
                all.push((*name).to_owned());
            }
        }
        if !all.is_empty() {
            body.set("anthropic_beta", json(&all));
        }
        true
    }

    fn decode_reply(&self, body: &[u8]) -> Result<Answer> {
        Anthropic.decode_reply(body)
    }

    fn facts(&self, data: &[u8]) -> ReplyFacts {
        match unwrap(data) {
            Ok(inner) => Anthropic.facts(&inner),
            Err(_) => Anthropic.facts(data),
        }
    }

    fn encode_reply(&self, answer: &Answer, style: &ReplyStyle) -> Bytes {
        Anthropic.encode_reply(answer, style)
    }

    fn decoder(&self) -> Box<dyn Decode> {
        Box::new(Unwrapped::new(Anthropic.decoder()))
    }

    fn encoder(&self, style: &ReplyStyle) -> Box<dyn Encode> {
        Anthropic.encoder(style)
    }

    fn decode_error(&self, status: StatusCode, body: &[u8]) -> UpstreamFault {
        error::fault(status, None, body)
    }

    fn decode_refusal(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> UpstreamFault {
        error::fault(status, error::named_in(headers), body)
    }

    fn encode_error(&self, error: &Error) -> Bytes {
        Anthropic.encode_error(error)
    }

    fn encode_error_event(&self, error: &Error) -> Bytes {
        Anthropic.encode_error_event(error)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use gatewright_core::RawEvent;
    use gatewright_core::chat::Event;

    use super::*;

    #[test]
    fn a_request_names_its_version_and_nothing_of_the_address() {
        let text = r#"{"model":"m","stream":true,"max_tokens":5,"messages":[]}"#;
        let mut body = Json::parse(text.into(), JsonLimits::default()).unwrap();
        Claude.readdress(&mut body, "m");
        assert_eq!(
            body.to_bytes(),
            r#"{"max_tokens":5,"messages":[],"anthropic_version":"bedrock-2023-05-31"}"#
        );
    }

    #[test]
    fn chunks_hold_anthropics_events() {
        let mut decoder = Claude.decoder();
        let mut events = Vec::new();
        for inner in [
            r#"{"type":"message_start","message":{"id":"msg_bdrk_1","model":"claude","usage":{"input_tokens":3}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}"#,
            r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":3}}"#,
        ] {
            let data = format!(r#"{{"bytes":"{}","p":"abc"}}"#, BASE64.encode(inner));
            decoder.event(RawEvent { name: "chunk", data: data.as_bytes() }, &mut events).unwrap();
        }
        assert_eq!(events.last(), Some(&Event::End));
        let exception = RawEvent { name: "throttlingException", data: br#"{"message":"slow down"}"# };
        let err = Claude.decoder().event(exception, &mut events).unwrap_err();
        assert_eq!((err.kind(), err.message()), (gatewright_core::ErrorKind::RateLimited, "slow down"));
    }
}
