//! Hugging Face's text generation in its own form, as a continuation of OpenAI's.
//!
//! <https://huggingface.github.io/text-generation-inference/>

use bytes::{Bytes, BytesMut};
use gatewright_core::{Dialect, Error, ErrorKind, Json, Losses, Operation, Peek, RawEvent, Relay, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::continuation::Continuation;
use super::{Asked, Wire};

/// Parameters that have their own names there.
const OWN: [&str; 14] = [
    "max_new_tokens",
    "return_full_text",
    "do_sample",
    "top_k",
    "top_n_tokens",
    "typical_p",
    "watermark",
    "truncate",
    "repetition_penalty",
    "decoder_input_details",
    "details",
    "seed",
    "best_of",
    "frequency_penalty",
];

/// The text that goes on.
pub(super) struct Tgi;

/// Events as OpenAI's.
struct Events {
    relay: Box<dyn Relay>,
    continuation: Continuation,
}

/// A whole answer, or the last event of a stream.
#[derive(Deserialize)]
struct Generated {
    #[serde(alias = "generation")]
    generated_text: Option<String>,
    token: Option<Token>,
    details: Option<Details>,
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    text: String,
    #[serde(default)]
    special: bool,
}

#[derive(Deserialize)]
struct Details {
    finish_reason: Option<String>,
}

impl Wire for Tgi {
    fn request(&self, body: &mut Json, _asked: (Dialect, Operation), losses: &mut Losses) -> Result<()> {
        let prompt = match body.get::<Value>("prompt")?.unwrap_or_default() {
            Value::String(text) => text,
            Value::Array(texts) if matches!(texts.as_slice(), [Value::String(_)]) => {
                texts.into_iter().find_map(|text| text.as_str().map(str::to_owned)).unwrap_or_default()
            }
            _ => return Err(Error::new(ErrorKind::Unsupported, "this provider takes one prompt, as text")),
        };
        let mut parameters = Map::new();
        let keys: Vec<String> = body.keys().map(|key| key.into_owned()).collect();
        let mut asked = json!({"inputs": prompt});
        for key in keys {
            let value: Value = body.get(&key)?.unwrap_or_default();
            body.remove(&key);
            match (key.as_str(), value) {
                (_, Value::Null) | ("model" | "prompt" | "stream_options", _) => {}
                ("stream", value) => asked["stream"] = value,
                ("n", value) if value == 1 => {}
                // A length or a temperature of zero is refused.
                ("max_tokens" | "max_completion_tokens", value) => {
                    parameters.insert(
                        "max_new_tokens".to_owned(),
                        value.as_u64().map_or(value, |most| most.max(1).into()),
                    );
                }
                ("temperature", value) => {
                    let value = if value.as_f64() == Some(0.0) { json!(0.01) } else { value };
                    parameters.insert(key, value);
                }
                ("stop", Value::String(one)) => drop(parameters.insert(key, json!([one]))),
                ("stop" | "top_p", value) => drop(parameters.insert(key, value)),
                (own, value) if OWN.contains(&own) => drop(parameters.insert(key, value)),
                _ => losses.add(key),
            }
        }
        asked["parameters"] = parameters.into();
        for (key, value) in asked.as_object().into_iter().flatten() {
            body.set(key, value.to_string());
        }
        Ok(())
    }

    fn reply(&self, body: Bytes, _asked: Asked) -> Result<Bytes> {
        let unreadable = || Error::new(ErrorKind::BadGateway, "the provider's answer could not be read");
        let mut said: Value = serde_json::from_slice(&body).map_err(|_| unreadable())?;
        if let Some(first) =
            said.as_array_mut().and_then(|items| (!items.is_empty()).then(|| items.swap_remove(0)))
        {
            said = first;
        }
        let said: Generated = serde_json::from_value(said).map_err(|_| unreadable())?;
        let text = said.generated_text.as_deref().ok_or_else(unreadable)?;
        Ok(Continuation::begin().piece(text, Some(finish(said.details.as_ref()))).into())
    }

    fn events(&self, relay: Box<dyn Relay>, _asked: Asked) -> Box<dyn Relay> {
        Box::new(Events { relay, continuation: Continuation::begin() })
    }
}

impl Relay for Events {
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        // Errors, and what ends a stream, are the dialect's.
        let Ok(said) = serde_json::from_slice::<Generated>(event.data) else {
            return self.relay.event(event, out);
        };
        let Some(token) = said.token else { return self.relay.event(event, out) };
        let text = if token.special { "" } else { &token.text };
        let ended = said.generated_text.is_some().then(|| finish(said.details.as_ref()));
        let data = self.continuation.piece(text, ended);
        self.relay.event(RawEvent { name: "", data: data.as_bytes() }, out)
    }

    fn close(&mut self, out: &mut BytesMut) -> Result<Peek> {
        self.relay.close(out)
    }
}

fn finish(details: Option<&Details>) -> &'static str {
    match details.and_then(|details| details.finish_reason.as_deref()) {
        Some("length") => "length",
        _ => "stop",
    }
}

#[cfg(test)]
mod tests {
    use gatewright_core::JsonLimits;

    use super::*;

    #[test]
    fn a_prompt_is_an_input_with_parameters() {
        for (body, want, lost) in [
            (
                json!({"model": "e", "prompt": "Once", "max_tokens": 0, "temperature": 0, "stop": ".", "stream": true, "user": "u", "n": 1}),
                json!({"inputs": "Once", "stream": true, "parameters": {"max_new_tokens": 1, "temperature": 0.01, "stop": ["."]}}),
                vec!["user"],
            ),
            (
                json!({"prompt": ["Once"], "top_p": 0.5, "return_full_text": false, "n": 2}),
                json!({"inputs": "Once", "parameters": {"top_p": 0.5, "return_full_text": false}}),
                vec!["n"],
            ),
        ] {
            let mut json = Json::parse(body.to_string().into(), JsonLimits::default()).unwrap();
            let mut losses = Losses::default();
            Tgi.request(&mut json, (Dialect::OpenAiCompletions, Operation::Chat), &mut losses).unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&json.to_bytes()).unwrap(), want);
            assert_eq!(losses.into_fields(), lost);
        }
    }

    #[test]
    fn both_forms_of_an_answer_are_read() {
        let asked = Asked { operation: Operation::Chat, older_functions: false };
        for (body, text, finish) in [
            (r#"[{"generated_text":"a","details":{"finish_reason":"length"}}]"#, "a", "length"),
            (r#"{"generated_text":"b"}"#, "b", "stop"),
            (r#"{"generation":"c"}"#, "c", "stop"),
        ] {
            let read: Value = serde_json::from_slice(&Tgi.reply(body.into(), asked).unwrap()).unwrap();
            assert_eq!(
                (&read["choices"][0]["text"], &read["choices"][0]["finish_reason"]),
                (&text.into(), &finish.into())
            );
        }
        assert!(Tgi.reply("[]".into(), asked).is_err());
    }
}
