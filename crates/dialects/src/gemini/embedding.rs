//! Vectors: `batchEmbedContents`, and the answers of `embedContent` and of Vertex's `predict`.

use std::borrow::Cow;

use bytes::Bytes;
use gatewright_core::{
    Embedded, Embedding, EmbeddingCodec, EmbeddingInput, Encoding, Error, ErrorKind, Frame, Json, Losses,
    ModelFacts, ReplyStyle, Result, Usage,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::usage::UsageIn;
use super::wire::read;
use crate::json::json;

/// Gemini's vectors.
pub(super) struct Vectors;

#[derive(Deserialize, Serialize)]
struct Batch<'a> {
    #[serde(borrow)]
    requests: Vec<One<'a>>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    #[serde(borrow, default)]
    model: Cow<'a, str>,
    content: Content,
    #[serde(borrow, alias = "task_type", skip_serializing_if = "Option::is_none")]
    task_type: Option<Cow<'a, str>>,
    #[serde(alias = "output_dimensionality", skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<Value>,
}

#[derive(Deserialize, Serialize)]
struct Content {
    parts: Vec<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Reply {
    embeddings: Vec<Values>,
    embedding: Option<Values>,
    predictions: Vec<Prediction>,
    usage_metadata: Option<UsageIn>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Values {
    values: Vec<f32>,
    #[serde(skip_serializing)]
    statistics: Statistics,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Statistics {
    token_count: f64,
}

#[derive(Deserialize)]
struct Prediction {
    embeddings: Values,
}

#[derive(Serialize)]
struct ReplyOut<'a> {
    embeddings: Vec<ValuesOut<'a>>,
}

#[derive(Serialize)]
struct ValuesOut<'a> {
    values: &'a [f32],
}

impl EmbeddingCodec for Vectors {
    fn most_inputs(&self, _model: &str) -> usize {
        100
    }

    fn decode_request(&self, body: &Json) -> Result<Embedding> {
        let bytes = body.to_bytes();
        let wrong = |err: serde_json::Error| {
            let words = gatewright_core::body::in_words(&err);
            Error::new(ErrorKind::InvalidRequest, format!("invalid value for 'requests': {words}"))
        };
        let requests = match body.has("requests") {
            true => serde_json::from_slice::<Batch<'_>>(&bytes).map_err(wrong)?.requests,
            false => vec![serde_json::from_slice::<One<'_>>(&bytes).map_err(wrong)?],
        };
        let mut asked = Embedding::default();
        for one in requests {
            asked.dimensions = one.output_dimensionality.or(asked.dimensions);
            asked.purpose = one.task_type.map(Cow::into_owned).or(asked.purpose);
            asked.inputs.push(input(&one.content));
        }
        Ok(asked)
    }

    fn encode_request(&self, asked: &Embedding, model: &ModelFacts, losses: &mut Losses) -> Result<Bytes> {
        let name = format!("models/{}", model.name);
        // The name that LiteLLM's clients give it.
        let told = ["task_type", "taskType"].iter().find_map(|key| asked.extra.get(*key)?.as_str());
        let purpose = asked.purpose.as_deref().or(told).map(task);
        losses.add_if(asked.user.is_some(), "user");
        for key in
            asked.extra.keys().filter(|key| !matches!(key.as_str(), "task_type" | "taskType" | "title"))
        {
            losses.add(key.clone());
        }
        let mut requests = Vec::with_capacity(asked.inputs.len());
        for input in &asked.inputs {
            requests.push(One {
                model: name.as_str().into(),
                content: Content { parts: vec![part(input)?] },
                task_type: purpose.as_deref().map(Cow::Borrowed),
                output_dimensionality: asked.dimensions,
                title: asked.extra.get("title").cloned(),
            });
        }
        Ok(json(&Batch { requests }))
    }

    fn decode_reply(&self, body: &[u8]) -> Result<Embedded> {
        let reply: Reply = read(body)?;
        let predicted = reply.predictions.into_iter().map(|prediction| prediction.embeddings);
        let all: Vec<Values> = reply.embeddings.into_iter().chain(reply.embedding).chain(predicted).collect();
        let counted: f64 = all.iter().map(|values| values.statistics.token_count).sum();
        let counted = (counted > 0.0).then(|| Usage {
            input: counted as u64,
            cache_in_input: true,
            ..Usage::default()
        });
        let usage = reply.usage_metadata.and_then(|usage| usage.usage(0)).or(counted);
        Ok(Embedded { model: String::new(), vectors: all.into_iter().map(|one| one.values).collect(), usage })
    }

    fn encode_reply(&self, answer: &Embedded, _encoding: Encoding, _style: &ReplyStyle) -> Bytes {
        let embeddings = answer.vectors.iter().map(|values| ValuesOut { values }).collect();
        json(&ReplyOut { embeddings })
    }

    fn relay_reply(&self, body: Bytes, _style: &ReplyStyle) -> Result<Frame> {
        let reply: Reply = read(&body)?;
        let usage = reply.usage_metadata.and_then(|usage| usage.usage(0));
        let content = u32::try_from(body.len()).unwrap_or(u32::MAX);
        Ok(Frame { data: body, usage, content, last: true })
    }
}

fn input(content: &Content) -> EmbeddingInput {
    let media =
        content.parts.iter().find_map(|part| part.get("inlineData").or_else(|| part.get("inline_data")));
    if let Some(blob) = media {
        let text = |keys: [&str; 2]| keys.iter().find_map(|key| blob.get(*key)?.as_str()).unwrap_or_default();
        let (kind, data) = (text(["mimeType", "mime_type"]), text(["data", "data"]));
        return EmbeddingInput::Image(format!("data:{kind};base64,{data}"));
    }
    EmbeddingInput::Text(content.parts.iter().filter_map(|part| part.get("text")?.as_str()).collect())
}

fn part(input: &EmbeddingInput) -> Result<Value> {
    match input {
        EmbeddingInput::Text(text) => Ok(serde_json::json!({"text": text})),
        EmbeddingInput::Image(address) => {
            match address.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
                Some((kind, data)) => Ok(serde_json::json!({"inlineData": {"mimeType": kind, "data": data}})),
                None => Ok(serde_json::json!({"fileData": {"fileUri": address}})),
            }
        }
        EmbeddingInput::Tokens(_) => {
            let words = "the provider embeds texts, not tokens";
            Err(Error::new(ErrorKind::Unsupported, words).with_param("input"))
        }
    }
}

/// The API's word for what vectors are for; Cohere's are understood.
fn task(purpose: &str) -> String {
    match purpose {
        "search_document" => "RETRIEVAL_DOCUMENT".to_owned(),
        "search_query" => "RETRIEVAL_QUERY".to_owned(),
        "classification" => "CLASSIFICATION".to_owned(),
        "clustering" => "CLUSTERING".to_owned(),
        other => other.to_owned(),
    }
}
