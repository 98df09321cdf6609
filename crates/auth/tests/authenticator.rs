//! Who gets in, and what is asked of the place where keys are kept.
#![cfg(test)]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use gatewright_auth::{Asked, Authenticator, Credential, Holder, KeyHash, Keys, Record, Settings};
use gatewright_core::{Caller, Error, ErrorKind, Result, Secret, SystemClock};
use http::{HeaderMap, HeaderValue, StatusCode};

const ASKED: Asked<'_> = Asked { path: "/v1/chat/completions", address: None };

fn settings(master_key: Option<&str>) -> Settings {
    Settings { master_key: master_key.map(Secret::from), key_header: None }
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

/// Knows one key; the first look-ups fail.
struct One {
    looks: AtomicU32,
    failures: AtomicU32,
}

impl Keys for One {
    fn find(&self, key: KeyHash) -> Pin<Box<dyn Future<Output = Result<Option<Holder>>> + Send + '_>> {
        Box::pin(async move {
            self.looks.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            let left = |n: u32| n.checked_sub(1);
            if self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok() {
                return Err(Error::new(ErrorKind::Unavailable, "the database is away"));
            }
            let record = Record { id: key.to_string().into(), ..Record::default() };
            let holder = Holder {
                key: record,
                team: None,
                member: None,
                user: None,
                project: None,
                organization: None,
            };
            Ok((key == KeyHash::of("sk-one")).then_some(holder))
        })
    }
}

fn with_one(failures: u32) -> (Arc<One>, Authenticator) {
    let one = Arc::new(One { looks: AtomicU32::new(0), failures: AtomicU32::new(failures) });
    let authenticator = Authenticator::new(&settings(Some("sk-master")));
    (one.clone(), authenticator.with_keys(one, Arc::new(SystemClock)))
}

#[tokio::test]
async fn a_virtual_key_is_looked_up_once_and_again_when_it_was_changed() {
    let (one, authenticator) = with_one(0);
    let together = futures_util::future::join_all((0..50).map(|_| ask(&authenticator, Some("sk-one")))).await;
    for caller in together {
        let caller = caller.unwrap();
        assert_eq!((&*caller.id, caller.admin), (&*KeyHash::of("sk-one").to_string(), false));
    }
    assert_eq!(one.looks.load(Ordering::Relaxed), 1);
    for _ in 0..3 {
        let err = ask(&authenticator, Some("sk-other")).await.unwrap_err();
        assert_eq!((err.status(), err.param()), (StatusCode::UNAUTHORIZED, Some("key")));
    }
    assert_eq!(one.looks.load(Ordering::Relaxed), 2, "a wrong key is remembered too");
    authenticator.forget(&KeyHash::of("sk-one")).await;
    ask(&authenticator, Some("sk-one")).await.unwrap();
    assert_eq!(one.looks.load(Ordering::Relaxed), 3);
    authenticator.forget_all();
    ask(&authenticator, Some("sk-one")).await.unwrap();
    assert_eq!(one.looks.load(Ordering::Relaxed), 4);
    ask(&authenticator, Some("sk-master")).await.unwrap();
    assert_eq!(one.looks.load(Ordering::Relaxed), 4, "the master key needs no look-up");
}

#[tokio::test]
async fn a_failed_look_up_is_not_remembered() {
    let (_, authenticator) = with_one(1);
    let err = ask(&authenticator, Some("sk-one")).await.unwrap_err();
    assert_eq!((err.status(), err.message()), (StatusCode::SERVICE_UNAVAILABLE, "the database is away"));
    ask(&authenticator, Some("sk-one")).await.unwrap();
}
