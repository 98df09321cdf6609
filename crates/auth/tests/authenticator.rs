//! Who gets in with which key.
#![cfg(test)]

use std::sync::Arc;

use gatewright_auth::{Asked, Authenticator, Credential, Settings};
use gatewright_core::{Caller, Result, Secret};
use http::{HeaderMap, HeaderValue, StatusCode};

const ASKED: Asked<'_> = Asked { path: "/v1/chat/completions", address: None };

fn settings(master_key: Option<&str>) -> Settings {
    Settings { master_key: master_key.map(Secret::from), ..Settings::default() }
}

async fn ask(authenticator: &Authenticator, key: Option<&str>) -> Result<Arc<Caller>> {
    let mut headers = HeaderMap::new();
    if let Some(key) = key {
        headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {key}")).unwrap());
    }
    let credential = Credential::from_parts(&headers, None, &settings(None));
    authenticator.authenticate(credential.as_ref(), &ASKED).await
}

async fn check(master_key: Option<&str>, key: Option<&str>, expected: Result<&str, &str>) {
    let caller = ask(&Authenticator::new(&settings(master_key)), key).await;
    match (caller, expected) {
        (Ok(caller), Ok(id)) => assert_eq!((&*caller.id, caller.admin), (id, true)),
        (Err(err), Err(message)) => {
            assert_eq!((err.status(), err.message()), (StatusCode::UNAUTHORIZED, message));
            assert_eq!(err.kind().openai_type(), "auth_error");
        }
        (caller, _) => panic!("{key:?}: {:?}", caller.map(|caller| caller.id.clone())),
    }
}

#[tokio::test]
async fn only_the_master_key_opens_where_there_are_no_others() {
    let master = Some("sk-master");
    check(master, Some("sk-master"), Ok("master")).await;
    check(Some("no-prefix"), Some("no-prefix"), Ok("master")).await;
    check(master, None, Err("Authentication Error, No api key passed in.")).await;
    for wrong in ["sk-maste", "sk-master2", "sk-Master", "sk-"] {
        check(master, Some(wrong), Err("Authentication Error, Invalid API key provided.")).await;
    }
    let unprefixed = "LiteLLM Virtual Key expected. Received=****, expected to start with 'sk-'.";
    check(master, Some("master"), Err(unprefixed)).await;
}

#[tokio::test]
async fn without_a_master_key_nobody_is_asked() {
    for none in [None, Some("")] {
        check(none, None, Ok("anonymous")).await;
        check(none, Some("sk-whatever"), Ok("anonymous")).await;
    }
}
