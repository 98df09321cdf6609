//! IBM watsonx.ai: OpenAI's chat with the project and the model in IBM's words, and vectors and rankings in IBM's form.
//!
//! <https://cloud.ibm.com/apidocs/watsonx-ai>

use std::borrow::Cow;

use bytes::Bytes;
use gatewright_core::{Dialect, Error, ErrorKind, Json, Losses, Operation, Result, Secret};
use http::header::AUTHORIZATION;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::{Asked, Wire};
use crate::fault::misconfigured;
use crate::fill::Fill;
use crate::{HeaderKey, Params};

/// How the names of models begin that a deployment of the operator's serves: its address says the model and the space.
const DEPLOYMENT: &str = "deployment/";

/// What differs from OpenAI's wire.
pub(super) struct Watsonx {
    /// The field that says for whom, and its value; `None` where the address says it.
    place: Option<(&'static str, String)>,
}

/// Vectors as they come.
#[derive(Deserialize)]
struct Vectors<'a> {
    #[serde(borrow)]
    results: Vec<Vector<'a>>,
    #[serde(default)]
    input_token_count: u64,
}

#[derive(Deserialize)]
struct Vector<'a> {
    #[serde(borrow)]
    embedding: &'a RawValue,
}

/// Vectors as OpenAI writes them.
#[derive(Serialize)]
struct Embeddings<'a> {
    object: &'static str,
    data: Vec<Embedding<'a>>,
    usage: Tokens,
}

#[derive(Serialize)]
struct Embedding<'a> {
    object: &'static str,
    index: usize,
    embedding: &'a RawValue,
}

#[derive(Serialize)]
struct Tokens {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// A ranking as it comes.
#[derive(Deserialize)]
struct Ranking {
    results: Vec<Ranked>,
    #[serde(default)]
    input_token_count: u64,
}

#[derive(Deserialize)]
struct Ranked {
    index: u64,
    score: f64,
}

/// The deployment's parameters with what stands together in `watsonx_credentials`.
pub(super) fn told(params: &Params) -> Cow<'_, Params> {
    let together = ["watsonx_credentials", "wx_credentials"].iter().find_map(|name| params.access.get(*name));
    let Some(Ok(together)) = together.map(|text| serde_json::from_str::<Map<String, Value>>(text.reveal()))
    else {
        return Cow::Borrowed(params);
    };
    let text = |keys: &[&str]| keys.iter().find_map(|key| together.get(*key)?.as_str().map(str::to_owned));
    let mut params = params.clone();
    params.api_base = text(&["url"]).or(params.api_base);
    params.api_key = text(&["apikey", "api_key"]).map(Secret::from).or(params.api_key);
    if let Some(token) = text(&["token", "watsonx_token"]) {
        params.access.insert("token".to_owned(), token.into());
    }
    Cow::Owned(params)
}

/// A token that somebody else got, or the key of a Cloud Pak's user.
pub(super) fn proof(fill: &Fill<'_>) -> Option<HeaderKey> {
    if let Some(token) = fill.known("token") {
        return HeaderKey::bearer(&token.into());
    }
    let key = fill.known("zen_api_key")?;
    HeaderKey::named(AUTHORIZATION, &format!("ZenApiKey {key}").into())
}

// === impl Watsonx ===

impl Watsonx {
    pub(super) fn new(model: &str, fill: &Fill<'_>) -> Result<Self> {
        if model.starts_with(DEPLOYMENT) {
            return Ok(Self { place: None });
        }
        let field = |name: &'static str| fill.known(name).map(|value| (name, value));
        let place = field("project_id").or_else(|| field("space_id"));
        let missing = || misconfigured("provider 'watsonx' needs project_id or space_id");
        Ok(Self { place: Some(place.ok_or_else(missing)?) })
    }

    /// Names the model and who pays as IBM does.
    fn address(&self, body: &mut Json) {
        let model = body.remove("model");
        let Some((field, value)) = &self.place else { return };
        if let Some(model) = model {
            body.set("model_id", model);
        }
        body.set_string(field, value);
    }
}

