//! The end of a journal is cut or spoiled while nobody writes to it, as by a power cut: the next start takes all that is
//! whole, tells what is not, and what comes then is in the ledger like anything else.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use gatewright_tests::books::Database;
use gatewright_tests::client::Client;
use gatewright_tests::gateway::Gateway;
use gatewright_tests::postgres::Postgres;

use crate::check::shipped;
use crate::load::{Load, Random, number, world};

/// How often it is done.
const ROUNDS: usize = 12;

/// Clients that ask at the same time.
const CLIENTS: usize = 6;

/// How far from the end something may be spoiled.
const REACH: u64 = 2_048;

/// Bytes that are changed at once.
const FLIPS: usize = 4;

/// No beginning of an attempt takes less.
const SHORTEST: usize = 100;

#[test]
fn a_torn_end_costs_what_was_in_it_and_nothing_else() {
    check(&Database::Sqlite);
}

#[test]
fn nor_does_it_with_postgresql() {
    check(&Database::Postgres(Postgres::start()));
}

fn check(database: &Database) {
    let (upstream, mut gateway, clients) = world(database, "journal_segment_kb: 64");
    let (mut random, mut next) = (Random(17), 0);
    let (mut lost, mut spoiled) = (HashSet::new(), 0);
    for round in 0..ROUNDS {
        let (load, enough) = (Load::starting_at(next), upstream.seen().len() + 60);
        load.during(&clients, CLIENTS, || {
            upstream.wait_for_requests(enough);
            if round % 2 == 0 {
                gateway.kill();
            }
        });
        next = load.next.into_inner();
        // In every second round the database is ahead of what is left of the journal.
        if round % 2 == 1 {
            shipped(&gateway);
            gateway.kill();
        }
        let began: HashSet<String> = models(&gateway);
        let most: usize = ends(&gateway).iter().map(|file| spoil(file, &mut random)).sum();
        let mut kept = models(&gateway);
        let missing = began.difference(&kept).count();
        assert!(missing <= most, "{missing} are lost, and {most} were hit");
        kept.extend(database.books(&gateway).entries.iter().map(|entry| entry.model().to_owned()));
        lost.extend(began.difference(&kept).cloned());
        let before = told(&gateway);
        gateway.restart();
        shipped(&gateway);
        spoiled += usize::from(told(&gateway) > before);
    }
    assert_eq!(Client::of(&gateway).get("/health/readiness").status, 200);
    upstream.wait_until_idle();
    shipped(&gateway);
    gateway.terminate();
    assert!(gateway.wait_for_exit().success());
    let books = database.books(&gateway);
    books.check();
    let by_model = books.by_model();
    for call in upstream.seen().iter().map(number) {
        let name = format!("call-{call}");
        let entries = by_model.get(name.as_str()).map_or(0, Vec::len);
        assert_eq!(entries, usize::from(!lost.contains(&name)), "{name}");
    }
    println!("{} requests upstream, {} of them in what was spoiled", upstream.seen().len(), lost.len());
    assert!(spoiled > ROUNDS / 2, "what was left out is told: {spoiled}");
}

/// The calls that the journal knows.
fn models(gateway: &Gateway) -> HashSet<String> {
    gateway.journal().iter().map(|entry| entry.model().to_owned()).collect()
}

/// How often damage was told.
fn told(gateway: &Gateway) -> usize {
    let log = gateway.log();
    log.matches("not written to its end").count() + log.matches("the journal is damaged").count()
}

/// The files that were written to last, one a lane.
fn ends(gateway: &Gateway) -> Vec<PathBuf> {
    let journal = gateway.dir().join("gatewright-data/journal");
    let lanes = fs::read_dir(journal).unwrap().map(|lane| lane.unwrap().path()).filter(|lane| lane.is_dir());
    lanes
        .filter_map(|lane| {
            let files = fs::read_dir(lane).unwrap().map(|file| file.unwrap().path());
            files.filter(|file| file.extension().is_some_and(|kind| kind == "gwj1") && length(file) > 0).max()
        })
        .collect()
}

fn length(file: &Path) -> u64 {
    file.metadata().unwrap().len()
}

/// Cuts the end, changes bytes of it, or writes rubbish or an old record behind it; answers how many attempts that can hit.
fn spoil(file: &Path, random: &mut Random) -> usize {
    let mut bytes = fs::read(file).unwrap();
    let reach = usize::try_from(random.below(REACH.min(bytes.len() as u64)) + 1).unwrap();
    let at = bytes.len() - reach;
    let most = match random.below(4) {
        0 => {
            bytes.truncate(at);
            reach / SHORTEST + 1
        }
        1 => {
            for _ in 0..FLIPS {
                let at = at + usize::try_from(random.below(reach as u64)).unwrap();
                bytes[at] ^= 1 << random.below(8);
            }
            FLIPS
        }
        2 => {
            bytes.extend((0..reach).map(|_| random.below(256) as u8));
            0
        }
        _ => {
            bytes.extend(bytes[at..].to_vec());
            0
        }
    };
    fs::write(file, bytes).unwrap();
    most
}
