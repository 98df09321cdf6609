//! `kill -9` at random moments under load.

use std::time::Duration;

use gatewright_tests::books::Database;
use gatewright_tests::postgres::Postgres;

use crate::check::settle;
use crate::load::{Load, Random, world};

/// How often the gateway is killed; `KILLS` sets another number.
const KILLS: usize = 25;

/// Clients that ask at the same time.
const CLIENTS: usize = 9;

#[test]
fn no_attempt_is_lost_or_doubled_when_the_gateway_is_killed() {
    check(&Database::Sqlite);
}

#[test]
fn nor_with_postgresql() {
    check(&Database::Postgres(Postgres::start()));
}

fn check(database: &Database) {
    let kills = std::env::var("KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let (upstream, mut gateway, clients) = world(database, "");
    let load = Load::default();
    load.during(&clients, CLIENTS, || {
        let mut random = Random(7);
        for _ in 0..kills {
            std::thread::sleep(Duration::from_millis(10 + random.below(300)));
            gateway.kill();
            // Now and then before it has read what its predecessor left.
            while random.below(4) == 0 {
                gateway.launch();
                std::thread::sleep(Duration::from_millis(random.below(60)));
                gateway.kill();
            }
            gateway.restart();
        }
    });
    let whole = load.whole.into_inner().unwrap();
    let told = settle(&upstream, &mut gateway, database, &whole);
    println!("{kills} kills, {} answers seen whole, {told}", whole.len());
    assert!(whole.len() > 2 * kills, "too little was served to prove anything: {}", whole.len());
}
