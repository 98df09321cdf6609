//! That of Google's Discovery Engine, which ranks for Vertex AI:
//! <https://cloud.google.com/generative-ai-app-builder/docs/reference/rest/v1/projects.locations.rankingConfigs/rank>.

use bytes::Bytes;
use gatewright_core::{Losses, ModelFacts, Rank, Ranked, Ranking, Rerank, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{lose, unreadable};
use crate::json::object;

/// The form of `rankingConfigs:rank`, which names documents by ids and not by their places.
pub(super) struct Vertex;

/// What requests are marked with for Google's bills.
const LABELS: &str = "userLabels";

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    id: String,
    /// Google leaves a zero out.
    #[serde(default)]
    score: f64,
}

impl Rank for Vertex {
    fn encode_request(&self, asked: &Rerank, model: &ModelFacts, losses: &mut Losses) -> Result<Bytes> {
        lose(asked, &[LABELS], losses);
        let record = |(place, text): (usize, String)| json!({"id": place.to_string(), "content": text});
        let records: Vec<Value> = asked.texts().into_iter().enumerate().map(record).collect();
        let mut body = Map::new();
        body.insert("model".to_owned(), (&*model.name).into());
        body.insert("query".to_owned(), asked.query.as_str().into());
        body.insert("records".to_owned(), records.into());
        body.extend(asked.top_n.map(|most| ("topN".to_owned(), most.into())));
        // The gateway has the documents itself: they need not come back.
        body.insert("ignoreRecordDetailsInResponse".to_owned(), true.into());
        body.extend(asked.extra.get(LABELS).map(|value| (LABELS.to_owned(), value.clone())));
        Ok(object(&body))
    }

    fn decode_reply(&self, body: &[u8]) -> Result<Ranking> {
        let Reply { records } = serde_json::from_slice(body).map_err(|_| unreadable())?;
        let ranked = |record: Record| {
            let index = record.id.parse().map_err(|_| unreadable())?;
            Ok(Ranked { index, score: record.score, document: None })
        };
        Ok(Ranking { ranked: records.into_iter().map(ranked).collect::<Result<_>>()?, ..Ranking::default() })
    }
}
