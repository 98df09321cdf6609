//! Replicate: a text that goes on as a prediction, which is looked at until it ended, or followed as a stream.
//!
//! <https://replicate.com/docs/topics/predictions/create-a-prediction>

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use gatewright_catalogue::ProviderRow;
use gatewright_core::{Dialect, Error, ErrorKind, Json, Losses, Operation, Peek, RawEvent, Relay, Result};
use http::Uri;
use http::header::{HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::continuation::Continuation;
use super::{Asked, Next, Wire};

/// What stands for itself in a path (RFC 3986).
const SEGMENTS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// What OpenAI's continuations have and predictions have not.
const UNKNOWN: [&str; 10] = [
    "user",
    "logit_bias",
    "n",
    "best_of",
    "logprobs",
    "echo",
    "suffix",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
];

/// A model's predictions.
pub(super) struct Replicate {
    /// The version that is asked for, where the name says one.
    version: Option<String>,
}

/// A prediction at some time of its life.
#[derive(Deserialize)]
struct Prediction {
    status: String,
    #[serde(default)]
    output: Value,
    #[serde(default)]
    error: Value,
    #[serde(default)]
    urls: Urls,
}

#[derive(Default, Deserialize)]
struct Urls {
    get: Option<String>,
    stream: Option<String>,
}

/// Events as OpenAI's.
struct Events {
    relay: Box<dyn Relay>,
    continuation: Continuation,
}

/// The row with the place where the model's predictions are made.
pub(super) fn row<'a>(row: &'a ProviderRow, model: &str) -> Cow<'a, ProviderRow> {
    let place = match (model.split_once(':'), model.strip_prefix("deployments/")) {
        (Some(_), _) => String::new(),
        (None, Some(deployment)) => format!("/deployments/{}", segments(deployment)),
        (None, None) => format!("/models/{}", segments(model)),
    };
    let mut row = row.clone();
    row.paths.insert("chat".to_owned(), format!("{place}/predictions"));
    Cow::Owned(row)
}

fn segments(name: &str) -> String {
    utf8_percent_encode(name, SEGMENTS).to_string()
}

// === impl Replicate ===

impl Replicate {
    pub(super) fn new(model: &str) -> Self {
        Self { version: model.split_once(':').map(|(_, version)| version.to_owned()) }
    }
}

impl Wire for Replicate {
    fn request(&self, body: &mut Json, _asked: (Dialect, Operation), losses: &mut Losses) -> Result<()> {
        let keys: Vec<String> = body.keys().map(Cow::into_owned).collect();
        let (mut input, mut streams) = (Map::new(), false);
        for key in keys {
            let value: Value = body.get(&key)?.unwrap_or_default();
            body.remove(&key);
            match (key.as_str(), value) {
                (_, Value::Null) | ("model" | "stream_options", _) => {}
                ("stream", value) => streams = value == true,
                ("n", value) if value == 1 => {}
                ("prompt", value) => drop(input.insert(key, text(value)?.into())),
                // LiteLLM's name for it, which most models know.
                ("max_tokens" | "max_completion_tokens", value) => {
                    input.insert("max_new_tokens".to_owned(), value);
                }
                ("stop", Value::Array(words)) => {
                    let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                    input.insert("stop_sequences".to_owned(), words.join(",").into());
                }
                ("stop", value) => drop(input.insert("stop_sequences".to_owned(), value)),
                (unknown, _) if UNKNOWN.contains(&unknown) => losses.add(key),
                (_, value) => drop(input.insert(key, value)),
            }
        }
        body.set("input", Value::Object(input).to_string());
        if streams {
            body.set("stream", "true");
        }
        if let Some(version) = &self.version {
            body.set_string("version", version);
        }
        Ok(())
    }

    fn head(&self, headers: &mut HeaderMap, stream: bool) {
        // It answers when the prediction ended, or after a minute: a stream would begin behind its end.
        if !stream {
            headers.insert("prefer", HeaderValue::from_static("wait"));
        }
    }

    fn leads_on(&self) -> bool {
        true
    }

