//! Several gateways on one database, killed together: each journal arrives once, whoever has its directory by then.

use std::fs;
use std::path::{Path, PathBuf};

use gatewright_tests::books::Database;
use gatewright_tests::client::Client;
use gatewright_tests::gateway::{Gateway, Setup};
use gatewright_tests::postgres::Postgres;
use gatewright_tests::upstream::Upstream;
use tempfile::TempDir;

use crate::check::{compare, shipped};
use crate::load::{Load, config, keys, upstream};

/// Clients that ask at the same time.
const CLIENTS: usize = 8;

/// Two gateways with one upstream, and what all of their clients ask.
struct World {
    upstream: Upstream,
    gateways: [Gateway; 2],
    clients: Vec<Client>,
    whole: Vec<u64>,
    next: u64,
}

impl World {
    /// `more` is for the `general_settings` of both; each has its data where `data` says.
    fn start(database: &Database, more: &str, data: [Option<&Path>; 2]) -> Self {
        let upstream = upstream();
        let config = config(&upstream, database, more);
        let gateways = data.map(|data| {
            let setup = Setup::new(config.clone());
            match data {
                Some(data) => setup.data(data).start(),
                None => setup.start(),
            }
        });
        let of_first = keys(&Client::of(&gateways[0]));
        let of_second = of_first.iter().map(|client| client.at(gateways[1].addr()));
        // In turns.
        let pairs = of_first.iter().cloned().zip(of_second);
        let clients = pairs.flat_map(|(first, second)| [first, second]).collect();
        Self { upstream, gateways, clients, whole: Vec::new(), next: 0 }
    }

    /// Lets some calls happen, and kills both in the middle of it.
    fn kill_under_load(&mut self) {
        let (load, enough) = (Load::starting_at(self.next), self.upstream.seen().len() + 60);
        load.during(&self.clients, CLIENTS, || {
            self.upstream.wait_for_requests(enough);
            self.gateways.iter_mut().for_each(Gateway::kill);
        });
        self.next = load.next.into_inner();
        self.whole.extend(load.whole.into_inner().unwrap());
    }

    fn restart(&mut self) {
        self.gateways.iter_mut().for_each(Gateway::restart);
    }

    /// Stops whoever runs and compares all books.
    fn settle(mut self, what: &str, database: &Database, data: &Path) {
        self.upstream.wait_until_idle();
        for gateway in self.gateways.iter_mut().filter_map(|gateway| gateway.runs().then_some(gateway)) {
            shipped(gateway);
            gateway.terminate();
            assert!(gateway.wait_for_exit().success());
        }
        let told = compare(&self.upstream, &database.books_in(data), &self.whole);
        println!("{what}: {} answers seen whole, {told}", self.whole.len());
    }
}

#[test]
fn two_gateways_on_one_file_lose_and_double_nothing() {
    let shared = TempDir::with_prefix("gatewright-shared-").unwrap();
    let url = format!("database_url: \"sqlite://{}/gatewright.db\"", shared.path().display());
    directories(&Database::Sqlite, &url, shared.path());
}

#[test]
fn nor_do_two_on_one_server() {
    directories(&Database::Postgres(Postgres::start()), "", Path::new("unused"));
}

fn directories(database: &Database, more: &str, data: &Path) {
    let mut world = World::start(database, more, [None, None]);
    world.kill_under_load();
    world.restart();
    world.kill_under_load();
    // Each goes on with what the other one left.
    let [first, second] = [0, 1].map(|n| journal(&world.gateways[n]));
    let aside = first.with_extension("aside");
    fs::rename(&first, &aside).unwrap();
    fs::rename(&second, &first).unwrap();
    fs::rename(&aside, &second).unwrap();
    world.restart();
    world.kill_under_load();
    // One never comes back, and the other one gets its directories beside its own.
    for (n, lane) in lanes(&second).into_iter().enumerate() {
        fs::rename(lane, first.join(format!("instance-{}", 100 + n))).unwrap();
    }
    world.gateways[0].restart();
    world.settle("directories in other hands", database, data);
}

#[test]
fn two_gateways_on_one_data_directory_keep_lanes_of_their_own() {
    let shared = TempDir::with_prefix("gatewright-shared-").unwrap();
    let (database, data) = (Database::Sqlite, Some(shared.path()));
    let mut world = World::start(&database, "", [data, data]);
    let held = lanes(&shared.path().join("journal")).len();
    assert!(held >= 2 && held.is_multiple_of(2), "each has its own: {held}");
    for _ in 0..3 {
        world.kill_under_load();
        world.restart();
    }
    assert_eq!(lanes(&shared.path().join("journal")).len(), held, "what the dead left is taken over");
    world.settle("two on one data directory", &database, shared.path());
}

fn journal(gateway: &Gateway) -> PathBuf {
    gateway.dir().join("gatewright-data/journal")
}

/// The directories of a journal.
fn lanes(journal: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(journal).unwrap().map(|lane| lane.unwrap().path());
    found.filter(|lane| lane.is_dir()).collect()
}
