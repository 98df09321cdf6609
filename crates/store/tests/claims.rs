//! Of several that claim the same one does, until its time is over.
#![cfg(test)]

mod support;

use std::time::Duration;

use support::{Base, on_all};

const DAY: Duration = Duration::from_secs(86_400);

async fn of_several_one_claims_a_name(base: Base) {
    let store = base.open().await;
    let claim = async || store.claim("report", DAY).await.unwrap();
    let (a, b, c, d) = tokio::join!(claim(), claim(), claim(), claim());
    assert_eq!([a, b, c, d].iter().filter(|claimed| **claimed).count(), 1);
    assert!(store.claim("another", DAY).await.unwrap());
}

async fn a_claim_whose_time_is_over_is_free(base: Base) {
    let store = base.open().await;
    assert!(store.claim("report", Duration::ZERO).await.unwrap());
    assert!(store.claim("report", DAY).await.unwrap());
    assert!(!store.claim("report", DAY).await.unwrap());
}

on_all!(of_several_one_claims_a_name, a_claim_whose_time_is_over_is_free);
