//! End users and tags of calls: asked about once, and never in the way where nobody answers.
#![cfg(test)]

#[path = "../../limits/tests/support/call.rs"]
mod call;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use gatewright_auth::{Finding, Joined, Parties, Party, Record};
use gatewright_core::{
    Call, CallService, Controls, Error, ErrorKind, Frame, Frames, Head, Middleware, Reply, Result,
    SystemClock,
};
use serde_json::json;
use tower::service_fn;

/// Counts who asks.
#[derive(Default)]
struct Book {
    asked: AtomicU32,
}

impl Parties for Book {
    fn find(&self, party: Party) -> Finding<'_> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let fields = |fields: serde_json::Value| fields.as_object().cloned().unwrap_or_default();
            match party {
                Party::Customer(id) if &*id == "away" => {
                    Err(Error::new(ErrorKind::Unavailable, "the database is away"))
                }
                Party::Customer(id) if &*id == "hangs" => std::future::pending().await,
                Party::Customer(id) if &*id == "limited" => {
                    let fields = fields(json!({"rpm_limit": 5, "models": ["fast"]}));
                    Ok(Some(Record { id, fields, ..Record::default() }))
                }
                Party::Tag(id) if &*id == "dear" => {
                    Ok(Some(Record { id, fields: fields(json!({"max_budget": 1})), ..Record::default() }))
                }
                Party::Customer(_) | Party::Tag(_) => Ok(None),
            }
        })
    }
}

/// Answers with the scopes of what the caller may use.
fn answers() -> impl CallService {
    service_fn(|call: Call| async move {
        let scopes: Vec<&str> = call.caller.allowances.iter().map(|allowance| allowance.scope).collect();
        let frame = Frame { data: scopes.join(" ").into(), ..Frame::default() };
        Ok::<_, Error>(Reply { head: Head::default(), frames: Frames::one(frame) })
    })
}

async fn ask(joined: &Joined, customer: &str, tags: &[&str]) -> Result<String> {
    let mut call = call::call();
    call.controls = Arc::new(Controls {
        end_user: Some(customer.into()).filter(|name: &Arc<str>| !name.is_empty()),
        tags: tags.iter().map(|tag| (*tag).into()).collect(),
        ..Controls::default()
    });
    let reply = joined.handle(call, &answers()).await?;
    Ok(String::from_utf8_lossy(&reply.frames.peek_one().unwrap().data).into_owned())
}

#[tokio::test(start_paused = true)]
async fn whoever_a_call_names_is_asked_about_once_and_joins_its_caller() {
    let book = Arc::new(Book::default());
    let joined = Joined::new(book.clone(), Arc::new(SystemClock));
    for (customer, tags, scopes, asked) in [
        ("", &[] as &[&str], "", 0),
        ("limited", &[], "end_user", 1),
        ("limited", &["dear", "dear", "cheap"], "end_user tag", 3),
        ("nobody", &["cheap"], "", 4),
        ("nobody", &["dear"], "tag", 4),
        // Nobody answers: it passes, and nobody is asked again for a while.
        ("away", &[], "", 5),
        ("away", &[], "", 5),
        ("hangs", &["dear"], "tag", 6),
        ("hangs", &["dear"], "tag", 6),
    ] {
        assert_eq!(ask(&joined, customer, tags).await.unwrap(), scopes, "{customer} {tags:?}");
        assert_eq!(book.asked.load(Ordering::SeqCst), asked, "{customer} {tags:?}");
    }
    joined.forget_all();
    assert_eq!(ask(&joined, "limited", &[]).await.unwrap(), "end_user");
    assert_eq!(book.asked.load(Ordering::SeqCst), 7, "it may have changed");
}