impl Wire for Watsonx {
    fn request(
        &self,
        body: &mut Json,
        (_, operation): (Dialect, Operation),
        losses: &mut Losses,
    ) -> Result<()> {
        self.address(body);
        match operation {
            Operation::Embeddings => embed(body, losses),
            Operation::Rerank => rank(body),
            _ => chat(body, losses),
        }
    }

    fn reply(&self, body: Bytes, asked: Asked) -> Result<Bytes> {
        match asked.operation {
            Operation::Embeddings => embedded(&body),
            Operation::Rerank => ranked(&body),
            _ => Ok(body),
        }
    }
}

fn chat(body: &mut Json, losses: &mut Losses) -> Result<()> {
    // The path says it.
    body.remove("stream");
    // A word and a function's name have a field each.
    if body.raw("tool_choice").is_some_and(|choice| choice.starts_with(b"\""))
        && let Some(word) = body.remove("tool_choice")
    {
        body.set("tool_choice_option", word);
    }
    if let Some(mut tools) = body.get::<Vec<Value>>("tools")? {
        let parts = tools.iter_mut().filter_map(|tool| tool.get_mut("function")?.as_object_mut());
        for function in parts {
            losses.add_if(function.remove("strict").is_some_and(|strict| strict == true), "tools.strict");
            if let Some(schema) = function.get_mut("parameters") {
                relax(schema);
            }
        }
        body.set("tools", Value::from(tools).to_string());
    }
    Ok(())
}

