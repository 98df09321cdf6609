//! Vectors: `/v2/embed`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gatewright_core::chat::Extra;
use gatewright_core::{
    Embedded, Embedding, EmbeddingCodec, Encoding, Error, ErrorKind, Frame, Json, Losses, ModelFacts,
    ReplyStyle, Result,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::embedding_input::{self, Given};
use super::reply_decode::malformed;
use super::usage::UsageIn;
use crate::json::{json, tells};

/// The codec of `/v2/embed`.
pub(super) struct Embeddings;

/// What a vector is for where nobody says it; LiteLLM's choice.
const DOCUMENT: &str = "search_document";

/// What the API knows beside the common fields.
const OWN_FIELDS: [&str; 3] = ["max_tokens", "priority", "truncate"];

/// What other makers call the purposes.
const PURPOSES: [(&str, &str); 10] = [
    ("RETRIEVAL_DOCUMENT", DOCUMENT),
    ("RETRIEVAL_QUERY", QUERY),
    ("QUESTION_ANSWERING", QUERY),
    ("CLASSIFICATION", "classification"),
    ("CLUSTERING", "clustering"),
    ("retrieval.passage", DOCUMENT),
    ("retrieval.query", QUERY),
    ("document", DOCUMENT),
    ("passage", DOCUMENT),
    ("query", QUERY),
];

const QUERY: &str = "search_query";

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    #[serde(flatten)]
    inputs: Given<'a>,
    input_type: &'a str,
    embedding_types: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimension: Option<u64>,
    #[serde(flatten)]
    extra: std::collections::BTreeMap<&'a str, &'a Value>,
}

#[derive(Deserialize)]
struct Reply {
    embeddings: Vectors,
    meta: Option<UsageIn>,
}

/// By type; an older answer gives the numbers alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Vectors {
    Typed { float: Vec<Vec<f32>> },
    Plain(Vec<Vec<f32>>),
}

#[derive(Serialize)]
struct ReplyOut<'a> {
    id: &'a str,
    response_type: &'static str,
    embeddings: VectorsOut<'a>,
    meta: MetaOut,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum VectorsOut<'a> {
    Float(&'a [Vec<f32>]),
    Base64(Vec<String>),
}

#[derive(Serialize)]
struct MetaOut {
    api_version: Version,
    billed_units: Billed,
}

#[derive(Serialize)]
struct Version {
    version: &'static str,
}

#[derive(Serialize)]
struct Billed {
    input_tokens: u64,
}

impl EmbeddingCodec for Embeddings {
    fn most_inputs(&self, _model: &str) -> usize {
        96
    }

    fn decode_request(&self, body: &Json) -> Result<Embedding> {
        let mut asked = Embedding { inputs: embedding_input::read(body)?, ..Embedding::default() };
        for key in body.keys() {
            match &*key {
                "model" | "texts" | "images" | "inputs" => {}
                "input_type" => asked.purpose = body.string(&key)?.map(Into::into),
                "output_dimension" => asked.dimensions = body.get(&key)?,
                "embedding_types" => asked.encoding = encoding(body.get(&key)?)?,
                _ => {
                    if let Some(value) = body.get(&key)? {
                        asked.extra.insert(key.into_owned(), value);
                    }
                }
            }
        }
        Ok(asked)
    }

    fn encode_request(&self, asked: &Embedding, model: &ModelFacts, losses: &mut Losses) -> Result<Bytes> {
        let inputs = Given::new(&asked.inputs)?;
        // Models before the fourth have one length.
        let has_lengths = !["-v3.0", "-v2.0"].iter().any(|version| model.name.ends_with(version));
        losses.add_if(asked.dimensions.is_some() && !has_lengths, "dimensions");
        losses.add_if(asked.user.is_some(), "user");
        Ok(json(&Request {
            model: &model.name,
            input_type: purpose(asked.purpose.as_deref(), &inputs),
            inputs,
            embedding_types: ["float"],
            output_dimension: asked.dimensions.filter(|_| has_lengths),
            extra: own_fields(&asked.extra, losses),
        }))
    }

    fn decode_reply(&self, body: &[u8]) -> Result<Embedded> {
        let Reply { embeddings, meta } = serde_json::from_slice(body).map_err(|err| malformed(&err))?;
        let vectors = match embeddings {
            Vectors::Typed { float } => float,
            Vectors::Plain(vectors) => vectors,
        };
        Ok(Embedded { model: String::new(), vectors, usage: meta.as_ref().map(UsageIn::of_meta) })
    }

    fn encode_reply(&self, answer: &Embedded, encoding: Encoding, style: &ReplyStyle) -> Bytes {
        let input_tokens = answer.usage.map_or(0, |usage| usage.total_input());
        json(&ReplyOut {
            id: &style.attempt.to_string(),
            response_type: "embeddings_by_type",
            embeddings: match encoding {
                Encoding::Float => VectorsOut::Float(&answer.vectors),
                Encoding::Base64 => {
                    VectorsOut::Base64(answer.vectors.iter().map(|vector| packed(vector)).collect())
                }
            },
            meta: MetaOut { api_version: Version { version: "2" }, billed_units: Billed { input_tokens } },
        })
    }

    fn relay_reply(&self, body: Bytes, _style: &ReplyStyle) -> Result<Frame> {
        #[derive(Deserialize)]
        struct Peeked {
            #[serde(rename = "embeddings")]
            _embeddings: serde::de::IgnoredAny,
            meta: Option<UsageIn>,
        }
        let Peeked { meta, .. } = serde_json::from_slice(&body).map_err(|err| malformed(&err))?;
        let content = u32::try_from(body.len()).unwrap_or(u32::MAX);
        Ok(Frame { data: body, usage: meta.as_ref().map(UsageIn::of_meta), content, last: true })
    }
}

/// Numbers of fewer bits are the provider's own business.
fn encoding(types: Option<Vec<String>>) -> Result<Encoding> {
    match types.as_deref() {
        None | Some([]) => Ok(Encoding::Float),
        Some([only]) if only == "float" => Ok(Encoding::Float),
        Some([only]) if only == "base64" => Ok(Encoding::Base64),
        Some(_) => {
            Err(unsupported("the provider has vectors of type float or base64, and of one type at a time"))
        }
    }
}

/// In the API's words; what is no known word goes on as it is.
fn purpose<'a>(asked: Option<&'a str>, inputs: &Given<'_>) -> &'a str {
    match (asked, inputs) {
        (Some(word), _) => PURPOSES.iter().find(|(theirs, _)| *theirs == word).map_or(word, |(_, own)| own),
        (None, Given::Images(_)) => "image",
        (None, _) => DOCUMENT,
    }
}

fn own_fields<'a>(extra: &'a Extra, losses: &mut Losses) -> std::collections::BTreeMap<&'a str, &'a Value> {
    let (own, others): (Vec<_>, Vec<_>) =
        extra.iter().partition(|(key, _)| OWN_FIELDS.contains(&key.as_str()));
    for (key, _) in others.into_iter().filter(|(_, value)| tells(value)) {
        losses.add(key.clone());
    }
    own.into_iter().map(|(key, value)| (key.as_str(), value)).collect()
}

fn packed(vector: &[f32]) -> String {
    STANDARD.encode(vector.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())
}

/// What the provider, or the other dialect, does not have.
pub(super) fn unsupported(words: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, words)
}
