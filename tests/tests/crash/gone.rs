//! The journal's directory is taken away while a gateway writes to it: what was written is put back, and as long as that
//! cannot be nothing goes out.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use gatewright_tests::books::Database;
use gatewright_tests::client::Client;
use gatewright_tests::gateway::Gateway;
use gatewright_tests::postgres::Postgres;

use crate::check::settle;
use crate::full::{refused, until};
use crate::load::{Load, world};

/// Clients that ask at the same time.
const CLIENTS: usize = 6;

#[test]
fn a_directory_that_is_taken_away_is_put_back() {
    check(&Database::Sqlite);
}

#[test]
fn so_it_is_with_postgresql() {
    check(&Database::Postgres(Postgres::start()));
}

fn check(database: &Database) {
    let (upstream, mut gateway, clients) = world(database, "");
    let (health, journal) = (Client::of(&gateway), gateway.dir().join("gatewright-data/journal"));
    let mut load = Load::default();
    load.during(&clients, CLIENTS, || {
        upstream.wait_for_requests(60);
        take_away(&journal);
        until("everything is put back", || gateway.log().matches("is put back").count() >= lanes(&journal));
        upstream.wait_for_requests(upstream.seen().len() + 60);
    });
    let mut whole = std::mem::take(load.whole.get_mut().unwrap());
    load = Load::starting_at(load.next.into_inner());
    load.during(&clients, CLIENTS, || {
        upstream.wait_for_requests(upstream.seen().len() + 60);
        // A file is in the way of the directory.
        until("the file is there", || {
            take_away(&journal);
            fs::write(&journal, "in the way").is_ok()
        });
        until("calls are refused", || load.once(&clients[0]).status == 503);
    });
    refused(&load, &clients, &upstream);
    let told = health.get("/health/readiness");
    assert!(told.status == 503 && told.text().contains("its files are gone"), "{}", told.text());
    assert!(health.get("/metrics").text().contains("gatewright_ledger_journal_failing 1\n"));
    fs::remove_file(&journal).unwrap();
    until("calls are taken", || load.once(&clients[0]).status == 200);
    until("all is well", || health.get("/health/readiness").status == 200);
    whole.append(load.whole.get_mut().unwrap());
    let load = Load::starting_at(load.next.load(Ordering::Relaxed));
    load.during(&clients, CLIENTS, || {
        upstream.wait_for_requests(upstream.seen().len() + 60);
        gateway.kill();
    });
    gateway.restart();
    whole.extend(load.whole.into_inner().unwrap());
    let told = settle(&upstream, &mut gateway, database, &whole);
    println!("{} answers seen whole, {told}", whole.len());
    begins_anew_without(&mut gateway, &journal);
}

/// A directory that is gone between two runs is made, and one that cannot be made is told.
fn begins_anew_without(gateway: &mut Gateway, journal: &Path) {
    take_away(journal);
    fs::write(journal, "in the way").unwrap();
    gateway.launch();
    assert!(!gateway.wait_for_exit().success());
    assert!(
        gateway.log().contains("cannot open the journal in gatewright-data/journal"),
        "{}",
        gateway.log()
    );
    fs::remove_file(journal).unwrap();
    gateway.restart();
}

/// At once, as far as the gateway sees.
fn take_away(journal: &Path) {
    let aside: PathBuf = journal.with_extension("aside");
    if fs::rename(journal, &aside).is_ok() {
        fs::remove_dir_all(aside).unwrap();
    }
}

fn lanes(journal: &Path) -> usize {
    fs::read_dir(journal)
        .map_or(usize::MAX, |found| found.filter(|lane| lane.as_ref().unwrap().path().is_dir()).count())
}
