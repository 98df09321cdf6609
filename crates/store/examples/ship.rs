//! Measures what an entry costs behind the journal: `cargo run --release -p gatewright-store --example ship -- attempts`, or
//! `hits` for answers of the cache; the URL of a PostgreSQL may follow.
#![expect(clippy::print_stdout, reason = "it is a program that prints")]

use std::fs;
use std::future::ready;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use gatewright_core::{AttemptId, CallId, Money, SystemClock, Usage};
use gatewright_spend::{Begin, Certainty, Ending, Hit, Journal, Settle, Shipper, Shipping, Spared, Tenant};
use gatewright_store::{Place, Settings, Store};

/// The gateway's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ENTRIES: u64 = 100_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir_in(".")?;
    let clock = Arc::new(SystemClock);
    let hits = std::env::args().nth(1).is_some_and(|what| what == "hits");
    let place = match std::env::args().nth(2) {
        Some(url) => Place::Postgres(url.into()),
        None => Place::Sqlite(dir.path().join("gatewright.db")),
    };
    let store = Store::open(Settings::at(place), clock.clone()).await?;
    store.ready().await?;
    let journal = Journal::open(gatewright_spend::Settings::at(dir.path().join("journal")), clock.clone())?;
    // Apart, so that a profile tells the threads that ship from it.
    let (to, writer) = (journal.clone(), thread::Builder::new().name("writer".to_owned()));
    let written = writer.spawn(move || (0..ENTRIES).for_each(|n| write(&to, n, hits)))?;
    let _ = written.join();
    let (cpu, memory) = (cpu(), rss());
    let shipping = Shipping { grace: Duration::from_secs(600), ..Shipping::default() };
    let shipper = Shipper::new(journal, store.clone(), shipping, clock);
    let health = shipper.health();
    shipper.run(ready(())).await;
    let spent = (self::cpu() - cpu).as_nanos() as f64 / 1e3;
    let shipped = health.lock().shipped;
    println!("shipped {shipped} entries: {:.2} µs of CPU each", spent / shipped as f64);
    println!("resident memory: {memory:.1} MB before, {:.1} MB after", rss());
    Ok(())
}

fn write(journal: &Journal, n: u64, hit: bool) {
    let mut begin = Begin {
        attempt: AttemptId::fresh(),
        call: CallId::fresh(),
        caller: format!("88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe{:04x}", n % 20).into(),
        tenant: Tenant { team: Some(format!("team-{}", n % 5).into()), ..Tenant::default() },
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
    let settle = Settle {
        attempt: begin.attempt,
        ending: Ending::Complete,
        certainty: Certainty::Exact,
        usage: Usage { input: 1180, output: 312, cache_read: n % 2 * 1024, ..Usage::default() },
        cost: Money(364_200),
        first_content: None,
        duration: Duration::from_millis(n % 5000),
        response: None,
    };
    if hit {
        let key =
            format!("{:064x}", u128::from(n % 500).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835));
        begin.spared = Some(Spared { key: key.into(), saved: settle.cost, whole: true });
        let settle = Settle { cost: Money::ZERO, ..settle };
        return journal.hit(&Hit { begin, settle });
    }
    if let Ok(ticket) = journal.begin(&begin) {
        journal.settle(ticket, &settle);
    }
}

/// CPU time of all threads that live; none that works here ends.
fn cpu() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let spent = tasks.filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok());
    spent.filter_map(|line| line.split_whitespace().next()?.parse().ok()).map(Duration::from_nanos).sum()
}

/// Resident memory in megabytes.
fn rss() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}
