//! `kill -9` while a gateway starts: closing the books of the one before it may be begun any number of times.

use std::time::{Duration, Instant};

use gatewright_tests::books::Database;
use gatewright_tests::postgres::Postgres;

use crate::check::settle;
use crate::load::{Load, Random, world};

/// How often a start is killed; `KILLS` sets another number.
const KILLS: usize = 100;

/// Starts that are killed between two that are not.
const IN_A_ROW: usize = 5;

/// Clients that ask at the same time.
const CLIENTS: usize = 6;

#[test]
fn a_start_may_be_killed_at_any_moment() {
    check(&Database::Sqlite);
}

#[test]
fn nor_does_that_matter_with_postgresql() {
    check(&Database::Postgres(Postgres::start()));
}

fn check(database: &Database) {
    let kills = std::env::var("KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    // Small segments, so that what is open began in several.
    let (upstream, mut gateway, clients) = world(database, "journal_segment_kb: 64");
    let (load, mut random) = (Load::default(), Random(13));
    load.during(&clients, CLIENTS, || {
        let mut took = 1;
        for kill in 0..kills {
            if kill % IN_A_ROW == 0 {
                upstream.wait_for_requests(upstream.seen().len() + 30);
            }
            gateway.kill();
            gateway.launch();
            std::thread::sleep(Duration::from_millis(random.below(took)));
            if kill % IN_A_ROW == IN_A_ROW - 1 {
                gateway.kill();
                let begun = Instant::now();
                gateway.restart();
                took = u64::try_from(begun.elapsed().as_millis()).unwrap().max(1);
            }
        }
    });
    if !gateway.runs() {
        gateway.kill();
        gateway.restart();
    }
    let whole = load.whole.into_inner().unwrap();
    let told = settle(&upstream, &mut gateway, database, &whole);
    println!("{kills} starts killed, {} answers seen whole, {told}", whole.len());
    assert!(whole.len() > kills, "too little was served to prove anything: {}", whole.len());
}
