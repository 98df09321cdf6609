//! Documents by how well they answer a question: what is asked, what is answered, and what a dialect must do for both.

use bytes::Bytes;
use serde_json::Value;

use crate::chat::Extra;
use crate::{Frame, Json, Losses, ModelFacts, ReplyStyle, Result, Usage};

/// A request to rank documents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rerank {
    /// The question.
    pub query: String,
    /// Texts, or objects with fields of text.
    pub documents: Vec<Value>,
    /// How many of the best are answered; all where nothing is said.
    pub top_n: Option<u64>,
    /// Which fields of a document count, where documents are objects.
    pub rank_fields: Option<Vec<String>>,
    /// Whether the answer repeats the documents.
    pub return_documents: Option<bool>,
    /// How much of a document is read, in chunks.
    pub max_chunks_per_doc: Option<u64>,
    /// How much of a document is read, in tokens.
    pub max_tokens_per_doc: Option<u64>,
    /// Fields that only one dialect knows, by their names there.
    pub extra: Extra,
}

// === impl Rerank ===

impl Rerank {
    /// The documents as texts. Of an object the fields count that the client names, else its `text`, else all of it; several
    /// fields are a line each.
    pub fn texts(&self) -> Vec<String> {
        self.documents.iter().map(|document| self.text(document)).collect()
    }

    fn text(&self, document: &Value) -> String {
        let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let Value::Object(fields) = document else { return plain(document) };
        let line = |(key, value): (&String, &Value)| format!("{key}: {}", plain(value));
        match (&self.rank_fields, fields.get("text")) {
            (Some(named), _) => {
                let named = named.iter().filter_map(|key| fields.get_key_value(key));
                named.map(line).collect::<Vec<_>>().join("\n")
            }
            (None, Some(text)) => plain(text),
            (None, None) => fields.iter().map(line).collect::<Vec<_>>().join("\n"),
        }
    }
}

/// The documents, best first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranking {
    /// The provider's id of the answer; empty where it gives none.
    pub id: String,
    /// The documents that were asked for, best first.
    pub ranked: Vec<Ranked>,
    /// What it used, where the provider says so.
    pub usage: Option<Usage>,
}

/// One document's place.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// Which of the request's documents.
    pub index: u64,
    /// How well it answers the question; the scale is the model's.
    pub score: f64,
    /// The document, where the answer repeats it.
    pub document: Option<Value>,
}

// === impl Ranking ===

impl Ranking {
    /// Keeps no more than the best, where the provider answered all.
    pub fn keep(&mut self, most: Option<u64>) {
        let most = most.and_then(|most| usize::try_from(most).ok());
        self.ranked.truncate(most.unwrap_or(usize::MAX));
    }

    /// Repeats the documents of the request, where the provider does not.
    pub fn repeat(&mut self, documents: &[Value]) {
        for ranked in self.ranked.iter_mut().filter(|ranked| ranked.document.is_none()) {
            let index = usize::try_from(ranked.index).unwrap_or(usize::MAX);
            ranked.document = documents.get(index).cloned();
        }
    }
}

/// How an upstream is asked for a ranking.
pub trait Rank: Send + Sync + 'static {
    /// Writes a request. What cannot be carried is told to `losses`.
    fn encode_request(&self, asked: &Rerank, model: &ModelFacts, losses: &mut Losses) -> Result<Bytes>;

    /// Reads an upstream's answer.
    fn decode_reply(&self, body: &[u8]) -> Result<Ranking>;
}

/// How a dialect asks for a ranking and answers with one.
pub trait RerankCodec: Rank {
    /// Reads a client's request.
    fn decode_request(&self, body: &Json) -> Result<Rerank>;

    /// Writes an answer for a client.
    fn encode_reply(&self, answer: &Ranking, style: &ReplyStyle) -> Bytes;

    /// Edits an answer of this dialect for a client of this dialect, and peeks its usage.
    fn relay_reply(&self, body: Bytes, style: &ReplyStyle) -> Result<Frame>;
}

/// The forms in which providers rank that do so in another form than their dialect's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RankingForm {
    /// Cohere's, version 2.
    Cohere,
    /// That of Amazon Bedrock's agent runtime.
    Bedrock,
    /// That of Hugging Face's Text Embeddings Inference.
    Tei,
    /// That of NVIDIA's retrieval models.
    Nvidia,
    /// That of Google's Discovery Engine.
    Vertex,
}
