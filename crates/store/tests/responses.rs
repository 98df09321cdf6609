//! Answers that can be gone on from are found by their owner, until their time is over.
#![cfg(test)]

mod support;

use std::time::Duration;

use gatewright_store::StoredResponse;
use support::{Base, on_all};

const DAY: Duration = Duration::from_secs(86_400);

fn response(owner: &str, id: &str, told: Option<&str>) -> StoredResponse {
    let conversation = told.map(|told| ("[]".to_owned(), format!(r#"{{"id":"{id}","text":"{told}"}}"#)));
    StoredResponse { owner: owner.to_owned(), id: id.to_owned(), deployment: "d".to_owned(), conversation }
}

async fn an_answer_is_found_by_its_owner_alone(base: Base) {
    let store = base.open().await;
    let (mine, theirs) = (response("team:a", "resp_1", Some("é\\u0000")), response("team:b", "resp_1", None));
    for kept in [&mine, &theirs] {
        store.keep_response(kept, DAY).await.unwrap();
    }
    let find = async |owner: &str| store.response(owner, "resp_1").await.unwrap();
    assert_eq!((find("team:a").await, find("team:b").await), (Some(mine), Some(theirs.clone())));
    assert_eq!(find("team:c").await, None);
    store.forget_response("team:a", "resp_1").await.unwrap();
    assert_eq!((find("team:a").await, find("team:b").await), (None, Some(theirs)));
}

async fn an_answer_that_is_kept_anew_is_the_newer_one(base: Base) {
    let store = base.open().await;
    for told in ["old", "new"] {
        store.keep_response(&response("o", "resp_1", Some(told)), DAY).await.unwrap();
    }
    assert_eq!(store.response("o", "resp_1").await.unwrap(), Some(response("o", "resp_1", Some("new"))));
}

async fn an_answer_whose_time_is_over_is_gone(base: Base) {
    let store = base.open().await;
    store.keep_response(&response("o", "resp_1", None), Duration::ZERO).await.unwrap();
    assert_eq!(store.response("o", "resp_1").await.unwrap(), None);
    store.keep_response(&response("o", "resp_2", None), DAY).await.unwrap();
    assert!(store.response("o", "resp_2").await.unwrap().is_some());
}

on_all!(
    an_answer_is_found_by_its_owner_alone,
    an_answer_that_is_kept_anew_is_the_newer_one,
    an_answer_whose_time_is_over_is_gone
);
