//! End users and tags of calls: asked about once, and never in the way where nobody answers.
#![cfg(test)]

#[path = "../../limits/tests/support/call.rs"]
mod call;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use gatewright_auth::{Finding, Joined, JoinedSettings, Parties, Party, Record};
use gatewright_core::{
    Call, CallService, Controls, Error, ErrorKind, Frame, Frames, Middleware, Reply, Result, SystemClock,
};
use serde_json::json;
use tokio::time::Instant;
use tower::service_fn;

/// Counts who asks.
#[derive(Default)]
struct Book {
    asked: AtomicU32,
    /// Nobody can say anything.
    away: AtomicBool,
}

impl Parties for Book {
    fn find(&self, party: Party) -> Finding<'_> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            if self.away.load(Ordering::SeqCst) {
                return Err(Error::new(ErrorKind::Unavailable, "the database is away"));
            }
            let fields = |fields: serde_json::Value| fields.as_object().cloned().unwrap_or_default();
            match party {
                Party::Customer { id, .. } if &*id == "away" => {
                    Err(Error::new(ErrorKind::Unavailable, "the database is away"))
                }
                Party::Customer { id, .. } if &*id == "hangs" => std::future::pending().await,
                Party::Customer { id, .. } if &*id == "limited" => {
                    let fields = fields(json!({"rpm_limit": 5, "models": ["fast"]}));
                    Ok(Some(Record { id, fields, ..Record::default() }))
                }
                Party::Tag(id) if &*id == "dear" => {
                    Ok(Some(Record { id, fields: fields(json!({"max_budget": 1})), ..Record::default() }))
                }
                Party::Tag(id) if id.starts_with("hangs") => std::future::pending().await,
                Party::Customer { .. } | Party::Tag(_) => Ok(None),
            }
        })
    }
}

/// Answers with the scopes of what the caller may use.
fn answers() -> impl CallService {
    service_fn(|call: Call| async move {
        let scopes: Vec<&str> = call.caller.allowances.iter().map(|allowance| allowance.scope).collect();
        let frame = Frame { data: scopes.join(" ").into(), ..Frame::default() };
        Ok::<_, Error>(Reply { head: Box::default(), frames: Frames::one(frame) })
    })
}

async fn ask(joined: &Joined, customer: &str, tags: &[&str]) -> Result<String> {
    let mut call = call::call();
    call.controls = Controls {
        end_user: Some(customer.into()).filter(|name: &Arc<str>| !name.is_empty()),
        tags: tags.iter().map(|tag| (*tag).into()).collect(),
        ..Controls::default()
    };
    let reply = joined.handle(call, &answers()).await?;
    Ok(String::from_utf8_lossy(&reply.frames.peek_one().unwrap().data).into_owned())
}

#[tokio::test(start_paused = true)]
async fn whoever_a_call_names_is_asked_about_once_and_joins_its_caller() {
    let book = Arc::new(Book::default());
    let joined = Joined::new(book.clone(), JoinedSettings::default(), Arc::new(SystemClock));
    for (customer, tags, scopes, asked) in [
        ("", &[] as &[&str], "", 0),
        ("limited", &[], "end_user", 1),
        ("limited", &["dear", "dear", "cheap"], "end_user tag", 3),
        ("nobody", &["cheap"], "", 4),
        ("nobody", &["dear"], "tag", 4),
    ] {
        assert_eq!(ask(&joined, customer, tags).await.unwrap(), scopes, "{customer} {tags:?}");
        assert_eq!(book.asked.load(Ordering::SeqCst), asked, "{customer} {tags:?}");
    }
    joined.forget_all();
    assert_eq!(ask(&joined, "limited", &[]).await.unwrap(), "end_user");
    assert_eq!(book.asked.load(Ordering::SeqCst), 5, "it may have changed");
}

#[tokio::test(start_paused = true)]
async fn whom_nobody_can_say_anything_of_is_refused_unless_something_was_known_or_all_pass() {
    for (fail_open, expected) in [(false, 503), (true, 200)] {
        let book = Arc::new(Book::default());
        let settings = JoinedSettings { fail_open, ..JoinedSettings::default() };
        let joined = Joined::new(book.clone(), settings, Arc::new(SystemClock));
        for (customer, asked) in [("away", 1), ("away", 1), ("hangs", 2), ("hangs", 2)] {
            let status = ask(&joined, customer, &[]).await.map_or_else(|err| err.status().as_u16(), |_| 200);
            assert_eq!((status, book.asked.load(Ordering::SeqCst)), (expected, asked), "{customer}");
        }
        assert_eq!(ask(&joined, "limited", &[]).await.unwrap(), "end_user");
        book.away.store(true, Ordering::SeqCst);
        joined.doubt();
        assert_eq!(ask(&joined, "limited", &[]).await.unwrap(), "end_user", "what was known last holds");
        joined.forget_all();
        let after = ask(&joined, "limited", &[]).await;
        assert_eq!(after.is_ok(), fail_open, "what was changed is not known");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_with_many_tags_waits_for_an_answer_no_longer_than_one_with_one() {
    for (fail_open, patience, passes) in [(true, 500, true), (false, 5_000, false)] {
        let settings = JoinedSettings { fail_open, ..JoinedSettings::default() };
        let joined = Joined::new(Arc::new(Book::default()), settings, Arc::new(SystemClock));
        let tags: Vec<String> = (0..20).map(|n| format!("hangs {n}")).collect();
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let began = Instant::now();
        assert_eq!(ask(&joined, "", &tags).await.is_ok(), passes);
        let waited = began.elapsed();
        assert!(waited < Duration::from_millis(patience + 100), "{waited:?}");
    }
}
