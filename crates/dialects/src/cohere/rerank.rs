//! Rankings: `/v2/rerank`, and what clients of the version before it and of LiteLLM say besides.

use bytes::Bytes;
use gatewright_core::{
    Error, ErrorKind, Frame, Json, Losses, ModelFacts, Rank, Ranked, Ranking, ReplyStyle, Rerank,
    RerankCodec, Result, Usage,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::reply_decode::malformed;
use super::usage::UsageIn;
use crate::json::object;
use crate::lost::write_own;

/// The codec of `/v2/rerank`.
pub(crate) struct Reranking;

/// What the API knows beside the common fields.
const OWN_FIELDS: [&str; 1] = ["priority"];

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    id: String,
    results: Vec<RankedIn>,
    meta: Option<UsageIn>,
}

#[derive(Deserialize)]
struct RankedIn {
    index: u64,
    relevance_score: f64,
    document: Option<Value>,
}

#[derive(Serialize)]
struct ReplyOut<'a> {
    id: &'a str,
    results: Vec<RankedOut>,
    meta: Value,
}

#[derive(Serialize)]
struct RankedOut {
    index: u64,
    relevance_score: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Value>,
}

impl Rank for Reranking {
    fn encode_request(&self, asked: &Rerank, model: &ModelFacts, losses: &mut Losses) -> Result<Bytes> {
        let mut body = Map::new();
        body.insert("model".into(), (&*model.name).into());
        body.insert("query".into(), asked.query.as_str().into());
        body.insert("documents".into(), asked.texts().into());
        let limits = [("top_n", asked.top_n), ("max_tokens_per_doc", asked.max_tokens_per_doc)];
        body.extend(limits.into_iter().filter_map(|(key, most)| Some((key.to_owned(), most?.into()))));
        losses.add_if(asked.max_chunks_per_doc.is_some(), "max_chunks_per_doc");
        write_own(&asked.extra, &OWN_FIELDS, &mut body, losses);
        Ok(object(&body))
    }

    fn decode_reply(&self, body: &[u8]) -> Result<Ranking> {
        let Reply { id, results, meta } = serde_json::from_slice(body).map_err(|err| malformed(&err))?;
        let ranked = |result: RankedIn| Ranked {
            index: result.index,
            score: result.relevance_score,
            document: result.document,
        };
        let usage = meta.as_ref().map(UsageIn::of_meta);
        Ok(Ranking { id, ranked: results.into_iter().map(ranked).collect(), usage })
    }
}

impl RerankCodec for Reranking {
    fn decode_request(&self, body: &Json) -> Result<Rerank> {
        let mut asked = Rerank::default();
        for key in body.keys() {
            match &*key {
                "model" => {}
                "query" => asked.query = body.string(&key)?.unwrap_or_default().into_owned(),
                "documents" => asked.documents = body.get(&key)?.unwrap_or_default(),
                "top_n" => asked.top_n = body.get(&key)?,
                "rank_fields" => asked.rank_fields = body.get(&key)?,
                "return_documents" => asked.return_documents = body.get(&key)?,
                "max_chunks_per_doc" => asked.max_chunks_per_doc = body.get(&key)?,
                "max_tokens_per_doc" => asked.max_tokens_per_doc = body.get(&key)?,
                _ => {
                    if let Some(value) = body.get(&key)? {
                        asked.extra.insert(key.into_owned(), value);
                    }
                }
            }
        }
        match asked.documents.iter().all(|document| document.is_string() || document.is_object()) {
            true => Ok(asked),
            false => {
                let words = "invalid value for 'documents': expected texts or objects with fields of text";
                Err(Error::new(ErrorKind::InvalidRequest, words).with_param("documents"))
            }
        }
    }

    fn encode_reply(&self, answer: &Ranking, style: &ReplyStyle) -> Bytes {
        let attempt = style.attempt.to_string();
        let results = answer.ranked.iter().map(|ranked| RankedOut {
            index: ranked.index,
            relevance_score: ranked.score,
            document: ranked.document.as_ref().map(shown),
        });
        crate::json::json(&ReplyOut {
            id: if answer.id.is_empty() { &attempt } else { &answer.id },
            results: results.collect(),
            meta: meta(&answer.usage.unwrap_or_default()),
        })
    }

    fn relay_reply(&self, body: Bytes, _style: &ReplyStyle) -> Result<Frame> {
        let usage = self.decode_reply(&body)?.usage;
        let content = u32::try_from(body.len()).unwrap_or(u32::MAX);
        Ok(Frame { data: body, usage, content, last: true })
    }
}

/// A text that is repeated stands in an object.
fn shown(document: &Value) -> Value {
    match document {
        Value::String(text) => json!({"text": text}),
        other => other.clone(),
    }
}

/// As LiteLLM tells it: in searches where the provider bills those, else in tokens.
fn meta(usage: &Usage) -> Value {
    let tokens = usage.total_input();
    let billed = match usage.search_units {
        0 => json!({"total_tokens": tokens}),
        searches => json!({"search_units": searches}),
    };
    json!({"billed_units": billed, "tokens": {"input_tokens": tokens, "output_tokens": usage.output}})
}
