//! Vectors for texts: what is asked, what is answered, and what a dialect must do for both.

use bytes::Bytes;

use crate::chat::Extra;
use crate::{Frame, Json, Losses, ModelFacts, ReplyStyle, Result, Usage};

/// A request for vectors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embedding {
    /// What is embedded, one vector each.
    pub inputs: Vec<EmbeddingInput>,
    /// How long the vectors shall be, where the model leaves that open.
    pub dimensions: Option<u64>,
    /// How the client reads the numbers.
    pub encoding: Encoding,
    /// What the vectors are for (Cohere's `input_type`, Gemini's `taskType`), in the client's word.
    pub purpose: Option<String>,
    /// The end user's name, for the provider's abuse checks.
    pub user: Option<String>,
    /// Fields that only one dialect knows, by their names there.
    pub extra: Extra,
}

/// One thing that is embedded.
#[derive(Clone, Debug, PartialEq)]
pub enum EmbeddingInput {
    /// A text.
    Text(String),
    /// A text in the model's own tokens.
    Tokens(Vec<u32>),
    /// A picture: a `data:` URL or the address of one.
    Image(String),
}

/// How vectors are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// As JSON numbers.
    #[default]
    Float,
    /// As base64 of little-endian 32-bit floats.
    Base64,
}

/// The vectors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embedded {
    /// The model as the provider names it; empty where it does not say.
    pub model: String,
    /// One vector an input, in the order of the inputs.
    pub vectors: Vec<Vec<f32>>,
    /// What it used, where the provider says so.
    pub usage: Option<Usage>,
}

/// How a dialect asks for vectors and answers with them.
pub trait EmbeddingCodec: Send + Sync + 'static {
    /// How many inputs one request may have; more are asked for in several.
    fn most_inputs(&self, model: &str) -> usize;

    /// Reads a client's request.
    fn decode_request(&self, body: &Json) -> Result<Embedding>;

    /// Writes a request for an upstream. What cannot be carried is told to `losses`.
    fn encode_request(&self, asked: &Embedding, model: &ModelFacts, losses: &mut Losses) -> Result<Bytes>;

    /// Reads an upstream's answer.
    fn decode_reply(&self, body: &[u8]) -> Result<Embedded>;

    /// Writes an answer for a client.
    fn encode_reply(&self, answer: &Embedded, encoding: Encoding, style: &ReplyStyle) -> Bytes;

    /// Edits an answer of this dialect for a client of this dialect, and peeks its usage.
    fn relay_reply(&self, body: Bytes, style: &ReplyStyle) -> Result<Frame>;
}
