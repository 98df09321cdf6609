//! Amazon Bedrock's: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent-runtime_Rerank.html>.

use bytes::Bytes;
use gatewright_core::{Losses, ModelFacts, Rank, Ranked, Ranking, Rerank, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{lose, unreadable};

/// The form of the agent runtime.
pub(super) struct Bedrock;

/// What goes on to the model itself.
const MODEL_FIELDS: &str = "additionalModelRequestFields";

#[derive(Deserialize)]
struct Reply {
    results: Vec<RankedIn>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RankedIn {
    index: u64,
    relevance_score: f64,
}

impl Rank for Bedrock {
    fn encode_request(&self, asked: &Rerank, model: &ModelFacts, losses: &mut Losses) -> Result<Bytes> {
        lose(asked, &[MODEL_FIELDS], losses);
        let source = |text: String| json!({"type": "INLINE", "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": text}}});
        let sources: Vec<Value> = asked.texts().into_iter().map(source).collect();
        let mut chosen = Map::from_iter([("modelArn".to_owned(), (&*model.name).into())]);
        if let Some(own) = asked.extra.get(MODEL_FIELDS) {
            chosen.insert(MODEL_FIELDS.to_owned(), own.clone());
        }
        let body = json!({
            "queries": [{"type": "TEXT", "textQuery": {"text": asked.query}}],
            "sources": sources,
            "rerankingConfiguration": {
                "type": "BEDROCK_RERANKING_MODEL",
                "bedrockRerankingConfiguration": {
                    "modelConfiguration": chosen,
                    // A client who says nothing gets all.
                    "numberOfResults": asked.top_n.unwrap_or(sources.len() as u64),
                },
            },
        });
        Ok(crate::json::json(&body))
    }

    fn decode_reply(&self, body: &[u8]) -> Result<Ranking> {
        let Reply { results } = serde_json::from_slice(body).map_err(|_| unreadable())?;
        let ranked = |one: RankedIn| Ranked { index: one.index, score: one.relevance_score, document: None };
        Ok(Ranking { ranked: results.into_iter().map(ranked).collect(), ..Ranking::default() })
    }
}
