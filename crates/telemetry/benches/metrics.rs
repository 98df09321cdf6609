//! What metrics cost: a call and its attempt counted, and a scrape of ten thousand series: `cargo bench -p gatewright-telemetry`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench tells what it measured")]

#[path = "../tests/metered/mod.rs"]
#[expect(dead_code, reason = "what is measured is answered")]
mod metered;

use std::time::{Duration, Instant};

use gatewright_core::Money;
use gatewright_telemetry::{MetricSettings, TextFormat};
use metered::{Stage, caller};

const CALLS: u32 = 200_000;
const SCRAPES: u32 = 20;

fn main() {
    // `cargo test --all-targets` runs benches too, without saying so.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let off = runtime.block_on(calls(&Stage::new(MetricSettings::default())));
    let on = Stage::new(MetricSettings { litellm: true, ..MetricSettings::default() });
    let counted = runtime.block_on(calls(&on));
    println!("a call and its attempt: {off:?} without the callback, {counted:?} with it");
    runtime.block_on(fill(&on));
    let text = on.text(TextFormat::Plain);
    let begun = Instant::now();
    (0..SCRAPES).for_each(|_| drop(on.text(TextFormat::Plain)));
    let series = on.samples("gatewright_metrics_series").concat();
    println!(
        "a scrape of {series} series ({} lines, {} KB): {:?}",
        text.lines().count(),
        text.len() / 1024,
        begun.elapsed() / SCRAPES
    );
}

async fn calls(stage: &Stage) -> Duration {
    let caller = caller("k", "red");
    let begun = Instant::now();
    for _ in 0..CALLS {
        stage.answered(&caller, Money(75_000), (100, 50)).await;
    }
    begun.elapsed() / CALLS
}

/// As many callers as there is room for.
async fn fill(stage: &Stage) {
    for number in 0..1_000 {
        let (key, team) = (format!("{number:064x}"), format!("team-{}", number % 20));
        stage.answered(&caller(&key, &team), Money(75_000), (100, 50)).await;
    }
}
