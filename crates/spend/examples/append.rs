//! Measures what a record costs: `cargo run --release -p gatewright-spend --example append`.
#![expect(clippy::print_stdout, reason = "it is a program that prints")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use gatewright_core::{AttemptId, CallId, Money, SystemClock, Usage};
use gatewright_spend::{Begin, Certainty, Ending, Journal, Settings, Settle, Tenant, entries};

const ATTEMPTS: u32 = 200_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir_in(".")?;
    for threads in [1, 2] {
        let journal = Journal::open(Settings::at(dir.path()), Arc::new(SystemClock))?;
        let start = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| run(&journal, ATTEMPTS / threads));
            }
        });
        let each = start.elapsed() / (2 * ATTEMPTS);
        println!("{threads} threads: {:.2} µs a record", each.as_nanos() as f64 / 1e3);
    }
    let start = Instant::now();
    let count = entries(dir.path())?.count();
    println!(
        "read {count} entries: {:.2} µs each",
        (start.elapsed() / (2 * ATTEMPTS)).as_nanos() as f64 / 1e3
    );
    let start = Instant::now();
    drop(Journal::open(Settings::at(dir.path()), Arc::new(SystemClock))?);
    println!("opened and closed again in {:?}", start.elapsed());
    Ok(())
}

fn run(journal: &Journal, attempts: u32) {
    let mut begin = Begin {
        attempt: AttemptId::fresh(),
        call: CallId::fresh(),
        caller: "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b".into(),
        tenant: Tenant::default(),
        group: "gpt-4o-mini".into(),
        deployment: "2f7c1b0f9e6d4c8a8b1d3e5f7a9b0c1d".into(),
        provider: "openai".into(),
        model: "gpt-4o-mini".into(),
        started: 0,
        input_estimate: 1200,
        output_cap: 16_384,
        floor: Money(180_000),
        bound: Money(10_010_400),
        spared: None,
    };
    for _ in 0..attempts {
        begin.attempt = AttemptId::fresh();
        let Ok(ticket) = journal.begin(&begin) else { return };
        let settle = Settle {
            attempt: begin.attempt,
            ending: Ending::Complete,
            certainty: Certainty::Exact,
            usage: Usage { input: 1180, output: 312, cache_read: 1024, ..Usage::default() },
            cost: Money(364_200),
            first_content: Some(Duration::from_millis(412)),
            duration: Duration::from_millis(5120),
            response: None,
        };
        journal.settle(ticket, &settle);
    }
}
