//! Not a test but a measurement: what a batch of the shipper costs beside ten million entries, and beside none.
#![cfg(test)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use gatewright_core::{AttemptId, CallId, Money, Secret, SystemClock, Usage};
use gatewright_spend::{Batch, Begin, Certainty, Ending, Entry, Ledger, State, Tenant};
use gatewright_store::{Place, Settings, Store};
use gatewright_tests::dashboard::load;
use gatewright_tests::postgres::Postgres;

/// Entries in a batch.
const BATCH: u64 = 500;

/// Batches into each database, in turn.
const ROUNDS: u64 = 200;

/// An entry of now, as spread as those that are loaded are.
fn entry(n: u64) -> Entry {
    let attempt = AttemptId::fresh();
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (key, other) = ((mixed >> 40) % 500, mixed >> 20);
    let model = (key * 3 + other % 8) % 30;
    let tenant = Tenant {
        team: Some(format!("team-{}", key % 40).into()),
        user: Some(format!("user-{}", key % 200).into()),
        organization: Some(format!("organization-{}", key % 4).into()),
        customer: (other % 20 == 0).then(|| format!("customer-{}", other % 2000).into()),
        tags: vec![format!("app-{}", key % 30).into(), format!("stage-{}", key % 3).into()],
        ..Tenant::default()
    };
    Entry {
        begin: Begin {
            attempt,
            call: CallId::fresh(),
            caller: format!("{key:064x}").into(),
            tenant,
            group: format!("model-{model}").into(),
            deployment: format!("deployment-{model}").into(),
            provider: format!("provider-{}", model % 4).into(),
            model: format!("model-{model}").into(),
            started: attempt.unix_millis() * 1000,
            input_estimate: 1,
            output_cap: 1,
            floor: Money(1),
            bound: Money(6_000_000),
            spared: None,
        },
        state: State::Ended(Ending::Complete),
        certainty: Certainty::Exact,
        usage: Usage { input: 1180, output: 312, ..Usage::default() },
        cost: Money(6_000_000),
        bound: Money(6_000_000),
        first_content: Some(Duration::from_millis(400)),
        duration: Some(Duration::from_secs(5)),
        response: Some(Arc::from(format!("chatcmpl-{n}"))),
    }
}

async fn open(url: &str) -> Store {
    let settings = Settings::at(Place::Postgres(Secret::from(url.to_owned())));
    Store::open(settings, Arc::new(SystemClock)).await.unwrap()
}

#[tokio::test]
#[ignore = "takes ten minutes: cargo test -p gatewright-store --test writing -- --ignored --nocapture"]
async fn a_batch_beside_ten_million_entries() {
    let (few, many) = (Postgres::start(), Postgres::start());
    let empty = open(&few.url()).await;
    open(&many.url()).await;
    load(&many);
    let full = open(&many.url()).await;
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        let first = usize::from(round % 2 == 0);
        for place in [first, 1 - first] {
            let entries = (0..BATCH).map(|n| entry(round * BATCH + n)).collect();
            let batch = Batch { entries, applied: Vec::new() };
            let begun = Instant::now();
            [&empty, &full][place].apply(&batch).await.unwrap();
            times[place].push(begun.elapsed());
        }
    }
    for (name, times) in ["none", "ten million"].into_iter().zip(&times) {
        for half in times.chunks(times.len() / 2) {
            let mut half = half.to_vec();
            half.sort();
            println!(
                "{BATCH} entries beside {name}: {:?} (a tenth under {:?})",
                half[half.len() / 2],
                half[half.len() / 10]
            );
        }
    }
}