/// Takes `additionalProperties` out of a schema, as LiteLLM does: the server checks schemas against words of its own.
fn relax(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.remove("additionalProperties");
            for (key, inner) in fields.iter_mut() {
                match (key.as_str(), inner) {
                    // What stands in there are names of the schema's own.
                    ("properties" | "$defs" | "definitions", Value::Object(named)) => {
                        named.values_mut().for_each(relax);
                    }
                    (_, inner) => relax(inner),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(relax),
        _ => {}
    }
}

fn embed(body: &mut Json, losses: &mut Losses) -> Result<()> {
    let inputs = match body.get::<Value>("input")?.unwrap_or_default() {
        Value::String(text) => json!([text]),
        Value::Array(texts) if texts.iter().all(Value::is_string) => Value::Array(texts),
        _ => return Err(Error::new(ErrorKind::Unsupported, "this provider embeds texts only")),
    };
    body.remove("input");
    body.set("inputs", inputs.to_string());
    // Vectors are lists of numbers, and every client of OpenAI's form reads those.
    body.remove("encoding_format");
    for field in ["dimensions", "user", "input_type"] {
        losses.add_if(body.remove(field).is_some(), field);
    }
    if let Some(most) = body.remove("truncate_input_tokens") {
        body.set("parameters", [br#"{"truncate_input_tokens":"#, &*most, b"}"].concat());
    }
    Ok(())
}

fn rank(body: &mut Json) -> Result<()> {
    let documents: Vec<String> = body.get("documents")?.unwrap_or_default();
    body.remove("documents");
    body.remove("return_documents");
    let inputs: Value = documents.into_iter().map(|text| json!({"text": text})).collect();
    body.set("inputs", inputs.to_string());
    if let Some(most) = body.get::<u64>("top_n")? {
        body.remove("top_n");
        body.set("parameters", json!({"return_options": {"top_n": most}}).to_string());
    }
    Ok(())
}

fn embedded(body: &[u8]) -> Result<Bytes> {
    let Vectors { results, input_token_count } = serde_json::from_slice(body).map_err(unreadable)?;
    let data = results
        .into_iter()
        .enumerate()
        .map(|(index, Vector { embedding })| Embedding { object: "embedding", index, embedding })
        .collect();
    let usage = Tokens { prompt_tokens: input_token_count, total_tokens: input_token_count };
    serde_json::to_vec(&Embeddings { object: "list", data, usage }).map(Bytes::from).map_err(unreadable)
}

fn ranked(body: &[u8]) -> Result<Bytes> {
    let Ranking { results, input_token_count } = serde_json::from_slice(body).map_err(unreadable)?;
    let result = |Ranked { index, score }: Ranked| json!({"index": index, "relevance_score": score});
    let results: Value = results.into_iter().map(result).collect();
    Ok(json!({"results": results, "usage": {"total_tokens": input_token_count}}).to_string().into())
}

fn unreadable(_: serde_json::Error) -> Error {
    Error::new(ErrorKind::BadGateway, "the provider's answer could not be read")
}

#[cfg(test)]
mod tests {
    use gatewright_core::JsonLimits;

    use super::*;

    fn sent(body: &Value, operation: Operation) -> (Value, Vec<Cow<'static, str>>) {
        let wire = Watsonx { place: Some(("project_id", "p-1".to_owned())) };
        let mut json = Json::parse(body.to_string().into(), JsonLimits::default()).unwrap();
        let mut losses = Losses::default();
        wire.request(&mut json, (Dialect::OpenAiChat, operation), &mut losses).unwrap();
        (serde_json::from_slice(&json.to_bytes()).unwrap(), losses.into_fields())
    }

    #[test]
    fn requests_are_written_in_ibms_words() {
        let named = json!({"type": "function", "function": {"name": "f"}});
        // The names of a schema's own fields stay, whatever they are.
        let strict = json!({"type": "function", "function": {"name": "f", "strict": true, "parameters": {
            "type": "object", "additionalProperties": false,
            "properties": {"additionalProperties": {"type": "array", "items": {"additionalProperties": false}}},
        }}});
        let lax = json!({"type": "function", "function": {"name": "f", "parameters": {
            "type": "object", "properties": {"additionalProperties": {"type": "array", "items": {}}},
        }}});
        for (operation, body, want, lost) in [
            (
                Operation::Chat,
                json!({"model": "m", "stream": true, "tool_choice": "required", "tools": [strict]}),
                json!({"model_id": "m", "project_id": "p-1", "tool_choice_option": "required", "tools": [lax]}),
                vec!["tools.strict"],
            ),
            (
                Operation::Chat,
                json!({"model": "m", "project_id": "somebody's", "tool_choice": named}),
                json!({"model_id": "m", "project_id": "p-1", "tool_choice": named}),
                vec![],
            ),
            (
                Operation::Embeddings,
                json!({"model": "e", "input": "a", "encoding_format": "base64", "user": "u", "truncate_input_tokens": 9}),
                json!({"model_id": "e", "project_id": "p-1", "inputs": ["a"], "parameters": {"truncate_input_tokens": 9}}),
                vec!["user"],
            ),
            (
                Operation::Rerank,
                json!({"model": "r", "query": "q", "documents": ["a", "b"], "top_n": 1, "return_documents": false}),
                json!({"model_id": "r", "project_id": "p-1", "query": "q", "inputs": [{"text": "a"}, {"text": "b"}], "parameters": {"return_options": {"top_n": 1}}}),
                vec![],
            ),
        ] {
            assert_eq!(sent(&body, operation), (want, lost.into_iter().map(Cow::from).collect()), "{body}");
        }
    }

    #[test]
    fn tokens_are_no_texts() {
        let wire = Watsonx { place: None };
        let mut json = Json::parse(r#"{"input":[1,2]}"#.into(), JsonLimits::default()).unwrap();
        let asked = (Dialect::OpenAiChat, Operation::Embeddings);
        assert!(wire.request(&mut json, asked, &mut Losses::default()).is_err());
    }

    #[test]
    fn credentials_that_stand_together_are_read() {
        let mut params = Params::default();
        let text = r#"{"url": "https://eu-de.ml.cloud.ibm.com", "apikey": "k-1", "token": "t-1"}"#;
        params.access.insert("watsonx_credentials".to_owned(), text.into());
        let told = told(&params);
        assert_eq!(told.api_base.as_deref(), Some("https://eu-de.ml.cloud.ibm.com"));
        assert_eq!(told.api_key.as_ref().map(Secret::reveal), Some("k-1"));
        assert_eq!(told.access["token"].reveal(), "t-1");
    }
}
