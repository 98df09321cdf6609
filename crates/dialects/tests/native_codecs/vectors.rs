//! Vectors, asked and answered.

use gatewright_core::{
    Dialect, Embedded, Embedding, EmbeddingCodec, EmbeddingInput, Encoding, Losses, ModelFacts, Usage,
};
use gatewright_dialects::of;
use serde_json::{Value, json};

use super::{json as parsed, lost, style};

fn cohere() -> &'static dyn EmbeddingCodec {
    of(Dialect::CohereChat).embeddings().unwrap()
}

fn ollama() -> &'static dyn EmbeddingCodec {
    of(Dialect::OllamaChat).embeddings().unwrap()
}

fn texts(texts: &[&str]) -> Vec<EmbeddingInput> {
    texts.iter().map(|text| EmbeddingInput::Text((*text).to_owned())).collect()
}

fn written(codec: &dyn EmbeddingCodec, asked: &Embedding, model: &str) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let model = ModelFacts { name: model.into(), ..ModelFacts::default() };
    let body = codec.encode_request(asked, &model, &mut losses).unwrap();
    (serde_json::from_slice(&body).unwrap(), lost(losses))
}

#[test]
fn cohere_is_told_what_vectors_are_for() {
    for (purpose, word) in [
        (None, "search_document"),
        (Some("search_query"), "search_query"),
        (Some("RETRIEVAL_QUERY"), "search_query"),
        (Some("document"), "search_document"),
        (Some("clustering"), "clustering"),
    ] {
        let asked = Embedding {
            inputs: texts(&["a", "b"]),
            purpose: purpose.map(str::to_owned),
            dimensions: Some(256),
            ..Embedding::default()
        };
        let (body, lost) = written(cohere(), &asked, "embed-v4.0");
        let wanted = json!({"model": "embed-v4.0", "texts": ["a", "b"], "input_type": word,
                            "embedding_types": ["float"], "output_dimension": 256});
        assert_eq!((body, lost), (wanted, vec![]), "{purpose:?}");
    }
    let older = Embedding { inputs: texts(&["a"]), dimensions: Some(256), ..Embedding::default() };
    assert_eq!(written(cohere(), &older, "embed-english-v3.0").1, ["dimensions"]);
    assert_eq!(cohere().most_inputs("embed-v4.0"), 96);
}

#[test]
fn pictures_and_mixtures_stand_in_fields_of_their_own() {
    let picture = EmbeddingInput::Image("data:image/png;base64,QQ==".to_owned());
    let alone = Embedding { inputs: vec![picture.clone()], ..Embedding::default() };
    let (body, _) = written(cohere(), &alone, "embed-v4.0");
    assert_eq!(
        (&body["images"][0], &body["input_type"]),
        (&json!("data:image/png;base64,QQ=="), &json!("image"))
    );
    let mixed = Embedding { inputs: [texts(&["a"]), vec![picture]].concat(), ..Embedding::default() };
    let (body, _) = written(cohere(), &mixed, "embed-v4.0");
    assert_eq!(body["inputs"][0]["content"], json!([{"type": "text", "text": "a"}]));
    let url = json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}]);
    assert_eq!(body["inputs"][1]["content"], url);
    assert_eq!(cohere().decode_request(&parsed(&body)).unwrap().inputs, mixed.inputs);
    assert!(ollama().encode_request(&mixed, &ModelFacts::default(), &mut Losses::default()).is_err());
    let tokens = Embedding { inputs: vec![EmbeddingInput::Tokens(vec![1])], ..Embedding::default() };
    for codec in [cohere(), ollama()] {
        assert!(codec.encode_request(&tokens, &ModelFacts::default(), &mut Losses::default()).is_err());
    }
}

#[test]
fn what_is_read_written_and_read_again_is_the_same() {
    for (codec, body) in [
        (cohere(), json!({"model": "m", "texts": ["a"], "input_type": "clustering", "truncate": "END"})),
        (ollama(), json!({"model": "m", "input": ["a"], "dimensions": 3, "keep_alive": "1m"})),
    ] {
        let once = codec.decode_request(&parsed(&body)).unwrap();
        let (again, lost) = written(codec, &once, "m");
        assert_eq!((codec.decode_request(&parsed(&again)).unwrap(), lost), (once, vec![]));
    }
    let one = ollama().decode_request(&parsed(&json!({"input": "a"}))).unwrap();
    assert_eq!(one.inputs, texts(&["a"]));
}

#[test]
fn clients_of_cohere_choose_how_numbers_are_written() {
    let vectors = Embedded {
        vectors: vec![vec![1.0, -0.5]],
        usage: Some(Usage { input: 7, cache_in_input: true, ..Usage::default() }),
        ..Embedded::default()
    };
    let told = |encoding| -> Value {
        serde_json::from_slice(&cohere().encode_reply(&vectors, encoding, &style())).unwrap()
    };
    assert_eq!(told(Encoding::Float)["embeddings"], json!({"float": [[1.0, -0.5]]}));
    assert_eq!(told(Encoding::Base64)["embeddings"], json!({"base64": ["AACAPwAAAL8="]}));
    assert_eq!(told(Encoding::Float)["meta"]["billed_units"]["input_tokens"], 7);
    for (types, encoding) in [(json!(["float"]), Some(Encoding::Float)), (json!(["int8"]), None)] {
        let asked = parsed(&json!({"texts": ["a"], "embedding_types": types}));
        assert_eq!(cohere().decode_request(&asked).map(|asked| asked.encoding).ok(), encoding);
    }
    assert!(cohere().decode_request(&parsed(&json!({"model": "m"}))).is_err());
}

#[test]
fn vectors_are_read_by_type_and_without_one() {
    let meta = json!({"billed_units": {"input_tokens": 3, "image_tokens": 4}});
    for embeddings in [json!({"float": [[1.5]]}), json!([[1.5]])] {
        let body = json!({"id": "a", "embeddings": embeddings, "meta": meta}).to_string();
        let embedded = cohere().decode_reply(body.as_bytes()).unwrap();
        let usage = embedded.usage.unwrap();
        assert_eq!((embedded.vectors, usage.input, usage.image_input), (vec![vec![1.5]], 7, 4));
        assert_eq!(cohere().relay_reply(body.into(), &style()).unwrap().usage, Some(usage));
    }
    assert!(cohere().decode_reply(b"{}").is_err());
}
