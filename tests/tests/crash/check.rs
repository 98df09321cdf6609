//! What must hold between the provider's bill, the journal and the database.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use gatewright_tests::books::{Booked, Books, Database};
use gatewright_tests::client::Client;
use gatewright_tests::gateway::{Gateway, poll};
use gatewright_tests::upstream::{Bill, End, Upstream};

use crate::load::{INPUT_PRICE, OUTPUT_PRICE, number};

/// What a run came to.
pub struct Told {
    reached: usize,
    entries: usize,
    exact: usize,
    /// The cost of the exact entries, the provider's bill, and the cost with all bounds; in nano-dollars.
    costs: [i64; 3],
}

/// Stops the gateway when everything is shipped, and compares all books.
pub fn settle(upstream: &Upstream, gateway: &mut Gateway, database: &Database, whole: &[u64]) -> Told {
    upstream.wait_until_idle();
    shipped(gateway);
    gateway.terminate();
    assert!(gateway.wait_for_exit().success());
    let books = database.books(gateway);
    same_as_the_journal(gateway, &books);
    compare(upstream, &books, whole)
}

/// Compares the provider's bill with the database, and the database with itself.
pub fn compare(upstream: &Upstream, books: &Books, whole: &[u64]) -> Told {
    books.check();
    let bills = upstream.bills();
    let calls: Vec<(u64, &Bill)> =
        upstream.seen().iter().map(|seen| (number(seen), &bills[seen.number])).collect();
    check(&calls, books, whole)
}

/// Waits until no entry waits for the database.
pub fn shipped(gateway: &Gateway) {
    let client = Client::new(gateway.addr());
    let done = poll(Duration::from_secs(30), || {
        let told = client.try_get("/health/readiness").ok()?.json();
        let ended = gateway.journal().iter().all(|entry| entry.ending() != "running");
        (ended && told["db"] == "connected" && told["ledger"]["backlog"] == 0).then_some(())
    });
    assert!(done.is_some(), "not everything was shipped: {}", client.get("/health/readiness").text());
}

fn same_as_the_journal(gateway: &Gateway, books: &Books) {
    let journal: Vec<(String, i64, bool)> = gateway
        .journal()
        .iter()
        .map(|entry| {
            let cost = (entry.0["cost"].as_f64().unwrap() * 1e9).round() as i64;
            (entry.attempt().replace('-', ""), cost, entry.is_exact())
        })
        .collect();
    let mut journal = journal;
    journal.sort();
    let database: Vec<(String, i64, bool)> =
        books.entries.iter().map(|entry| (entry.attempt.clone(), entry.cost, entry.exact)).collect();
    let missing = |from: &[(String, i64, bool)], all: &[(String, i64, bool)]| -> Vec<_> {
        all.iter().filter(|entry| !from.contains(entry)).cloned().collect()
    };
    assert!(
        journal == database,
        "only in the journal: {:?}; only in the database: {:?}",
        missing(&database, &journal),
        missing(&journal, &database)
    );
}

fn check(calls: &[(u64, &Bill)], books: &Books, whole: &[u64]) -> Told {
    let by_model = books.by_model();
    let mut one: HashMap<u64, &Booked> = HashMap::new();
    for (number, bill) in calls {
        let entries = by_model.get(format!("call-{number}").as_str()).map_or(&[] as &[_], Vec::as_slice);
        let [entry] = entries else {
            panic!("call {number} reached the provider and has these entries: {entries:#?}")
        };
        one.insert(*number, entry);
        judge(*number, bill, entry);
    }
    for number in whole {
        let entry = one[number];
        assert!(entry.exact && entry.ending == 0, "the client saw the end of call {number}: {entry:?}");
    }
    let exact = books.entries.iter().filter(|entry| entry.exact);
    let (exact, bill, most) =
        (exact.map(|entry| entry.cost).sum(), calls.iter().map(|(_, bill)| cost(bill)).sum(), books.cost().1);
    assert!(exact <= bill && bill <= most, "{exact} ≤ {bill} ≤ {most}");
    Told {
        reached: calls.len(),
        entries: books.entries.len(),
        exact: books.entries.iter().filter(|entry| entry.exact).count(),
        costs: [exact, bill, most],
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reached, entries, exact, costs: [sum, bill, most] } = self;
        write!(
            f,
            "{reached} requests upstream, {entries} entries, {exact} exact; {sum} ≤ bill {bill} ≤ {most}"
        )
    }
}

/// An exact entry is what the provider bills, any other one has a bound above that.
fn judge(number: u64, bill: &Bill, entry: &Booked) {
    assert!(entry.cost <= entry.bound, "call {number}: {entry:?}");
    if !entry.exact {
        assert!(cost(bill) <= entry.bound, "call {number}: {bill:?} is above the bound of {entry:?}");
        return;
    }
    assert_eq!(entry.cost, cost(bill), "call {number}: {bill:?} {entry:?}");
    if bill.end == End::Sent && bill.status == 200 {
        let used = (i64::try_from(bill.input).unwrap(), i64::try_from(bill.output).unwrap());
        assert_eq!((entry.input, entry.output), used, "call {number}: {entry:?}");
    }
}

/// What the provider bills, in nano-dollars.
pub fn cost(bill: &Bill) -> i64 {
    let tokens = |count: u64| i64::try_from(count).unwrap();
    tokens(bill.input) * INPUT_PRICE + tokens(bill.output) * OUTPUT_PRICE
}
