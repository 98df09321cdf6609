//! Rankings, in Cohere's form and in Jina's.

use gatewright_core::{Dialect, Losses, RerankCodec};
use gatewright_dialects::of;
use serde_json::{Value, json};

use super::{json as parsed, lost, style, thinker};

fn codec(dialect: Dialect) -> &'static dyn RerankCodec {
    of(dialect).rerank().unwrap()
}

fn written(dialect: Dialect, body: &Value) -> (Value, Vec<String>) {
    let asked = codec(Dialect::CohereChat).decode_request(&parsed(body)).unwrap();
    let mut losses = Losses::default();
    let body = codec(dialect).encode_request(&asked, &thinker(), &mut losses).unwrap();
    (serde_json::from_slice(&body).unwrap(), lost(losses))
}

#[test]
fn documents_are_texts_upstream() {
    let body = json!({"query": "q", "documents": ["a", {"text": "b", "n": 1}, {"title": "c", "year": 2}], "top_n": 2});
    for dialect in [Dialect::CohereChat, Dialect::OpenAiChat] {
        let (sent, lost) = written(dialect, &body);
        assert_eq!(sent["documents"], json!(["a", "b", "title: c\nyear: 2"]));
        assert_eq!(
            (&sent["model"], &sent["query"], &sent["top_n"]),
            (&json!("up-model"), &json!("q"), &json!(2))
        );
        assert_eq!(lost, [""; 0]);
    }
    let fields =
        json!({"query": "q", "documents": [{"a": "1", "b": "2", "c": "3"}], "rank_fields": ["c", "a"]});
    assert_eq!(written(Dialect::CohereChat, &fields).0["documents"], json!(["c: 3\na: 1"]));
}

#[test]
fn limits_that_an_upstream_does_not_know_are_losses() {
    let body = json!({"query": "q", "documents": ["a"], "max_chunks_per_doc": 1, "max_tokens_per_doc": 9});
    assert_eq!(written(Dialect::CohereChat, &body).1, ["max_chunks_per_doc"]);
    assert_eq!(written(Dialect::OpenAiChat, &body).1, ["max_chunks_per_doc", "max_tokens_per_doc"]);
}

#[test]
fn answers_are_read_in_every_form_and_written_in_coheres() {
    // https://docs.cohere.com/reference/rerank, https://api.jina.ai/docs, https://docs.voyageai.com/reference/reranker-api
    let result = json!({"index": 3, "relevance_score": 0.999_071});
    let cohere = json!({"id": "a", "results": [result], "meta": {"billed_units": {"search_units": 2}}});
    let jina = json!({"model": "j", "usage": {"total_tokens": 815}, "results": [
        {"index": 3, "relevance_score": 0.999_071, "document": {"text": "d"}}]});
    let voyage = json!({"object": "list", "data": [result], "model": "v", "usage": {"total_tokens": 26}});
    for (dialect, body, searches, tokens) in [
        (Dialect::CohereChat, cohere, 2, 0),
        (Dialect::OpenAiChat, jina, 0, 815),
        (Dialect::OpenAiChat, voyage, 0, 26),
    ] {
        let ranking = codec(dialect).decode_reply(body.to_string().as_bytes()).unwrap();
        let usage = ranking.usage.unwrap();
        assert_eq!((usage.search_units, usage.input), (searches, tokens));
        assert_eq!((ranking.ranked[0].index, ranking.ranked[0].score), (3, 0.999_071));
        let told = codec(Dialect::CohereChat).encode_reply(&ranking, &style());
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!(told["results"][0]["relevance_score"], 0.999_071);
        let billed = match searches {
            0 => json!({"total_tokens": tokens}),
            _ => json!({"search_units": searches}),
        };
        assert_eq!(told["meta"]["billed_units"], billed);
        assert!(codec(dialect).decode_reply(b"{}").is_err());
    }
}