    fn next(&self, body: &[u8], stream: bool, at: &Uri) -> Result<Option<Next>> {
        let prediction: Prediction = serde_json::from_slice(body).map_err(|_| unreadable())?;
        let ended = matches!(prediction.status.as_str(), "succeeded" | "failed" | "canceled" | "aborted");
        match (prediction.urls, ended) {
            (_, true) => Ok(None),
            (Urls { stream: Some(url), .. }, false) if stream => Ok(Some(Next::Stream(own(&url, at)?))),
            (Urls { get: Some(url), .. }, false) => Ok(Some(Next::Again(own(&url, at)?))),
            _ => Err(unreadable()),
        }
    }

    fn reply(&self, body: Bytes, _asked: Asked) -> Result<Bytes> {
        let prediction: Prediction = serde_json::from_slice(&body).map_err(|_| unreadable())?;
        if prediction.status != "succeeded" {
            return Err(failed(&prediction.status, &prediction.error));
        }
        let said = match &prediction.output {
            Value::Array(pieces) => pieces.iter().filter_map(Value::as_str).collect(),
            Value::String(text) => text.clone(),
            _ => return Err(unreadable()),
        };
        Ok(Continuation::begin().piece(&said, Some("stop")).into())
    }

    fn events(&self, relay: Box<dyn Relay>, _asked: Asked) -> Box<dyn Relay> {
        Box::new(Events { relay, continuation: Continuation::begin() })
    }
}

impl Relay for Events {
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        let said = String::from_utf8_lossy(event.data);
        match event.name {
            "output" => self.say(&self.continuation.piece(&said, None), out),
            "error" => Err(failed("failed", &said.into())),
            "done" => {
                let done: Value = serde_json::from_slice(event.data).unwrap_or_default();
                match done["reason"].as_str() {
                    Some(reason) => Err(failed(reason, &Value::Null)),
                    None => {
                        self.say(&self.continuation.piece("", Some("stop")), out)?;
                        self.say("[DONE]", out)
                    }
                }
            }
            _ => Ok(Peek::default()),
        }
    }

    fn close(&mut self, out: &mut BytesMut) -> Result<Peek> {
        self.relay.close(out)
    }
}

// === impl Events ===

impl Events {
    fn say(&mut self, data: &str, out: &mut BytesMut) -> Result<Peek> {
        self.relay.event(RawEvent { name: "", data: data.as_bytes() }, out)
    }
}

/// The one text of a prompt.
fn text(prompt: Value) -> Result<String> {
    match prompt {
        Value::String(text) => Ok(text),
        Value::Array(texts) if matches!(texts.as_slice(), [Value::String(_)]) => {
            Ok(texts.iter().filter_map(Value::as_str).collect())
        }
        _ => Err(Error::new(ErrorKind::Unsupported, "this provider takes one prompt, as text")),
    }
}

/// An address that the provider gave, if it may see the key: at the host that was asked, or at Replicate.
fn own(url: &str, at: &Uri) -> Result<Uri> {
    let stranger = || Error::new(ErrorKind::BadGateway, "the provider's answer leads to somebody else");
    let uri: Uri = url.parse().map_err(|_| unreadable())?;
    let host = uri.host().unwrap_or_default();
    let is_replicates = [".replicate.com", ".replicate.net"].iter().any(|end| host.ends_with(end));
    match uri.authority() == at.authority() || (is_replicates && uri.scheme_str() == Some("https")) {
        true => Ok(uri),
        false => Err(stranger()),
    }
}

fn failed(status: &str, error: &Value) -> Error {
    let words = error.as_str().filter(|words| !words.is_empty());
    let words = words.map_or_else(|| format!("the prediction is {status}"), str::to_owned);
    Error::new(ErrorKind::Upstream, words)
}

fn unreadable() -> Error {
    Error::new(ErrorKind::BadGateway, "the provider's answer could not be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_to_replicate_and_to_whoever_was_asked() {
        let at: Uri = "http://127.0.0.1:9/v1/models/a/b/predictions".parse().unwrap();
        for (url, good) in [
            ("http://127.0.0.1:9/v1/predictions/p", true),
            ("https://stream.replicate.com/v1/files/x", true),
            ("http://stream.replicate.com/v1/files/x", false),
            ("https://replicate.com.test/x", false),
            ("https://notreplicate.com/x", false),
        ] {
            assert_eq!(own(url, &at).is_ok(), good, "{url}");
        }
    }
}
