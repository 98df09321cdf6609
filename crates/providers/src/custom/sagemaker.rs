//! Amazon SageMaker: endpoints whose containers speak a dialect, behind SageMaker's own streams and errors.
//!
//! <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointWithResponseStream.html>

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use gatewright_core::{
    Dialect, Error, ErrorKind, Framing, Json, Losses, Operation, Peek, RawEvent, Relay, Result,
};
use gatewright_dialects::sse;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::tgi::Tgi;
use super::{Asked, Wire};
use crate::Params;

/// The largest event that is taken from a container.
const MAX_EVENT: usize = 16 * 1024 * 1024;

/// What a container speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    /// OpenAI's chat.
    OpenAi,
    /// The same, without a model's name.
    Nova,
    /// The form of Hugging Face's text generation.
    Tgi,
}

/// What stands between a container and its callers.
pub(super) struct Sagemaker(pub(super) Container);

/// A container's stream, in pieces that are cut anywhere.
struct Pieces {
    splitter: sse::Splitter,
    relay: Box<dyn Relay>,
}

/// An error answer. Of a container's the status and the body stand inside.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    #[serde(rename = "OriginalStatusCode")]
    status: Option<u16>,
    #[serde(rename = "OriginalMessage")]
    original: Option<String>,
    #[serde(rename = "Message", alias = "message")]
    message: Option<String>,
}

/// LiteLLM's word for the address of one's own.
pub(super) fn told(params: &Params) -> Cow<'_, Params> {
    match (&params.api_base, params.access.get("sagemaker_base_url")) {
        (None, Some(base)) => {
            Cow::Owned(Params { api_base: Some(base.reveal().to_owned()), ..params.clone() })
        }
        _ => Cow::Borrowed(params),
    }
}

impl Wire for Sagemaker {
    fn request(&self, body: &mut Json, asked: (Dialect, Operation), losses: &mut Losses) -> Result<()> {
        match self.0 {
            Container::OpenAi => Ok(()),
            Container::Nova => {
                body.remove("model");
                Ok(())
            }
            Container::Tgi => Tgi.request(body, asked, losses),
        }
    }

    fn reply(&self, body: Bytes, asked: Asked) -> Result<Bytes> {
        match self.0 {
            Container::Tgi => Tgi.reply(body, asked),
            Container::OpenAi | Container::Nova => Ok(body),
        }
    }

    fn framing(&self, _dialects: Framing) -> Framing {
        Framing::AwsEvents
    }

    fn events(&self, relay: Box<dyn Relay>, asked: Asked) -> Box<dyn Relay> {
        let relay = match self.0 {
            Container::Tgi => Tgi.events(relay, asked),
            Container::OpenAi | Container::Nova => relay,
        };
        Box::new(Pieces { splitter: sse::Splitter::new(MAX_EVENT), relay })
    }

    fn refusal(&self, status: StatusCode, headers: &HeaderMap, body: Bytes) -> (StatusCode, Bytes) {
        let said: Refusal = serde_json::from_slice(&body).unwrap_or_default();
        let original = said.status.and_then(|status| StatusCode::from_u16(status).ok());
        if let (Some(status), Some(original)) =
            (original.filter(|status| !status.is_success()), said.original)
        {
            return (status, original.into());
        }
        let name = headers.get("x-amzn-errortype").and_then(|name| name.to_str().ok()).unwrap_or_default();
        // AWS says 400 for it.
        let status = if name.starts_with("Throttling") { StatusCode::TOO_MANY_REQUESTS } else { status };
        (status, said.message.map_or(body, Bytes::from))
    }
}

// === impl Pieces ===

impl Pieces {
    fn join(seen: &mut Peek, more: Peek) {
        seen.usage = more.usage.or(seen.usage);
        seen.content = seen.content.saturating_add(more.content);
        seen.last |= more.last;
    }
}

impl Relay for Pieces {
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        if event.name != "PayloadPart" {
            let said: Refusal = serde_json::from_slice(event.data).unwrap_or_default();
            let message = said.message.filter(|message| !message.is_empty());
            return Err(Error::new(ErrorKind::Upstream, message.unwrap_or_else(|| event.name.to_owned())));
        }
        let (mut seen, relay) = (Peek::default(), &mut self.relay);
        self.splitter.feed(event.data, &mut |event| {
            if !seen.last {
                Self::join(&mut seen, relay.event(event, out)?);
            }
            Ok(())
        })?;
        Ok(seen)
    }

    fn close(&mut self, out: &mut BytesMut) -> Result<Peek> {
        let (mut seen, relay) = (Peek::default(), &mut self.relay);
        self.splitter.close(&mut |event| {
            Self::join(&mut seen, relay.event(event, out)?);
            Ok(())
        })?;
        if !seen.last {
            Self::join(&mut seen, self.relay.close(out)?);
        }
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_container_says_is_wrong_stands_inside() {
        let named =
            |name: &str| HeaderMap::from_iter([("x-amzn-errortype".parse().unwrap(), name.parse().unwrap())]);
        for (status, name, body, want) in [
            (
                424,
                "ModelError",
                r#"{"ErrorCode":"x","Message":"Received client error (422)","OriginalMessage":"{\"error\":\"too long\"}","OriginalStatusCode":422}"#,
                (422, r#"{"error":"too long"}"#),
            ),
            (400, "ThrottlingException", r#"{"message":"Rate exceeded"}"#, (429, "Rate exceeded")),
            (
                400,
                "ValidationError",
                r#"{"Message":"Endpoint e not found."}"#,
                (400, "Endpoint e not found."),
            ),
            (503, "ServiceUnavailable", "", (503, "")),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let (status, body) = Sagemaker(Container::OpenAi).refusal(status, &named(name), body.into());
            assert_eq!((status.as_u16(), &*body), (want.0, want.1.as_bytes()), "{name}");
        }
    }
}
