//! Vectors: `/api/embed`.

use bytes::Bytes;
use gatewright_core::{
    Embedded, Embedding, EmbeddingCodec, EmbeddingInput, Encoding, Error, ErrorKind, Frame, Json, Losses,
    ModelFacts, ReplyStyle, Result,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::relay;
use super::reply_decode::malformed;
use super::words::Counts;
use crate::json::{json, object};
use crate::lost::write_own;

/// The codec of `/api/embed`.
pub(super) struct Embeddings;

/// What the API knows beside the common fields.
const OWN_FIELDS: [&str; 3] = ["keep_alive", "options", "truncate"];

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    model: String,
    embeddings: Vec<Vec<f32>>,
    prompt_eval_count: Option<u64>,
}

#[derive(Serialize)]
struct ReplyOut<'a> {
    model: &'a str,
    embeddings: &'a [Vec<f32>],
    prompt_eval_count: u64,
}

impl EmbeddingCodec for Embeddings {
    /// The server sets no limit.
    fn most_inputs(&self, _model: &str) -> usize {
        usize::MAX
    }

    fn decode_request(&self, body: &Json) -> Result<Embedding> {
        let mut asked = Embedding::default();
        for key in body.keys() {
            match &*key {
                "model" => {}
                "input" => {
                    let texts = match body.get(&key)? {
                        Some(Input::One(text)) => vec![text],
                        Some(Input::Many(texts)) => texts,
                        None => Vec::new(),
                    };
                    asked.inputs = texts.into_iter().map(EmbeddingInput::Text).collect();
                }
                "dimensions" => asked.dimensions = body.get(&key)?,
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
        let texts = asked.inputs.iter().map(|input| match input {
            EmbeddingInput::Text(text) => Ok(Value::from(text.as_str())),
            EmbeddingInput::Tokens(_) | EmbeddingInput::Image(_) => {
                Err(Error::new(ErrorKind::Unsupported, "the provider embeds texts alone"))
            }
        });
        let mut body = Map::new();
        body.insert("model".into(), (&*model.name).into());
        body.insert("input".into(), Value::Array(texts.collect::<Result<_>>()?));
        body.extend(asked.dimensions.map(|length| ("dimensions".to_owned(), length.into())));
        losses.add_if(asked.purpose.is_some(), "input_type");
        losses.add_if(asked.user.is_some(), "user");
        write_own(&asked.extra, &OWN_FIELDS, &mut body, losses);
        Ok(object(&body))
    }

    fn decode_reply(&self, body: &[u8]) -> Result<Embedded> {
        let Reply { model, embeddings, prompt_eval_count } =
            serde_json::from_slice(body).map_err(|err| malformed(&err))?;
        let usage = Counts { prompt_eval_count, eval_count: None }.usage();
        Ok(Embedded { model, vectors: embeddings, usage })
    }

    /// The dialect has numbers only.
    fn encode_reply(&self, answer: &Embedded, _encoding: Encoding, style: &ReplyStyle) -> Bytes {
        json(&ReplyOut {
            model: &style.model,
            embeddings: &answer.vectors,
            prompt_eval_count: answer.usage.map_or(0, |usage| usage.total_input()),
        })
    }

    fn relay_reply(&self, body: Bytes, style: &ReplyStyle) -> Result<Frame> {
        let counts: Counts = serde_json::from_slice(&body).map_err(|err| malformed(&err))?;
        let content = u32::try_from(body.len()).unwrap_or(u32::MAX);
        Ok(Frame { data: relay::renamed(&body, &style.model), usage: counts.usage(), content, last: true })
    }
}
