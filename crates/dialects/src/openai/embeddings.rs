//! Embeddings, as OpenAI and the compatible providers ask for them and answer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use gatewright_core::chat::Extra;
use gatewright_core::{
    Embedded, Embedding, EmbeddingCodec, EmbeddingInput, Encoding, Error, ErrorKind, Frame, Json, JsonLimits,
    Losses, ModelFacts, ReplyStyle, Result, Usage,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::usage;

/// How many inputs OpenAI takes at once (its API reference, `input`).
const MOST_INPUTS: usize = 2048;

/// The codec of OpenAI's embeddings.
pub(super) struct Embeddings;

/// An answer as it comes.
#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    model: Option<String>,
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    index: Option<usize>,
    embedding: Vector,
}

/// A vector in either form; servers answer in one of them whatever was asked for.
#[derive(Deserialize)]
#[serde(untagged)]
enum Vector {
    Base64(String),
    Float(Vec<f32>),
}

impl EmbeddingCodec for Embeddings {
    fn most_inputs(&self, _model: &str) -> usize {
        MOST_INPUTS
    }

    fn decode_request(&self, body: &Json) -> Result<Embedding> {
        let mut extra = Extra::new();
        for field in body.fields() {
            if !matches!(
                &*field.key,
                "model" | "input" | "dimensions" | "encoding_format" | "input_type" | "user"
            ) {
                extra.insert(field.key.into_owned(), serde_json::from_slice(field.raw).unwrap_or_default());
            }
        }
        let encoding = match body.string("encoding_format")?.as_deref() {
            None | Some("float") => Encoding::Float,
            Some("base64") => Encoding::Base64,
            Some(_) => return Err(wrong("encoding_format", "must be 'float' or 'base64'")),
        };
        Ok(Embedding {
            inputs: inputs(body.get("input")?.unwrap_or_default())?,
            dimensions: body.get("dimensions")?,
            encoding,
            purpose: body.string("input_type")?.map(Into::into),
            user: body.string("user")?.map(Into::into),
            extra,
        })
    }

