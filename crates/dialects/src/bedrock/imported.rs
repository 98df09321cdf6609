//! OpenAI's chat as Bedrock carries it through `invoke`, for models that were imported into it.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/invoke-imported-model.html>

use bytes::Bytes;
use gatewright_core::chat::{Answer, Chat};
use gatewright_core::{
    Codec, Decode, Dialect, Encode, Error, Frame, Framing, Json, JsonLimits, Losses, ModelFacts, Operation,
    Relay, ReplyFacts, ReplyStyle, Result, UpstreamFault,
};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use super::error;
use super::invoked::{self, Unwrapped, unwrap};
use crate::openai::OpenAi;

/// The codec of imported models, for upstreams: their clients speak OpenAI's own.
pub(crate) struct Imported;

/// What Bedrock counted, in the last event of a stream.
const METRICS: &str = "amazon-bedrock-invocationMetrics";

impl Codec for Imported {
    fn dialect(&self) -> Dialect {
        Dialect::OpenAiChat
    }

    fn framing(&self) -> Framing {
        Framing::AwsEvents
    }

    fn path(&self, operation: Operation, model: &str, stream: bool) -> Option<String> {
        invoked::path(operation, model, stream)
    }

    fn readdress(&self, body: &mut Json, model: &str) {
        body.set_string("model", model);
        // The address says whether it is a stream, and its last event what it used.
        body.remove("stream");
        body.remove("stream_options");
    }

    fn stated_cap(&self, body: &Json) -> Option<u64> {
        OpenAi.stated_cap(body)
    }

    fn cap_output(&self, body: &mut Json, cap: u64, model: &ModelFacts) {
        OpenAi.cap_output(body, cap, model);
    }

    fn relay_reply(&self, body: Bytes, style: &ReplyStyle) -> Result<Frame> {
        OpenAi.relay_reply(body, style)
    }

    fn relay(&self, style: &ReplyStyle) -> Box<dyn Relay> {
        Box::new(Unwrapped::told(OpenAi.relay(style), metered))
    }

    fn decode_request(&self, body: &Json) -> Result<Chat> {
        OpenAi.decode_request(body)
    }

    fn encode_request(&self, chat: &Chat, model: &ModelFacts, losses: &mut Losses) -> Result<Bytes> {
        let bytes = OpenAi.encode_request(chat, model, losses)?;
        let mut body = Json::parse(bytes, JsonLimits::default())?;
        self.readdress(&mut body, &model.name);
        Ok(body.to_bytes())
    }

    fn decode_reply(&self, body: &[u8]) -> Result<Answer> {
        OpenAi.decode_reply(body)
    }

    fn facts(&self, data: &[u8]) -> ReplyFacts {
        match unwrap(data) {
            Ok(inner) => OpenAi.facts(&metered(inner)),
            Err(_) => OpenAi.facts(data),
        }
    }

    fn encode_reply(&self, answer: &Answer, style: &ReplyStyle) -> Bytes {
        OpenAi.encode_reply(answer, style)
    }

    fn decoder(&self) -> Box<dyn Decode> {
        Box::new(Unwrapped::told(OpenAi.decoder(), metered))
    }

    fn encoder(&self, style: &ReplyStyle) -> Box<dyn Encode> {
        OpenAi.encoder(style)
    }

    fn decode_error(&self, status: StatusCode, body: &[u8]) -> UpstreamFault {
        error::fault(status, None, body)
    }

    fn decode_refusal(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> UpstreamFault {
        error::fault(status, error::named_in(headers), body)
    }

    fn encode_error(&self, error: &Error) -> Bytes {
        OpenAi.encode_error(error)
    }

    fn encode_error_event(&self, error: &Error) -> Bytes {
        OpenAi.encode_error_event(error)
    }
}

/// An event with Bedrock's count as OpenAI's usage, where the model itself tells none.
fn metered(data: Vec<u8>) -> Vec<u8> {
    let has = data.windows(METRICS.len()).any(|part| part == METRICS.as_bytes());
    let Some(mut event) = has.then(|| serde_json::from_slice::<Map<String, Value>>(&data).ok()).flatten()
    else {
        return data;
    };
    let metrics = event.remove(METRICS).unwrap_or_default();
    if event.get("usage").is_none_or(Value::is_null) {
        let count = |key: &str| metrics.get(key).and_then(Value::as_u64).unwrap_or_default();
        let (input, output) = (count("inputTokenCount"), count("outputTokenCount"));
        let usage = json!({
            "prompt_tokens": input, "completion_tokens": output, "total_tokens": input.saturating_add(output),
        });
        event.insert("usage".to_owned(), usage);
    }
    Value::Object(event).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bedrocks_count_is_the_usage_unless_the_model_tells_its_own() {
        let own = json!({"prompt_tokens": 1, "completion_tokens": 2});
        let metrics = json!({"inputTokenCount": 8, "outputTokenCount": 5});
        let counted = json!({"prompt_tokens": 8, "completion_tokens": 5, "total_tokens": 13});
        for (before, after) in [
            (json!({"choices": [], METRICS: metrics}), json!({"choices": [], "usage": counted})),
            (json!({"usage": own, METRICS: metrics}), json!({"usage": own})),
            (json!({"usage": null, METRICS: metrics}), json!({"usage": counted})),
            (json!({"choices": [1]}), json!({"choices": [1]})),
        ] {
            let told: Value = serde_json::from_slice(&metered(before.to_string().into_bytes())).unwrap();
            assert_eq!(told, after);
        }
    }
}
