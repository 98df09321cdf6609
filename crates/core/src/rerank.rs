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

/// How a dialect asks for a ranking and answers with one.
pub trait RerankCodec: Send + Sync + 'static {
    /// Reads a client's request.
    fn decode_request(&self, body: &Json) -> Result<Rerank>;

    /// Writes a request for an upstream. What cannot be carried is told to `losses`.
    fn encode_request(&self, asked: &Rerank, model: &ModelFacts, losses: &mut Losses) -> Result<Bytes>;

    /// Reads an upstream's answer.
    fn decode_reply(&self, body: &[u8]) -> Result<Ranking>;

    /// Writes an answer for a client.
    fn encode_reply(&self, answer: &Ranking, style: &ReplyStyle) -> Bytes;

    /// Edits an answer of this dialect for a client of this dialect, and peeks its usage.
    fn relay_reply(&self, body: Bytes, style: &ReplyStyle) -> Result<Frame>;
}
