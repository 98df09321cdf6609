//! Vectors of Bedrock's models, which `invoke` answers in each maker's own words: Amazon's Titan one text a request, Cohere's
//! many.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html>

use bytes::Bytes;
use gatewright_core::{
    Embedded, Embedding, EmbeddingCodec, EmbeddingInput, Encoding, Error, ErrorKind, Frame, Json, Losses,
    ModelFacts, ReplyStyle, Result, Usage,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::anthropic::reply_decode::malformed;
use crate::json::object;

/// How Bedrock is asked for vectors.
pub(super) struct Vectors;

/// What Cohere's models take at once.
const MANY: usize = 96;

/// Either maker's answer: the fields that are there say whose it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    embedding: Option<Vec<f32>>,
    input_text_token_count: Option<u64>,
    embeddings: Option<Many>,
}

/// Vectors alone, or by the type of their numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Many {
    Floats(Vec<Vec<f32>>),
    ByType { float: Vec<Vec<f32>> },
}

impl EmbeddingCodec for Vectors {
    fn most_inputs(&self, model: &str) -> usize {
        if is_cohere(model) { MANY } else { 1 }
    }

    fn decode_request(&self, body: &Json) -> Result<Embedding> {
        let text = body.string("inputText")?.map(|text| vec![text.into_owned()]);
        let texts = text.or(body.get("texts")?).unwrap_or_default();
        let dimensions = body.get("dimensions")?.or(body.get("output_dimension")?);
        Ok(Embedding {
            inputs: texts.into_iter().map(EmbeddingInput::Text).collect(),
            dimensions,
            purpose: body.get("input_type")?,
            ..Embedding::default()
        })
    }

    fn encode_request(&self, asked: &Embedding, model: &ModelFacts, losses: &mut Losses) -> Result<Bytes> {
        losses.add_if(asked.user.as_ref().is_some_and(|user| !user.is_empty()), "user");
        let mut fields = match is_cohere(&model.name) {
            true => cohere(asked, &model.name, losses)?,
            false => titan(asked, &model.name, losses)?,
        };
        for (key, value) in &asked.extra {
            fields.entry(key).or_insert_with(|| value.clone());
        }
        Ok(object(&fields))
    }

    fn decode_reply(&self, body: &[u8]) -> Result<Embedded> {
        let reply: Reply = serde_json::from_slice(body).map_err(|err| malformed(&err))?;
        let vectors = match (reply.embedding, reply.embeddings) {
            (Some(vector), _) => vec![vector],
            (None, Some(Many::Floats(vectors) | Many::ByType { float: vectors })) => vectors,
            (None, None) => {
                return Err(Error::new(ErrorKind::BadGateway, "the provider's answer has no vectors"));
            }
        };
        let usage = reply.input_text_token_count.map(|input| Usage { input, ..Usage::default() });
        Ok(Embedded { model: String::new(), vectors, usage })
    }

    fn encode_reply(&self, answer: &Embedded, _encoding: Encoding, _style: &ReplyStyle) -> Bytes {
        let tokens = answer.usage.map_or(0, |usage| usage.input);
        let told = match answer.vectors.as_slice() {
            [vector] => json!({ "embedding": vector, "inputTextTokenCount": tokens }),
            vectors => json!({ "embeddings": vectors, "response_type": "embeddings_floats" }),
        };
        told.to_string().into()
    }

    fn relay_reply(&self, body: Bytes, _style: &ReplyStyle) -> Result<Frame> {
        let usage = self.decode_reply(&body)?.usage;
        let content = u32::try_from(body.len()).unwrap_or(u32::MAX);
        Ok(Frame { data: body, usage, content, last: true })
    }
}

fn is_cohere(model: &str) -> bool {
    model.contains("cohere.")
}

/// One text, or one picture beside it where the model sees.
fn titan(asked: &Embedding, model: &str, losses: &mut Losses) -> Result<Map<String, Value>> {
    let mut fields = Map::new();
    losses.add_if(asked.purpose.is_some(), "input_type");
    let [input] = asked.inputs.as_slice() else {
        return Err(unsupported("this model takes one input a request"));
    };
    match input {
        EmbeddingInput::Text(text) => drop(fields.insert("inputText".to_owned(), text.as_str().into())),
        EmbeddingInput::Image(url) => drop(fields.insert("inputImage".to_owned(), bytes_of(url)?.into())),
        EmbeddingInput::Tokens(_) => return Err(unsupported("Bedrock takes texts, not tokens")),
    }
    match asked.dimensions {
        Some(length) if model.contains("embed-image") => {
            fields.insert("embeddingConfig".to_owned(), json!({ "outputEmbeddingLength": length }));
        }
        Some(length) if model.contains("embed-text-v2") => {
            fields.insert("dimensions".to_owned(), length.into());
        }
        Some(_) => losses.add("dimensions"),
        None => {}
    }
    Ok(fields)
}