    fn encode_request(&self, asked: &Embedding, model: &ModelFacts, losses: &mut Losses) -> Result<Bytes> {
        let mut body: Map<String, Value> = Map::new();
        body.insert("model".to_owned(), (*model.name).into());
        body.insert("input".to_owned(), written(&asked.inputs)?);
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(name.to_owned(), value);
            }
        };
        set("dimensions", asked.dimensions.map(Value::from));
        set("encoding_format", (asked.encoding == Encoding::Base64).then(|| "base64".into()));
        set("user", asked.user.as_deref().map(Value::from));
        losses.add_if(asked.purpose.is_some(), "input_type");
        asked.extra.keys().for_each(|field| losses.add(field.clone()));
        Ok(Value::Object(body).to_string().into())
    }

    fn decode_reply(&self, body: &[u8]) -> Result<Embedded> {
        let wire: Wire = serde_json::from_slice(body).map_err(|err| unreadable(&err))?;
        let mut items: Vec<(usize, Vector)> = wire
            .data
            .into_iter()
            .enumerate()
            .map(|(at, item)| (item.index.unwrap_or(at), item.embedding))
            .collect();
        items.sort_by_key(|(index, _)| *index);
        let vectors = items.into_iter().map(|(_, vector)| vector.floats()).collect::<Result<_>>()?;
        Ok(Embedded { model: wire.model.unwrap_or_default(), vectors, usage: reported(body) })
    }

    fn encode_reply(&self, answer: &Embedded, encoding: Encoding, style: &ReplyStyle) -> Bytes {
        let usage = answer.usage.unwrap_or_default();
        let numbers = answer.vectors.iter().map(Vec::len).sum::<usize>();
        let mut out = BytesMut::with_capacity(numbers * 12 + answer.vectors.len() * 64 + 256);
        out.put_slice(br#"{"object":"list","data":["#);
        for (index, vector) in answer.vectors.iter().enumerate() {
            out.put_slice(if index == 0 {
                br#"{"object":"embedding","index":"#
            } else {
                br#",{"object":"embedding","index":"#
            });
            out.put_slice(index.to_string().as_bytes());
            out.put_slice(br#","embedding":"#);
            put_vector(vector, encoding, &mut out);
            out.put_u8(b'}');
        }
        let tail = json!({
            "model": &*style.model,
            "usage": {"prompt_tokens": usage.total_input(), "total_tokens": usage.total()},
        });
        out.put_slice(b"],");
        out.put_slice(tail.to_string().as_bytes().get(1..).unwrap_or_default());
        out.freeze()
    }

    fn relay_reply(&self, body: Bytes, style: &ReplyStyle) -> Result<Frame> {
        let mut json = Json::parse(body, JsonLimits::default())
            .map_err(|err| Error::new(ErrorKind::BadGateway, err.message().to_owned()))?;
        if json.raw("data").is_none() {
            return Err(Error::new(ErrorKind::BadGateway, "the answer has no 'data'"));
        }
        json.set_string("model", &style.model);
        let usage = json.raw("usage").and_then(usage::read);
        let data = json.to_bytes();
        let content = u32::try_from(data.len()).unwrap_or(u32::MAX);
        Ok(Frame { data, usage, content, last: true })
    }
}

impl Vector {
    fn floats(self) -> Result<Vec<f32>> {
        match self {
            Self::Float(floats) => Ok(floats),
            Self::Base64(text) => {
                let bytes = STANDARD.decode(text).map_err(|err| unreadable(&err))?;
                let (numbers, rest) = bytes.as_chunks::<4>();
                match rest {
                    [] => Ok(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect()),
                    _ => Err(Error::new(ErrorKind::BadGateway, "a vector of the answer is cut off")),
                }
            }
        }
    }
}

/// A text, texts, tokens, or lists of tokens.
fn inputs(value: Value) -> Result<Vec<EmbeddingInput>> {
    let tokens = |list: &[Value]| -> Option<Vec<u32>> {
        list.iter().map(|token| token.as_u64().and_then(|token| u32::try_from(token).ok())).collect()
    };
    let list = match value {
        Value::String(text) => return Ok(vec![EmbeddingInput::Text(text)]),
        Value::Array(list) if list.is_empty() => return Err(wrong("input", "is empty")),
        Value::Array(list) => list,
        _ => return Err(wrong("input", "must be a text, texts or tokens")),
    };
    if let Some(tokens) = tokens(&list) {
        return Ok(vec![EmbeddingInput::Tokens(tokens)]);
    }
    let input = |value: Value| match value {
        Value::String(text) => Some(EmbeddingInput::Text(text)),
        Value::Array(list) => tokens(&list).map(EmbeddingInput::Tokens),
        _ => None,
    };
    let inputs: Option<Vec<_>> = list.into_iter().map(input).collect();
    inputs.ok_or_else(|| wrong("input", "must be a text, texts or tokens"))
}

fn written(inputs: &[EmbeddingInput]) -> Result<Value> {
    let one = |input: &EmbeddingInput| match input {
        EmbeddingInput::Text(text) => Ok(Value::from(text.as_str())),
        EmbeddingInput::Tokens(tokens) => Ok(Value::from(tokens.clone())),
        EmbeddingInput::Image(_) => {
            Err(Error::new(ErrorKind::Unsupported, "this provider embeds texts only"))
        }
    };
    inputs.iter().map(one).collect()
}

fn put_vector(vector: &[f32], encoding: Encoding, out: &mut BytesMut) {
    match encoding {
        Encoding::Float => {
            let text = serde_json::to_vec(vector).unwrap_or_default();
            out.put_slice(&text);
        }
        Encoding::Base64 => {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            out.put_u8(b'"');
            out.put_slice(STANDARD.encode(bytes).as_bytes());
            out.put_u8(b'"');
        }
    }
}

fn reported(body: &[u8]) -> Option<Usage> {
    let json = Json::parse(Bytes::copy_from_slice(body), JsonLimits::default()).ok()?;
    json.raw("usage").and_then(usage::read)
}

fn wrong(field: &'static str, what: &str) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("'{field}' {what}")).with_param(field)
}

fn unreadable(err: &dyn std::error::Error) -> Error {
    Error::new(ErrorKind::BadGateway, "the answer cannot be read").with_detail(err.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OpenAI's API reference, "Create embeddings".
    const ANSWER: &str = r#"{"object":"list","data":[{"object":"embedding","index":1,"embedding":[0.25,-1]},{"object":"embedding","embedding":"AACAPgAAgL8=","index":0}],"model":"text-embedding-ada-002","usage":{"prompt_tokens":8,"total_tokens":8}}"#;

    fn asked(body: &str) -> Result<Embedding> {
        Embeddings.decode_request(&Json::parse(body.to_owned().into(), JsonLimits::default())?)
    }

    fn style() -> ReplyStyle {
        ReplyStyle {
            model: "alias".into(),
            include_usage: false,
            created: 0,
            attempt: gatewright_core::AttemptId::from_bytes([0; 16]),
            older_functions: false,
            asked: None,
        }
    }

    #[test]
    fn every_form_of_input_is_read_and_written_again() {
        for input in [r#""a""#, r#"["a","b"]"#, "[1,2]", "[[1,2],[3]]"] {
            let first =
                asked(&format!(r#"{{"model":"m","input":{input},"dimensions":3,"user":"u"}}"#)).unwrap();
            let model = ModelFacts { name: "m".into(), ..ModelFacts::default() };
            let bytes = Embeddings.encode_request(&first, &model, &mut Losses::default()).unwrap();
            let second =
                Embeddings.decode_request(&Json::parse(bytes, JsonLimits::default()).unwrap()).unwrap();
            assert_eq!(first, second, "{input}");
        }
        for (input, field) in [
            ("[]", "input"),
            ("[1,\"a\"]", "input"),
            ("{}", "input"),
            ("[-1]", "input"),
            ("[[1.5]]", "input"),
        ] {
            let err = asked(&format!(r#"{{"input":{input}}}"#)).unwrap_err();
            assert_eq!(err.param(), Some(field), "{input}");
        }
        assert_eq!(
            asked(r#"{"input":"a","encoding_format":"hex"}"#).unwrap_err().param(),
            Some("encoding_format")
        );
    }

    #[test]
    fn vectors_are_read_in_both_forms_and_in_the_order_of_their_inputs() {
        let answer = Embeddings.decode_reply(ANSWER.as_bytes()).unwrap();
        assert_eq!(answer.vectors, [vec![0.25, -1.0], vec![0.25, -1.0]]);
        assert_eq!(answer.usage.map(|usage| usage.total_input()), Some(8));
        for encoding in [Encoding::Float, Encoding::Base64] {
            let again =
                Embeddings.decode_reply(&Embeddings.encode_reply(&answer, encoding, &style())).unwrap();
            assert_eq!(again.vectors, answer.vectors);
            assert_eq!(again.model, "alias");
        }
        assert!(Embeddings.decode_reply(br#"{"data":[{"embedding":"AAA="}]}"#).is_err());
        assert!(Embeddings.decode_reply(b"{}").is_err());
    }

    #[test]
    fn an_answer_that_stays_in_the_dialect_keeps_its_numbers_to_the_digit() {
        let body = ANSWER.replace("0.25", "0.2500000001");
        let frame = Embeddings.relay_reply(body.clone().into(), &style()).unwrap();
        assert_eq!(frame.data, body.replace("text-embedding-ada-002", "alias"));
        assert_eq!(frame.usage.map(|usage| usage.total()), Some(8));
    }
}
