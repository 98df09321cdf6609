//! The journal's disk fills up under load: calls are refused, nothing goes out that is not written down, and when there is
//! room again everything goes on.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gatewright_tests::books::Database;
use gatewright_tests::client::{Client, Response};
use gatewright_tests::disk::SmallDisk;
use gatewright_tests::gateway::{Gateway, Setup, poll};
use gatewright_tests::postgres::Postgres;
use gatewright_tests::upstream::Upstream;

use crate::check::settle;
use crate::load::{Load, world_with};

/// Small segments fill up soon.
const SMALL: &str = "journal_segment_kb: 64";

/// How long a gateway may take to notice what became of its disk.
const PATIENCE: Duration = Duration::from_secs(120);

/// Calls that are refused one after the other once nothing fits any more.
const REFUSED: usize = 40;

/// Clients that ask at the same time.
const CLIENTS: usize = 6;

/// How a disk comes to take no more.
enum Filling {
    /// A small one is filled: no segment can be made.
    Disk(SmallDisk),
    /// The journal's directories become read-only: no segment can be made.
    Lock,
    /// The process may write no further into any file: a segment that is there takes nothing.
    Limit,
}

impl Filling {
    fn set_up(&self, setup: Setup) -> Setup {
        match self {
            Self::Disk(disk) => setup.data(disk.path().join("data")),
            // Who may do everything, may write to what is read-only too.
            Self::Lock if rustix::process::geteuid().is_root() => {
                setup.under(&["setpriv", "--bounding-set=-dac_override"])
            }
            Self::Lock => setup,
            // Whoever writes too far is told, not ended.
            Self::Limit => setup.under(&["/bin/sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""]),
        }
    }

    fn fill(&self, gateway: &Gateway) {
        match self {
            Self::Disk(disk) => disk.fill(),
            Self::Lock => lock(gateway, 0o555),
            Self::Limit => limit(gateway, "1"),
        }
    }

    fn metric(&self) -> &'static str {
        match self {
            Self::Disk(_) | Self::Lock => "gatewright_ledger_journal_full",
            Self::Limit => "gatewright_ledger_journal_failing",
        }
    }

    fn clear(&self, gateway: &Gateway) {
        match self {
            Self::Disk(disk) => disk.clear(),
            Self::Lock => lock(gateway, 0o755),
            Self::Limit => limit(gateway, "unlimited"),
        }
    }
}

/// Sets how long a file of this process may be.
fn limit(gateway: &Gateway, bytes: &str) {
    let mut command = Command::new("prlimit");
    command.arg(format!("--pid={}", gateway.id())).arg(format!("--fsize={bytes}:unlimited"));
    assert!(command.status().unwrap().success());
}

/// Says who may do what in the journal's directories.
fn lock(gateway: &Gateway, mode: u32) {
    let journal = gateway.dir().join("gatewright-data/journal");
    let below =
        fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    for directory in below.chain([journal.clone()]) {
        fs::set_permissions(directory, Permissions::from_mode(mode)).unwrap();
    }
}

#[test]
fn a_full_disk_refuses_calls_and_loses_none() {
    on_a_small_disk(&Database::Sqlite);
}

#[test]
fn nor_with_postgresql() {
    on_a_small_disk(&Database::Postgres(Postgres::start()));
}

#[test]
fn a_directory_that_becomes_read_only_refuses_calls_and_loses_none() {
    check(&Filling::Lock, &Database::Sqlite);
}

#[test]
fn a_disk_that_takes_no_writes_refuses_calls_and_loses_none() {
    check(&Filling::Limit, &Database::Sqlite);
}

#[test]
fn nor_with_postgresql_does_that() {
    check(&Filling::Limit, &Database::Postgres(Postgres::start()));
}

fn on_a_small_disk(database: &Database) {
    match SmallDisk::mount(16 << 20) {
        Some(disk) => check(&Filling::Disk(disk), database),
        None => eprintln!("nothing may be mounted here: a disk that takes no writes has to do"),
    }
}

fn check(filling: &Filling, database: &Database) {
    let (upstream, mut gateway, clients) = world_with(database, SMALL, |setup| filling.set_up(setup));
    let load = Load::default();
    load.during(&clients, CLIENTS, || {
        upstream.wait_for_requests(100);
        filling.fill(&gateway);
        until("calls are refused", || load.once(&clients[0]).status == 503);
    });
    refused(&load, &clients, &upstream);
    let health = Client::of(&gateway);
    let told = health.get("/health/readiness");
    assert!(told.status == 503 && told.text().contains("the journal"), "{}", told.text());
    let metrics = health.get("/metrics").text();
    assert!(metrics.contains(&format!("{} 1\n", filling.metric())), "{metrics}");
    filling.clear(&gateway);
    until("there is room again", || health.get("/health/readiness").status == 200);
    let calls = upstream.seen().len() + 100;
    let load = Load::starting_at(load.next.load(Ordering::Relaxed));
    load.during(&clients, CLIENTS, || upstream.wait_for_requests(calls));
    // It dies with a full disk, too.
    let calls = upstream.seen().len() + 50;
    let load = Load::starting_at(load.next.load(Ordering::Relaxed));
    let mut written = Vec::new();
    load.during(&clients, CLIENTS, || {
        upstream.wait_for_requests(calls);
        written = load.whole.lock().unwrap().clone();
        filling.fill(&gateway);
        until("calls are refused", || load.once(&clients[0]).status == 503);
        gateway.kill();
    });
    gateway.restart();
    if let Filling::Disk(_) | Filling::Lock = filling {
        refused(&load, &clients, &upstream);
        filling.clear(&gateway);
    }
    until("calls are taken", || load.once(&clients[0]).status == 200);
    // A full disk takes the ends of what has begun; one that takes nothing does not, and they died with the process.
    let whole = match filling {
        Filling::Disk(_) | Filling::Lock => load.whole.into_inner().unwrap(),
        Filling::Limit => written,
    };
    let told = settle(&upstream, &mut gateway, database, &whole);
    println!("{told}");
}

/// Fills what is left of the last segments, and then sees call after call refused, and none of them upstream.
pub fn refused(load: &Load, clients: &[Client], upstream: &Upstream) {
    upstream.wait_until_idle();
    let mut in_a_row = 0;
    for client in clients.iter().cycle().take(10_000) {
        let before = upstream.seen().len();
        let answer = load.once(client);
        let reached = upstream.seen().len() - before;
        if answer.status == 200 {
            assert_eq!(reached, 1);
        } else {
            assert_eq!((reached, is_refusal(&answer)), (0, true), "{}", answer.text());
        }
        in_a_row = if answer.status == 200 { 0 } else { in_a_row + 1 };
        if in_a_row == REFUSED {
            return;
        }
    }
    panic!("it takes calls for ever");
}

/// In the dialect of whoever asked.
fn is_refusal(answer: &Response) -> bool {
    let body = answer.json();
    let message = body["error"]["message"].as_str().unwrap();
    let kind = match body["type"].as_str() {
        Some(kind) => kind == "error" && body["error"]["type"] == "overloaded_error",
        None => body["error"]["type"] == "internal_server_error" && body["error"]["code"] == "503",
    };
    answer.status == 503 && kind && message.contains("the spend journal takes no more calls")
}

pub fn until(what: &str, mut check: impl FnMut() -> bool) {
    assert!(poll(PATIENCE, || check().then_some(())).is_some(), "waited in vain: {what}");
}