/// Texts or pictures; what they are for must be said.
fn cohere(asked: &Embedding, model: &str, losses: &mut Losses) -> Result<Map<String, Value>> {
    let mut fields = Map::new();
    let (mut texts, mut images): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for input in &asked.inputs {
        match input {
            EmbeddingInput::Text(text) => texts.push(text),
            EmbeddingInput::Image(url) => {
                bytes_of(url)?;
                images.push(url);
            }
            EmbeddingInput::Tokens(_) => return Err(unsupported("Bedrock takes texts, not tokens")),
        }
    }
    let usual = match (texts.is_empty(), images.is_empty()) {
        (false, false) => return Err(unsupported("this model takes texts or images in a request, not both")),
        // The newer model finds out by itself what is a picture.
        (true, false) if !model.contains("embed-v4") => "image",
        _ => "search_document",
    };
    for (key, list) in [("texts", texts), ("images", images)] {
        if !list.is_empty() {
            fields.insert(key.to_owned(), list.into());
        }
    }
    fields.insert("input_type".to_owned(), asked.purpose.as_deref().unwrap_or(usual).into());
    match asked.dimensions {
        Some(length) if model.contains("embed-v4") => {
            drop(fields.insert("output_dimension".to_owned(), length.into()))
        }
        Some(_) => losses.add("dimensions"),
        None => {}
    }
    Ok(fields)
}

/// The bytes of a `data:` URL, which are all that is taken of a picture.
fn bytes_of(url: &str) -> Result<&str> {
    let data = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    data.map(|(_, data)| data)
        .ok_or_else(|| unsupported("Bedrock takes the bytes of an image, not its address"))
}

fn unsupported(words: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, words).with_param("input")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(model: &str, asked: &Embedding) -> Result<(Value, Losses)> {
        let mut losses = Losses::default();
        let facts = ModelFacts { name: model.into(), ..ModelFacts::default() };
        let bytes = Vectors.encode_request(asked, &facts, &mut losses)?;
        Ok((serde_json::from_slice(&bytes).unwrap(), losses))
    }

    fn texts(texts: &[&str]) -> Embedding {
        let inputs = texts.iter().map(|text| EmbeddingInput::Text((*text).to_owned())).collect();
        Embedding { inputs, ..Embedding::default() }
    }

    #[test]
    fn each_model_is_asked_in_its_makers_words() {
        let sized = |asked: Embedding| Embedding { dimensions: Some(512), ..asked };
        let image =
            |url: &str| Embedding { inputs: vec![EmbeddingInput::Image(url.into())], ..Embedding::default() };
        let picture = "data:image/png;base64,QQ==";
        for (model, asked, body, lost) in [
            (
                "amazon.titan-embed-text-v1",
                sized(texts(&["a"])),
                json!({ "inputText": "a" }),
                vec!["dimensions"],
            ),
            (
                "amazon.titan-embed-text-v2:0",
                sized(texts(&["a"])),
                json!({ "inputText": "a", "dimensions": 512 }),
                vec![],
            ),
            (
                "amazon.titan-embed-image-v1",
                sized(image(picture)),
                json!({ "inputImage": "QQ==", "embeddingConfig": { "outputEmbeddingLength": 512 } }),
                vec![],
            ),
            (
                "cohere.embed-english-v3",
                texts(&["a", "b"]),
                json!({ "texts": ["a", "b"], "input_type": "search_document" }),
                vec![],
            ),
            (
                "cohere.embed-english-v3",
                image(picture),
                json!({ "images": [picture], "input_type": "image" }),
                vec![],
            ),
            (
                "us.cohere.embed-v4:0",
                Embedding { purpose: Some("clustering".into()), ..sized(texts(&["a"])) },
                json!({ "texts": ["a"], "input_type": "clustering", "output_dimension": 512 }),
                vec![],
            ),
        ] {
            let (told, losses) = encoded(model, &asked).unwrap();
            assert_eq!(
                (told, losses.into_fields()),
                (body, lost.into_iter().map(Into::into).collect()),
                "{model}"
            );
        }
        assert_eq!(Vectors.most_inputs("cohere.embed-english-v3"), 96);
        assert!(encoded("amazon.titan-embed-text-v1", &texts(&["a", "b"])).is_err());
        assert!(encoded("amazon.titan-embed-image-v1", &image("https://x/y.png")).is_err());
    }

    #[test]
    fn answers_of_both_makers_are_read() {
        for (body, vectors, tokens) in [
            (
                r#"{"embedding":[0.5,1],"inputTextTokenCount":3,"embeddingsByType":{"float":[0.5,1]}}"#,
                1,
                Some(3),
            ),
            (
                r#"{"id":"x","response_type":"embeddings_floats","embeddings":[[0.5,1],[2,3]],"texts":["a","b"]}"#,
                2,
                None,
            ),
            (r#"{"response_type":"embeddings_by_type","embeddings":{"float":[[0.5,1]]}}"#, 1, None),
        ] {
            let read = Vectors.decode_reply(body.as_bytes()).unwrap();
            assert_eq!((read.vectors.len(), read.vectors[0].as_slice()), (vectors, &[0.5, 1.0][..]));
            assert_eq!(read.usage.map(|usage| usage.input), tokens);
        }
        assert!(Vectors.decode_reply(b"{}").is_err());
    }
}
