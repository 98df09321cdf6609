//! SAP AI Core: OpenAI's chat and vectors inside what SAP's orchestration is configured with and answers.
//!
//! <https://sap.github.io/ai-sdk/docs/js/orchestration/chat-completion>

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use gatewright_core::{Dialect, Error, ErrorKind, Json, Losses, Operation, Peek, RawEvent, Relay, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::{Asked, Wire};
use crate::Params;

/// The parameter that holds a service key.
const KEY: &str = "sap_service_key";

/// What stands around OpenAI's words.
pub(super) struct Sap;

/// Events without what stands around them.
struct Events(Box<dyn Relay>);

/// An answer, or an event.
#[derive(Deserialize)]
struct Orchestrated<'a> {
    #[serde(borrow)]
    final_result: Option<&'a RawValue>,
    /// What an error that calls itself none has.
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// The deployment's parameters with a key, which is a service key, under its own name.
pub(super) fn told(params: &Params) -> Cow<'_, Params> {
    let Some(key) = &params.api_key else { return Cow::Borrowed(params) };
    let mut params = Params { api_key: None, ..params.clone() };
    params.access.entry(KEY.to_owned()).or_insert_with(|| key.clone());
    Cow::Owned(params)
}

/// What a service key says, where nothing else does.
pub(super) fn value(name: &str, known: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let key = || serde_json::from_str::<Value>(&known(KEY)?).ok();
    let said = |field: &str| {
        let key = key()?;
        // Bindings of applications have one object more around it.
        let key = key.get("credentials").unwrap_or(&key);
        key.get(field)?.as_str().map(str::to_owned)
    };
    match name {
        "client_id" => said("clientid"),
        "client_secret" => said("clientsecret"),
        "sap_token_url" => {
            let address = known("auth_url").or_else(|| said("url"))?;
            let address = address.trim_end_matches('/').trim_end_matches("/oauth/token");
            Some(format!("{address}/oauth/token"))
        }
        _ => None,
    }
}

impl Wire for Sap {
    fn request(&self, body: &mut Json, (_, operation): (Dialect, Operation), _: &mut Losses) -> Result<()> {
        let mut fields = Map::new();
        for field in body.fields() {
            fields.insert(field.key.into_owned(), serde_json::from_slice(field.raw).unwrap_or_default());
        }
        let asked = match operation {
            Operation::Embeddings => vectors(fields),
            _ => chat(fields),
        };
        let keys: Vec<String> = body.keys().map(Cow::into_owned).collect();
        keys.iter().for_each(|key| drop(body.remove(key)));
        for (key, value) in asked.as_object().into_iter().flatten() {
            body.set(key, value.to_string());
        }
        Ok(())
    }

    fn reply(&self, body: Bytes, _asked: Asked) -> Result<Bytes> {
        let said: Orchestrated<'_> = serde_json::from_slice(&body)
            .map_err(|_| Error::new(ErrorKind::BadGateway, "the provider's answer could not be read"))?;
        Ok(said.final_result.map_or_else(|| body.clone(), |result| body.slice_ref(result.get().as_bytes())))
    }

    fn events(&self, relay: Box<dyn Relay>, _asked: Asked) -> Box<dyn Relay> {
        Box::new(Events(relay))
    }
}

impl Relay for Events {
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        let Ok(said) = serde_json::from_slice::<Orchestrated<'_>>(event.data) else {
            return self.0.event(event, out);
        };
        match (said.final_result, said.error.or(said.code)) {
            (Some(result), _) => self.0.event(RawEvent { data: result.get().as_bytes(), ..event }, out),
            (None, Some(_)) => self.0.event(RawEvent { name: "error", ..event }, out),
            // What the templates became.
            (None, None) => Ok(Peek::default()),
        }
    }

    fn close(&mut self, out: &mut BytesMut) -> Result<Peek> {
        self.0.close(out)
    }
}

/// A chat as the configuration of one run.
fn chat(mut params: Map<String, Value>) -> Value {
    let streams = params.remove("stream") == Some(Value::Bool(true));
    let version = params.remove("model_version").unwrap_or_else(|| "latest".into());
    let model = params.remove("model").unwrap_or_default();
    let mut messages = params.remove("messages").unwrap_or_default();
    messages.as_array_mut().into_iter().flatten().for_each(complete);
    let mut prompt = json!({"template": messages});
    for field in ["tools", "response_format"] {
        if let Some(value) = params.remove(field) {
            prompt[field] = value;
        }
    }
    let model = json!({"name": model, "version": version, "params": params});
    let mut config = json!({"modules": {"prompt_templating": {"prompt": prompt, "model": model}}});
    if streams {
        config["stream"] = json!({"enabled": true});
    }
    json!({"config": config})
}

/// The content of an answer that only calls is a string there too.
fn complete(message: &mut Value) {
    if message["content"].is_null() {
        message["content"] = "".into();
    }
}

fn vectors(mut params: Map<String, Value>) -> Value {
    let (model, input) =
        (params.remove("model").unwrap_or_default(), params.remove("input").unwrap_or_default());
    let kind = params.remove("input_type").unwrap_or_else(|| "text".into());
    let version = params.remove("model_version").unwrap_or_else(|| "latest".into());
    let model = json!({"name": model, "version": version, "params": params});
    json!({"config": {"modules": {"embeddings": {"model": model}}}, "input": {"text": input, "type": kind}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_key_says_who_asks_and_where() {
        let plain = r#"{"clientid":"c","clientsecret":"s","url":"https://a.test/"}"#;
        let bound = format!(r#"{{"credentials":{plain}}}"#);
        for key in [plain, &bound] {
            let known = |name: &str| (name == KEY).then(|| key.to_owned());
            let said = |name| value(name, &known).unwrap();
            assert_eq!((said("client_id"), said("client_secret")), ("c".to_owned(), "s".to_owned()));
            assert_eq!(said("sap_token_url"), "https://a.test/oauth/token");
        }
        let known = |name: &str| (name == "auth_url").then(|| "https://b.test/oauth/token".to_owned());
        assert_eq!(value("sap_token_url", &known).unwrap(), "https://b.test/oauth/token");
        assert_eq!(value("client_id", &known), None);
    }
}
