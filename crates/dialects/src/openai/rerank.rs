//! Rankings, for which OpenAI has no form: Jina's, which vLLM and others answer too, and Voyage's, which differs in names.

use bytes::Bytes;
use gatewright_core::{
    Frame, Json, Losses, ModelFacts, Rank, Ranked, Ranking, ReplyStyle, Rerank, RerankCodec, Result, Usage,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::relay::unreadable;
use crate::json::{json, object, tells};

/// The codec of `/rerank`.
pub(super) struct Reranking;

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    id: String,
    /// `data` is Voyage's name.
    #[serde(alias = "data")]
    results: Vec<RankedIn>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct RankedIn {
    index: u64,
    relevance_score: f64,
    document: Option<Value>,
}

#[derive(Deserialize, Serialize)]
struct Tokens {
    #[serde(default)]
    total_tokens: u64,
}

#[derive(Serialize)]
struct ReplyOut<'a> {
    id: &'a str,
    model: &'a str,
    results: Vec<RankedOut<'a>>,
    usage: Tokens,
}

#[derive(Serialize)]
struct RankedOut<'a> {
    index: u64,
    relevance_score: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<&'a Value>,
}

impl Rank for Reranking {
    fn encode_request(&self, asked: &Rerank, model: &ModelFacts, losses: &mut Losses) -> Result<Bytes> {
        let mut body = Map::new();
        body.insert("model".into(), (&*model.name).into());
        body.insert("query".into(), asked.query.as_str().into());
        body.insert("documents".into(), asked.texts().into());
        body.extend(asked.top_n.map(|most| ("top_n".to_owned(), most.into())));
        // The gateway has the documents itself: they need not come back.
        body.insert("return_documents".into(), false.into());
        losses.add_if(asked.max_chunks_per_doc.is_some(), "max_chunks_per_doc");
        losses.add_if(asked.max_tokens_per_doc.is_some(), "max_tokens_per_doc");
        let told = asked.extra.iter().filter(|(_, value)| tells(value));
        body.extend(told.map(|(key, value)| (key.clone(), value.clone())));
        Ok(object(&body))
    }

    fn decode_reply(&self, body: &[u8]) -> Result<Ranking> {
        let Reply { id, results, usage } = serde_json::from_slice(body).map_err(|_| unreadable())?;
        let ranked = |result: RankedIn| Ranked {
            index: result.index,
            score: result.relevance_score,
            document: result.document,
        };
        let used =
            |tokens: Tokens| Usage { input: tokens.total_tokens, cache_in_input: true, ..Usage::default() };
        Ok(Ranking { id, ranked: results.into_iter().map(ranked).collect(), usage: usage.map(used) })
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
                "return_documents" => asked.return_documents = body.get(&key)?,
                _ => {
                    if let Some(value) = body.get(&key)? {
                        asked.extra.insert(key.into_owned(), value);
                    }
                }
            }
        }
        Ok(asked)
    }

    fn encode_reply(&self, answer: &Ranking, style: &ReplyStyle) -> Bytes {
        let results = answer.ranked.iter().map(|ranked| RankedOut {
            index: ranked.index,
            relevance_score: ranked.score,
            document: ranked.document.as_ref(),
        });
        json(&ReplyOut {
            id: &answer.id,
            model: &style.model,
            results: results.collect(),
            usage: Tokens { total_tokens: answer.usage.map_or(0, |usage| usage.total_input()) },
        })
    }

    fn relay_reply(&self, body: Bytes, style: &ReplyStyle) -> Result<Frame> {
        let ranking = self.decode_reply(&body)?;
        let data = self.encode_reply(&ranking, style);
        let content = u32::try_from(data.len()).unwrap_or(u32::MAX);
        Ok(Frame { data, usage: ranking.usage, content, last: true })
    }
}
