//! The seeds keep what the targets ask, so that a run begins with good ground.

use std::fs;
use std::path::Path;

use gatewright_core::Dialect;
use gatewright_fuzz::{aws_events, body, codec, sse};

fn check(target: &str, each: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        each(&fs::read(path).unwrap());
        count += 1;
    }
    assert!(count > 2);
}

#[test]
fn every_seed_passes_its_target() {
    check("body", body::check);
    check("sse", sse::check);
    check("aws_events", aws_events::check);
    check("openai", |data| codec::check(Dialect::OpenAiChat, data));
    check("gemini", |data| codec::check(Dialect::Gemini, data));
    check("responses", |data| codec::check(Dialect::OpenAiResponses, data));
    check("completions", |data| codec::check(Dialect::OpenAiCompletions, data));
    check("anthropic", |data| codec::check(Dialect::AnthropicMessages, data));
}
