//! The journal's disk is full and calls pass all the same: how many they were and what they cost is told, and nothing else
//! is lost.

use std::thread;

use gatewright_tests::books::Database;
use gatewright_tests::client::Client;
use gatewright_tests::disk::SmallDisk;
use gatewright_tests::postgres::Postgres;

use crate::check::{cost, shipped};
use crate::full::until;
use crate::load::{Load, number, world_with};

/// Small segments fill up soon.
const SETTINGS: &str = "journal_segment_kb: 64, journal_when_full: continue";

/// Calls that every client makes in a row.
const CALLS: usize = 40;

#[test]
fn calls_that_pass_a_full_disk_are_counted_and_their_cost_is_told() {
    check(&Database::Sqlite);
}

#[test]
fn and_with_postgresql() {
    check(&Database::Postgres(Postgres::start()));
}

fn check(database: &Database) {
    let Some(disk) = SmallDisk::mount(16 << 20) else {
        eprintln!("nothing may be mounted here");
        return;
    };
    let (upstream, mut gateway, clients) =
        world_with(database, SETTINGS, |setup| setup.data(disk.path().join("data")));
    let (admin, load) = (Client::of(&gateway), Load::default());
    all_pass(&load, &clients);
    disk.fill();
    until("calls pass that are not written down", || {
        all_pass(&load, &clients);
        figure(&admin, "attempts") >= 100.0
    });
    disk.clear();
    until("there is room again", || admin.get("/health/readiness").status == 200);
    let passed = figure(&admin, "attempts");
    all_pass(&load, &clients);
    upstream.wait_until_idle();
    shipped(&gateway);
    assert_eq!(figure(&admin, "attempts"), passed, "what comes later is written down");
    let told = figure(&admin, "dollars");
    gateway.terminate();
    assert!(gateway.wait_for_exit().success());
    let books = database.books(&gateway);
    books.check();
    let (by_model, bills) = (books.by_model(), upstream.bills());
    let unwritten: Vec<i64> = upstream
        .seen()
        .iter()
        .filter(|seen| !by_model.contains_key(format!("call-{}", number(seen)).as_str()))
        .map(|seen| cost(&bills[seen.number]))
        .collect();
    assert_eq!(unwritten.len() as f64, passed);
    assert_eq!(upstream.seen().len(), books.entries.len() + unwritten.len(), "nothing is there twice");
    let dollars = unwritten.iter().sum::<i64>() as f64 / 1e9;
    assert!((told - dollars).abs() < 1e-9, "{told} and not {dollars}");
    println!("{} calls, {passed} of them not written down, for ${told}", upstream.seen().len());
}

/// All clients at once, and none is refused.
fn all_pass(load: &Load, clients: &[Client]) {
    thread::scope(|scope| {
        for client in clients {
            scope.spawn(move || {
                for _ in 0..CALLS {
                    let answer = load.once(client);
                    assert_eq!(answer.status, 200, "{}", answer.text());
                }
            });
        }
    });
}

/// What is told of the calls that were not written down.
fn figure(admin: &Client, what: &str) -> f64 {
    let metrics = admin.get("/metrics").text();
    let name = format!("gatewright_ledger_unjournalled_{what}_total ");
    let figure = metrics.lines().find_map(|line| line.strip_prefix(&name));
    figure.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
}
