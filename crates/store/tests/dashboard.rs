//! Not a test but a measurement: what a dashboard asks of ten million entries, and what writing costs beside them.
#![cfg(test)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use gatewright_core::{AttemptId, CallId, Money, Secret, SystemClock, Usage};
use gatewright_spend::{Batch, Begin, Certainty, Ending, Entry, Ledger, State, Tenant};
use gatewright_store::{Dimension, EntryQuery, Place, ReportQuery, Settings, Store};
use gatewright_tests::postgres::Postgres;

/// Entries that are loaded.
const COUNT: u64 = 10_000_000;

/// Days over which the entries are spread.
const DAYS: u64 = 30;

/// Fills both tables as the shipper does, a thousand times as fast. A key belongs to a user and a team and calls three of
/// eight models; every twentieth call names one of 500 end users.
fn load(server: &Postgres, count: u64) {
    let names = "INSERT INTO names (name) SELECT 'key-' || n FROM generate_series(0, 199) n \
        UNION ALL SELECT 'team-' || n FROM generate_series(0, 19) n \
        UNION ALL SELECT 'user-' || n FROM generate_series(0, 69) n \
        UNION ALL SELECT 'customer-' || n FROM generate_series(0, 499) n \
        UNION ALL SELECT 'model-' || n FROM generate_series(0, 7) n \
        UNION ALL SELECT unnest(ARRAY['acme', 'openai', 'deployment-1']) ON CONFLICT DO NOTHING";
    let id = |name: &str| format!("(SELECT id FROM names WHERE name = {name})");
    let entries = format!(
        "CREATE TEMP TABLE n AS SELECT id, name FROM names; CREATE INDEX ON n (name); ANALYZE n; \
         INSERT INTO entries (attempt, call, started, caller, model_group, deployment, provider, model, team, user_name, \
         organization, customer, ending, estimated, cache_in_input, first_content, duration, input, output, cost, trace, response) \
         SELECT (lpad(to_hex(ms), 12, '0') || '7000' || lpad(to_hex(i), 16, '8'))::uuid, \
         (lpad(to_hex(ms), 12, '0') || '7001' || lpad(to_hex(i), 16, '8'))::uuid, 0, k.id, m.id, {0}, {1}, m.id, t.id, u.id, {2}, \
         c.id, 0, FALSE, TRUE, 400, 5000, 1180, 312, 6000000, md5(i::text), 'chatcmpl-' || i FROM \
         (SELECT i, ((extract(epoch FROM now()) * 1000)::bigint - ({DAYS}::bigint * 86400000) * ({count} - i) / {count}) AS ms, \
         (i * 7919) % 200 AS key FROM generate_series(0::bigint, {count} - 1) i) s \
         JOIN n k ON k.name = 'key-' || key JOIN n t ON t.name = 'team-' || key % 20 JOIN n u ON u.name = 'user-' || key % 70 \
         JOIN n m ON m.name = 'model-' || (key + i % 3) % 8 \
         LEFT JOIN n c ON i % 20 = 0 AND c.name = 'customer-' || (i * 31) % 500 ORDER BY i",
        id("'deployment-1'"),
        id("'openai'"),
        id("'acme'")
    );
    let sums = "INSERT INTO rollups SELECT ('x' || substr(replace(attempt::text, '-', ''), 1, 12))::bit(48)::bigint / 86400000, \
        caller, team, user_name, organization, 0, COALESCE(customer, 0), 0, model_group, provider, model, COUNT(*), 0, \
        SUM(input), SUM(output), 0, 0, 0, SUM(cost) FROM entries GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11";
    for sql in [names, &entries, sums, "VACUUM ANALYZE"] {
        server.sql(sql).unwrap();
    }
}

/// An entry of now.
fn fresh(n: u64) -> Entry {
    let attempt = AttemptId::fresh();
    let tenant = Tenant {
        team: Some(format!("team-{}", n % 20).into()),
        user: Some(format!("user-{}", n % 70).into()),
        organization: Some("acme".into()),
        ..Tenant::default()
    };
    Entry {
        begin: Begin {
            attempt,
            call: CallId::fresh(),
            caller: format!("key-{}", n % 200).into(),
            tenant,
            group: format!("model-{}", n % 8).into(),
            deployment: "deployment-1".into(),
            provider: "openai".into(),
            model: format!("model-{}", n % 8).into(),
            started: attempt.unix_millis() * 1000,
            input_estimate: 1,
            output_cap: 1,
            floor: Money(1),
            bound: Money(6_000_000),
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

/// Writes 50 batches of 500; the median time of one.
async fn write(store: &Store) -> Duration {
    let mut times = Vec::new();
    for part in 0..50 {
        let entries = (0..500).map(|n| fresh(part * 500 + n)).collect();
        let start = Instant::now();
        store.apply(&Batch { entries, applied: Vec::new() }).await.unwrap();
        times.push(start.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

#[tokio::test]
#[ignore = "takes ten minutes: cargo test -p gatewright-store --test dashboard -- --ignored --nocapture"]
async fn a_dashboard_of_ten_million_entries() {
    let server = Postgres::start();
    let settings = Settings::at(Place::Postgres(Secret::from(server.url())));
    let store = Store::open(settings, Arc::new(SystemClock)).await.unwrap();
    println!("a batch of 500 at the start: {:?}", write(&store).await);
    server.sql("TRUNCATE entries, rollups").unwrap();
    let start = Instant::now();
    load(&server, COUNT);
    let number = |sql: &str| server.sql(sql).unwrap();
    println!(
        "{COUNT} entries loaded in {:?}: {} sums",
        start.elapsed(),
        number("SELECT COUNT(*) FROM rollups")
    );
    println!(
        "an entry takes {} bytes",
        number("SELECT pg_total_relation_size('entries') / COUNT(*) FROM entries")
    );
    println!("a batch of 500 beside them: {:?}", write(&store).await);
    let all = 0..=u32::MAX;
    let key = || vec![(Dimension::Caller, "key-7".to_owned())];
    for (what, filters, by) in [
        ("global spend", vec![], vec![]),
        ("per day", vec![], vec![Dimension::Day]),
        ("per key", vec![], vec![Dimension::Caller]),
        ("per model", vec![], vec![Dimension::Model]),
        ("per team", vec![], vec![Dimension::Team]),
        ("daily activity", vec![], vec![Dimension::Day, Dimension::Group]),
        ("daily activity of a key", key(), vec![Dimension::Day, Dimension::Group]),
        ("an end user by day", vec![(Dimension::Customer, "customer-20".to_owned())], vec![Dimension::Day]),
        ("per day, key and model", vec![], vec![Dimension::Day, Dimension::Caller, Dimension::Model]),
    ] {
        let query = ReportQuery { days: all.clone(), filters, by, after: None, limit: 1_000 };
        time(what, async || store.report(&query).await.unwrap().len()).await;
    }
    for (what, filters) in [("logs page", vec![]), ("logs page of a key", key())] {
        let query = EntryQuery { filters, limit: 100, ..EntryQuery::default() };
        time(what, async || store.entries(&query).await.unwrap().len()).await;
    }
}

/// The median of five times.
async fn time(what: &str, ask: impl AsyncFn() -> usize) {
    let mut times = Vec::new();
    let mut rows = 0;
    for _ in 0..5 {
        let start = Instant::now();
        rows = ask().await;
        times.push(start.elapsed());
    }
    times.sort();
    println!("{what}: {rows} rows in {:?}", times[2]);
}
