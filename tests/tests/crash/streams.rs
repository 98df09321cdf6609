//! `kill -9` in the middle of a long stream: what was noted on the way bounds what is not known.

use gatewright_tests::books::Database;
use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::{Gateway, Setup, deployment};
use gatewright_tests::upstream::{Ends, Gate, Said, Script, Upstream, Used};
use serde_json::json;

use crate::check::shipped;

/// Bytes of text in an event.
const EVENT: usize = 1_024;

/// Events that have left when the gateway is killed.
const SENT: usize = 80;

/// A stream is noted again after so many bytes of output.
const NOTED: usize = 32 << 10;

#[test]
fn a_long_stream_is_noted_on_its_way() {
    for model in ["openai/gpt-4o", "anthropic/claude-sonnet-4-5"] {
        check(model);
    }
}

fn check(model: &str) {
    let (upstream, database) = (Upstream::start(), Database::Sqlite);
    let used = Used { input: 10, output: 30_000, ..Used::default() };
    let said = Said { used, ..Said::text((0..2 * SENT).map(|_| "x".repeat(EVENT))) };
    // A little more than is waited for, because the first events of a dialect carry no text.
    upstream.push(Script::says(said).stopping(SENT + 4, Ends::Hold(Gate::default())));
    let models = format!("model_list:\n{}", deployment("m", model, &upstream, ""));
    let mut gateway: Gateway = Setup::new(models + &database.settings("")).start();
    let body = chat("m", "hi", json!({"stream": true, "max_tokens": 40_000}));
    let mut live = Client::of(&gateway).start("/v1/chat/completions", &body);
    let mut read = 0;
    while read < SENT * EVENT {
        read += live.event().unwrap().unwrap().matches('x').count();
    }
    gateway.kill();
    gateway.restart();
    shipped(&gateway);
    gateway.terminate();
    assert!(gateway.wait_for_exit().success());
    let books = database.books(&gateway);
    books.check();
    let [entry] = books.entries.as_slice() else { panic!("{:?}", books.entries) };
    assert_eq!((entry.ending, entry.exact), (3, false), "{model}: {entry:?}");
    let tokens = |bytes: usize| i64::try_from(bytes / 4).unwrap();
    let known = tokens(SENT * EVENT - NOTED)..=tokens((SENT + 4) * EVENT);
    assert!(known.contains(&entry.output), "{model}: {known:?} {entry:?}");
    assert!(entry.cost < entry.bound, "{model}: {entry:?}");
}
