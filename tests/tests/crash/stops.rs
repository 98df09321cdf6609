//! SIGTERM under load: whoever was accepted is answered, and everything is shipped before the end.

use std::time::Duration;

use gatewright_tests::books::Database;
use gatewright_tests::postgres::Postgres;

use crate::check::settle;
use crate::load::{Load, Random, world};

/// How often the gateway is stopped; `STOPS` sets another number.
const STOPS: usize = 6;

/// Clients that ask at the same time: in every second round the first few, in the others all, which is more than the
/// gateway takes at once.
const FEW: usize = 6;
const CLIENTS: usize = 48;

#[test]
fn a_gateway_that_is_stopped_cuts_nobody_off_and_loses_nothing() {
    check(&Database::Sqlite);
}

#[test]
fn nor_with_postgresql() {
    check(&Database::Postgres(Postgres::start()));
}

fn check(database: &Database) {
    let stops = std::env::var("STOPS").map_or(STOPS, |stops| stops.parse().unwrap());
    let (upstream, mut gateway, clients) = world(database, "max_connections: 24");
    let (mut random, mut whole, mut next) = (Random(11), Vec::new(), 0);
    for round in 0..stops {
        let load = Load::starting_at(next);
        load.during(&clients, if round % 2 == 0 { FEW } else { CLIENTS }, || {
            std::thread::sleep(Duration::from_millis(100 + random.below(200)));
            gateway.terminate();
            assert!(gateway.wait_for_exit().success());
        });
        let cut = load.cut.into_inner().unwrap();
        assert!(cut.is_empty(), "round {round}: {} calls were cut: {:?}", cut.len(), cut.first());
        whole.extend(load.whole.into_inner().unwrap());
        next = load.next.into_inner();
        assert!(database.books(&gateway).entries.len() >= whole.len(), "what ended is shipped at the end");
        gateway.restart();
    }
    let told = settle(&upstream, &mut gateway, database, &whole);
    println!("{stops} stops, {} answers seen whole, {told}", whole.len());
    assert!(whole.len() > 10 * stops, "too little was served to prove anything: {}", whole.len());
}
