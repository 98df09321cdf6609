//! Vectors: `batchEmbedContents`, `embedContent` and Vertex's `predict`, also as they were recorded.

use std::io::Read as _;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use gatewright_core::{Embedding, EmbeddingCodec, EmbeddingInput, ErrorKind, Losses};
use serde_json::{Value, json};

use super::{codec, json as parsed, model, style};

fn vectors() -> &'static dyn EmbeddingCodec {
    codec().embeddings().unwrap()
}

#[test]
fn a_request_asks_for_each_text_under_the_models_name() {
    let asked = Embedding {
        inputs: vec![
            EmbeddingInput::Text("a".into()),
            EmbeddingInput::Image("data:image/png;base64,QQ==".into()),
        ],
        dimensions: Some(64),
        purpose: Some("search_query".into()),
        ..Embedding::default()
    };
    let mut losses = Losses::default();
    let body = vectors().encode_request(&asked, &model("gemini-embedding-001"), &mut losses).unwrap();
    let one = |part: Value| {
        json!({"model": "models/gemini-embedding-001", "content": {"parts": [part]},
               "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 64})
    };
    let image = json!({"inlineData": {"mimeType": "image/png", "data": "QQ=="}});
    let want = json!({"requests": [one(json!({"text": "a"})), one(image)]});
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body, want);
    assert!(losses.into_fields().is_empty());
    let again = vectors().decode_request(&parsed(&body)).unwrap();
    assert_eq!((again.inputs, again.dimensions), (asked.inputs, asked.dimensions));
}

#[test]
fn tokens_are_refused_because_the_model_reads_texts() {
    let asked = Embedding { inputs: vec![EmbeddingInput::Tokens(vec![1])], ..Embedding::default() };
    let err = vectors().encode_request(&asked, &model("m"), &mut Losses::default()).unwrap_err();
    assert_eq!((err.kind(), err.param()), (ErrorKind::Unsupported, Some("input")));
}

#[test]
fn every_form_of_an_answer_is_read() {
    for (body, want, input) in [
        (
            json!({"embeddings": [{"values": [1.0, 2.0]}, {"values": [3.0]}]}),
            vec![vec![1.0, 2.0], vec![3.0]],
            None,
        ),
        (
            json!({"embedding": {"values": [1.0]}, "usageMetadata": {"promptTokenCount": 4}}),
            vec![vec![1.0]],
            Some(4),
        ),
        (
            json!({"predictions": [{"embeddings": {"values": [0.5], "statistics": {"token_count": 3, "truncated": false}}}]}),
            vec![vec![0.5]],
            Some(3),
        ),
    ] {
        let read = vectors().decode_reply(body.to_string().as_bytes()).unwrap();
        assert_eq!((read.vectors, read.usage.map(|usage| usage.input)), (want, input), "{body}");
    }
}

/// The recordings are not part of the repository: `RECORDINGS` names their directory.
#[test]
fn recorded_vectors_are_read() {
    let Some(folder) = std::env::var_os("RECORDINGS") else { return };
    let file = std::fs::File::open(std::path::Path::new(&folder).join("gemini.embedding.jsonl.gz")).unwrap();
    let mut text = String::new();
    MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let body = case["upstream_response"]["body"]["text"].as_str().unwrap();
        let raw: Value = serde_json::from_str(body).unwrap();
        let list = raw["embeddings"].as_array().cloned().unwrap_or_else(|| vec![raw["embedding"].clone()]);
        let read = vectors().decode_reply(body.as_bytes()).unwrap();
        assert_eq!(read.vectors.len(), list.len(), "{}", case["id"]);
        for (vector, recorded) in read.vectors.iter().zip(&list) {
            let recorded: Vec<f32> = serde_json::from_value(recorded["values"].clone()).unwrap();
            assert_eq!(*vector, recorded, "{}", case["id"]);
        }
        let relayed = vectors().relay_reply(Bytes::from(body.to_owned()), &style()).unwrap();
        assert_eq!(relayed.data, body);
    }
}
