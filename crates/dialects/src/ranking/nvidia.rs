//! That of NVIDIA's retrieval models: <https://docs.nvidia.com/nim/nemo-retriever/text-reranking/latest/using-reranking.html>.

use bytes::Bytes;
use gatewright_core::{Losses, ModelFacts, Rank, Ranked, Ranking, Rerank, Result, Usage};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{lose, unreadable};
use crate::json::object;

/// The form of `/v1/ranking`. It knows no limit of how many are answered, and refuses one.
pub(super) struct Nvidia;

/// What happens to texts that are too long.
const TRUNCATE: &str = "truncate";

#[derive(Deserialize)]
struct Reply {
    rankings: Vec<RankedIn>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct RankedIn {
    index: u64,
    logit: f64,
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(default)]
    total_tokens: u64,
}

impl Rank for Nvidia {
    fn encode_request(&self, asked: &Rerank, model: &ModelFacts, losses: &mut Losses) -> Result<Bytes> {
        lose(asked, &[TRUNCATE], losses);
        let mut body = Map::new();
        body.insert("model".to_owned(), called(&model.name).into());
        body.insert("query".to_owned(), json!({ "text": asked.query }));
        let passages: Vec<Value> = asked.texts().into_iter().map(|text| json!({ "text": text })).collect();
        body.insert("passages".to_owned(), passages.into());
        body.extend(asked.extra.get(TRUNCATE).map(|value| (TRUNCATE.to_owned(), value.clone())));
        Ok(object(&body))
    }

    fn decode_reply(&self, body: &[u8]) -> Result<Ranking> {
        let Reply { rankings, usage } = serde_json::from_slice(body).map_err(|_| unreadable())?;
        let ranked = |one: RankedIn| Ranked { index: one.index, score: one.logit, document: None };
        let used =
            |tokens: Tokens| Usage { input: tokens.total_tokens, cache_in_input: true, ..Usage::default() };
        let ranked = rankings.into_iter().map(ranked).collect();
        Ok(Ranking { ranked, usage: usage.map(used), ..Ranking::default() })
    }
}

/// NVIDIA's addresses, and so LiteLLM's names, write `llama-3_2` for a model that is called `llama-3.2`.
fn called(name: &str) -> String {
    let bytes = name.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let between = |at: usize| is_digit(at.checked_sub(1)) && is_digit(at.checked_add(1));
    name.char_indices().map(|(at, c)| if c == '_' && between(at) { '.' } else { c }).collect()
}
