//! From journals to a real database that crashes under the load: every attempt arrives, and counts once.
#![cfg(test)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gatewright_core::{AttemptId, CallId, Money, SystemClock, Usage};
use gatewright_spend::{
    Begin, Certainty, Ending, Journal, Settings, Settle, Shipper, Shipping, State, Tenant, entries,
};
use gatewright_store::{EntryQuery, Rank, ReportQuery, Scope, Store};
use support::{Base, on_all};

on_all!(what_a_journal_says_is_in_the_database, two_gateways_share_a_database);

fn open(dir: &Path, lanes: usize) -> Journal {
    let settings = Settings { segment_bytes: 64 << 10, lanes, ..Settings::at(dir) };
    Journal::open(settings, Arc::new(SystemClock)).unwrap()
}

/// Begins and ends attempts; each third is left open until the journal is dropped.
fn write(journal: &Journal, count: u64) {
    for n in 0..count {
        let begin = Begin {
            attempt: AttemptId::fresh(),
            call: CallId::fresh(),
            caller: format!("key-{}", n % 7).into(),
            tenant: Tenant { team: Some(format!("team-{}", n % 3).into()), ..Tenant::default() },
            group: "fast".into(),
            deployment: "fast-1".into(),
            provider: "openai".into(),
            model: "gpt-4o-mini".into(),
            started: 0,
            input_estimate: 10,
            output_cap: 10,
            floor: Money(3),
            bound: Money(9),
            spared: None,
        };
        let attempt = begin.attempt;
        let ticket = journal.begin(&begin).unwrap();
        if n % 3 == 0 {
            continue;
        }
        let settle = Settle {
            attempt,
            ending: Ending::Complete,
            certainty: Certainty::Exact,
            usage: Usage { input: n, output: 5, ..Usage::default() },
            cost: Money(i64::try_from(n).unwrap()),
            first_content: None,
            duration: Duration::from_millis(1),
            response: None,
        };
        journal.settle(ticket, &settle);
    }
}

fn shipper(journal: &Journal, store: &Store) -> Shipper<Store> {
    let shipping = Shipping { batch: 100, every: Duration::from_millis(5), ..Shipping::default() };
    Shipper::new(journal.clone(), store.clone(), shipping, Arc::new(SystemClock))
}

/// What ended in all journals below is in the database, and nothing else; balances and sums agree.
async fn check(store: &Store, dirs: &[&Path]) {
    let mut want = Vec::new();
    for dir in dirs {
        want.extend(entries(dir).unwrap().map(Result::unwrap).filter(|entry| entry.state != State::Running));
    }
    want.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.begin.attempt));
    let kept = store.entries(&EntryQuery { limit: 1_000_000, ..EntryQuery::default() }).await.unwrap();
    assert_eq!(kept.len(), want.len());
    let same = kept.iter().zip(&want).all(|(kept, want)| {
        (kept.begin.attempt, kept.cost, &kept.state, kept.usage)
            == (want.begin.attempt, want.cost, &want.state, want.usage)
    });
    assert!(same, "entry by entry");
    let total: Money = want.iter().map(|entry| entry.cost).sum();
    let (days, order) = (0..=u32::MAX, Rank::Place);
    let query = ReportQuery { days, filters: vec![], by: vec![], order, after: None, limit: 1 };
    let sums = store.report(&query).await.unwrap()[0].sums;
    assert_eq!((sums.cost, sums.succeeded + sums.failed), (total, i64::try_from(want.len()).unwrap()));
    for (scope, name, count) in [(Scope::Key, "key", 7), (Scope::Team, "team", 3)] {
        let whose: Vec<_> = (0..count).map(|n| (scope, format!("{name}-{n}").into())).collect();
        let rows = store.balances().of_many(&whose).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.total).sum::<Money>(), total);
    }
}

async fn what_a_journal_says_is_in_the_database(base: Base) {
    let (store, dir) = (base.open().await, tempfile::tempdir().unwrap());
    for round in 0..3 {
        // A process that dies leaves attempts open; the next one closes their books.
        let journal = open(dir.path(), 2 - round % 2);
        write(&journal, 1000);
        shipper(&journal, &store).run(std::future::ready(())).await;
    }
    let journal = open(dir.path(), 2);
    shipper(&journal, &store).run(std::future::ready(())).await;
    check(&store, &[dir.path()]).await;
}

async fn two_gateways_share_a_database(base: Base) {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let stores = [base.open().await, base.open().await];
    let journals = [open(dirs[0].path(), 1), open(dirs[1].path(), 1)];
    for _ in 0..3 {
        journals.iter().for_each(|journal| write(journal, 400));
        let runs = journals.iter().zip(&stores).map(|(journal, store)| {
            let shipper = shipper(journal, store);
            async move { shipper.run(std::future::ready(())).await }
        });
        futures_util::future::join_all(runs).await;
    }
    check(&stores[0], &[dirs[0].path(), dirs[1].path()]).await;
}

/// The database crashes and comes back while entries are made and shipped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_crashes_under_load_misses_nothing() {
    const CRASHES: usize = 5;
    let Base::Postgres(mut server) = Base::postgres() else { unreachable!() };
    let base = gatewright_store::Settings::at(gatewright_store::Place::Postgres(server.url().into()));
    let store = Store::open(base, Arc::new(SystemClock)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), 2);
    let shipper = shipper(&journal, &store);
    let health = shipper.health();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let load = tokio::task::spawn_blocking({
        let (journal, health) = (journal.clone(), health.clone());
        move || {
            for _ in 0..CRASHES {
                let before = health.lock().shipped;
                until("entries arrive", || {
                    write(&journal, 50);
                    health.lock().shipped > before + 500
                });
                server.crash();
                until("the shipper notices", || {
                    write(&journal, 50);
                    health.lock().error.is_some()
                });
                server.resume();
            }
            until("everything arrives", || health.lock().backlog_bytes == 0);
            stop.send(()).unwrap();
            server
        }
    });
    shipper.run(async { drop(stopped.await) }).await;
    let server = load.await.unwrap();
    check(&store, &[dir.path()]).await;
    let health = health.lock().clone();
    assert_eq!(health.error, None);
    println!("{} shipped, {} of them twice", health.shipped, health.known);
    drop(server);
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
