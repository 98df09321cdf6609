//! That of Hugging Face's Text Embeddings Inference: <https://huggingface.github.io/text-embeddings-inference/>.

use bytes::Bytes;
use gatewright_core::{Losses, ModelFacts, Rank, Ranked, Ranking, Rerank, Result};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{lose, unreadable};
use crate::json::object;

/// The form of `/rerank`, which serves one model and answers a bare list.
pub(super) struct Tei;

/// What it knows beside the question and the texts.
const OWN_FIELDS: [&str; 3] = ["raw_scores", "truncate", "truncation_direction"];

#[derive(Deserialize)]
struct RankedIn {
    index: u64,
    score: f64,
}

impl Rank for Tei {
    fn encode_request(&self, asked: &Rerank, _model: &ModelFacts, losses: &mut Losses) -> Result<Bytes> {
        lose(asked, &OWN_FIELDS, losses);
        let mut body = Map::new();
        body.insert("query".to_owned(), asked.query.as_str().into());
        body.insert("texts".to_owned(), Value::from(asked.texts()));
        let own = asked.extra.iter().filter(|(key, _)| OWN_FIELDS.contains(&key.as_str()));
        body.extend(own.map(|(key, value)| (key.clone(), value.clone())));
        Ok(object(&body))
    }

    fn decode_reply(&self, body: &[u8]) -> Result<Ranking> {
        let list: Vec<RankedIn> = serde_json::from_slice(body).map_err(|_| unreadable())?;
        let ranked = |one: RankedIn| Ranked { index: one.index, score: one.score, document: None };
        Ok(Ranking { ranked: list.into_iter().map(ranked).collect(), ..Ranking::default() })
    }
}
