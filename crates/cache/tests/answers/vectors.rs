//! Vectors are kept one by one: of a list, only what is missing goes upstream.

use std::sync::Arc;

use gatewright_cache::Settings;
use gatewright_core::{Call, Dialect, Operation};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, yield_now};

use crate::stage::{Say, Stage, Upstream, call_in, read};

fn asking(body: Value) -> Call {
    call_in(Dialect::OpenAiChat, Operation::Embeddings, "k", &body.to_string())
}

/// What a call is told: the first number of each vector, its usage, whether it is a hit, and the tokens that are counted.
async fn vectors(stage: &'static Stage, body: Value) -> (Vec<u64>, u64, bool, u64) {
    let reply = stage.ask(asking(body)).await.unwrap();
    let hit = reply.head.cached.as_ref().unwrap().hit;
    let counted = reply.frames.peek_one().unwrap().usage.unwrap().input;
    let told: Value = serde_json::from_str(&read(reply.frames).await).unwrap();
    let numbers = told["data"].as_array().unwrap().iter().enumerate().map(|(at, item)| {
        assert_eq!(item["index"], json!(at));
        item["embedding"][0].as_u64().unwrap()
    });
    assert_eq!(told["model"], json!("m"));
    (numbers.collect(), told["usage"]["prompt_tokens"].as_u64().unwrap(), hit, counted)
}

#[tokio::test]
async fn only_what_is_missing_goes_upstream() {
    let stage = Stage::local(Settings::default(), Upstream::saying([Say::Vectors])).leak();
    let ask = async |body| vectors(stage, body).await;
    assert_eq!(ask(json!({"input": ["a", "bb"]})).await, (vec![1, 2], 3, false, 3));
    assert_eq!(ask(json!({"input": ["ccc", "a", "dddd", "bb"]})).await, (vec![3, 1, 4, 2], 10, false, 7));
    assert_eq!(*stage.up.inputs.lock(), [r#"["a","bb"]"#, r#"["ccc","dddd"]"#]);
    assert_eq!(ask(json!({"input": ["bb", "ccc", "bb"]})).await, (vec![2, 3, 2], 7, true, 7));
    assert_eq!(ask(json!({"input": "dddd"})).await, (vec![4], 4, true, 4), "a text is a list of one");
    assert_eq!(stage.up.count(), 2);
    // Vectors of another size are others.
    assert!(!ask(json!({"input": ["a"], "dimensions": 2})).await.2);
    // Parts of what each answer cost: by the length of the texts as they are written.
    assert_eq!(stage.figures.snapshot().saved.0, (428 + 572) + (572 + 454 + 572) + 546);
}

#[tokio::test]
async fn the_numbers_stay_as_they_were_written() {
    let body =
        r#"{"data":[{"index":0,"embedding":[0.10,1e-7]}],"usage":{"prompt_tokens":1,"total_tokens":1}}"#;
    let stage = Stage::local(Settings::default(), Upstream::saying([Say::Whole(body)])).leak();
    assert_eq!(stage.told(asking(json!({"input": "x"}))).await.0, body);
    assert!(stage.told(asking(json!({"input": "x"}))).await.0.contains("[0.10,1e-7]"));
}

#[tokio::test]
async fn an_answer_that_cannot_be_taken_apart_passes() {
    let stage = Stage::local(Settings::default(), Upstream::saying([Say::Whole("[]")])).leak();
    for _ in 0..2 {
        assert_eq!(stage.told(asking(json!({"input": ["x", "y"]}))).await, ("[]".into(), false));
    }
    assert_eq!(stage.up.count(), 2);
}

#[tokio::test]
async fn the_rest_that_cannot_be_had_by_itself_is_asked_for_with_all() {
    let says = [Say::Vectors, Say::Fallback("{}"), Say::Vectors];
    let stage = Stage::local(Settings::default(), Upstream::saying(says)).leak();
    vectors(stage, json!({"input": ["a"]})).await;
    let told = vectors(stage, json!({"input": ["a", "bb"]})).await;
    assert_eq!(told, (vec![1, 2], 3, false, 3));
    assert_eq!(*stage.up.inputs.lock(), [r#"["a"]"#, r#"["bb"]"#, r#"["a","bb"]"#]);
}

#[tokio::test]
async fn identical_lists_on_their_way_are_one() {
    let gate = Arc::new(Semaphore::new(0));
    let stage = Stage::local(Settings::default(), Upstream::saying([Say::Vectors]).behind(&gate)).leak();
    let mut crowd = JoinSet::new();
    for _ in 0..100 {
        crowd.spawn(vectors(stage, json!({"input": ["a", "bb"]})));
    }
    for _ in 0..64 {
        yield_now().await;
    }
    gate.add_permits(100);
    let got = crowd.join_all().await;
    assert!(got.iter().all(|got| got.0 == [1, 2]));
    assert_eq!(stage.up.count(), 1);
}

#[tokio::test]
async fn other_dialects_keep_their_answers_whole() {
    let stage = Stage::local(Settings::default(), Upstream::saying([Say::Whole("x")])).leak();
    let asked = || call_in(Dialect::Gemini, Operation::Embeddings, "k", r#"{"requests":[]}"#);
    assert!(!stage.told(asked()).await.1);
    assert!(stage.told(asked()).await.1);
    // One text in tokens is no list.
    let tokens = || asking(json!({"input": [1, 2, 3]}));
    assert!(!stage.told(tokens()).await.1);
    assert!(stage.told(tokens()).await.1);
}
