//! Clients of every dialect that leave at every stage: what their upstream notices, how soon, and what is booked.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gatewright_tests::client::{Client, Live};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup};
use gatewright_tests::journal::Entry;
use gatewright_tests::upstream::{End, Ends, Gate, Pause, Said, Script, UNBILLED, Upstream};

use crate::client::request;
use crate::kinds::{INPUT, OUTPUT, SAID};
use crate::wire::{ALL, Wire};

/// Within this an upstream must have noticed; what is wanted is a tenth of a second.
const NOTICED: Duration = Duration::from_secs(2);

/// Where an answer is when its client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing has come of it.
    Unanswered,
    /// Its head has come, and of a stream what says nothing.
    Begun,
    /// Something was said.
    Middle,
}

use Stage::{Begun, Middle, Unanswered};

const STAGES: [(Stage, bool); 5] =
    [(Unanswered, false), (Unanswered, true), (Begun, false), (Begun, true), (Middle, true)];

/// One call whose client leaves.
struct Case {
    number: usize,
    client: Wire,
    wire: Wire,
    stage: Stage,
    stream: bool,
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for client in ALL {
        for wire in [Wire::OpenAi, Wire::Anthropic, client] {
            for (stage, stream) in STAGES {
                all.push(Case { number: all.len(), client, wire, stage, stream });
            }
        }
    }
    all
}

fn gateway(upstream: &Upstream, policy: &str) -> Gateway {
    let list: String = ALL.iter().map(|wire| wire.deployment(&format!("{wire:?}"), upstream, &[])).collect();
    let general = format!("general_settings: {{master_key: {MASTER_KEY}, on_client_leave: {policy}}}");
    Setup::new(format!("router_settings: {{num_retries: 0}}\nmodel_list:\n{list}{general}\n")).start()
}

// === impl Case ===

impl Case {
    fn customer(&self) -> String {
        format!("leaves-{}", self.number)
    }

    fn about(&self) -> String {
        let Self { client, wire, stage, stream, .. } = self;
        format!("{client:?} over {wire:?}, {stage:?}, stream {stream}")
    }

    /// An answer that goes no further than the stage until the gate opens.
    fn script(&self, gate: &Gate) -> Script {
        let words = Script::says(Said::words(20));
        let after = match self.stage {
            Unanswered => return Script { before_head: Pause::Gate(gate.clone()), ..words },
            Begun if self.stream => self.wire.opening(),
            Begun => 0,
            Middle => SAID,
        };
        words.stopping(after, Ends::Hold(gate.clone()))
    }

    /// Asks, and leaves when the answer is where the case says; the request's number and when its client left.
    fn leave(&self, client: &Client, upstream: &Upstream) -> (usize, Instant) {
        let number = upstream.count();
        let (path, body) = request(self.client, &format!("{:?}", self.wire), "hi", self.stream);
        let client = client.clone().header("x-litellm-end-user-id", &self.customer());
        let socket = client.send("POST", &path, body.to_string().as_bytes()).unwrap();
        upstream.wait_for_requests(number + 1);
        match self.stage {
            Unanswered => drop(socket),
            Begun => {
                upstream.wait("its head", |bills| bills[number].status == 200);
                drop(socket);
            }
            Middle => {
                let mut live = Live::read(socket).unwrap();
                let mut seen = Vec::new();
                while !String::from_utf8_lossy(&seen).contains("w0") {
                    seen.extend(live.piece().unwrap().expect("it said nothing"));
                }
                drop(live);
            }
        }
        (number, Instant::now())
    }
}

#[test]
fn an_upstream_whose_client_has_left_is_let_go_at_once_and_billed() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, "cancel");
    let (client, cases) = (Client::of(&gateway), cases());
    let mut times: Vec<(Duration, String)> = Vec::new();
    for case in &cases {
        upstream.push(case.script(&Gate::default()));
        let (number, left) = case.leave(&client, &upstream);
        upstream.wait(&case.about(), |bills| bills[number].end != End::Running);
        assert_eq!(upstream.bills()[number].end, End::Left, "{}", case.about());
        times.push((left.elapsed(), case.about()));
    }
    times.sort();
    let (last, slowest) = &times[times.len() - 1];
    println!(
        "{} upstreams let go: median {:?}, last {last:?} ({slowest})",
        times.len(),
        times[times.len() / 2].0
    );
    assert!(*last <= NOTICED, "{slowest}: {last:?}");
    for (case, entry) in booked(&gateway, &cases) {
        assert!(entry.ending() == "abandoned" && !entry.is_exact(), "{}: {entry:?}", case.about());
        let output = entry.output() > 0;
        assert!(entry.input() > 0 && (output || case.stage != Middle), "{}: {entry:?}", case.about());
        check_cost(case, &entry);
    }
}

#[test]
fn an_upstream_is_read_to_its_end_where_the_operator_wants_the_bill() {
    let upstream = Upstream::start();
    let gateway = gateway(&upstream, "drain");
    let (client, cases) = (Client::of(&gateway), cases());
    for case in &cases {
        let gate = Gate::default();
        upstream.push(case.script(&gate));
        let (number, _) = case.leave(&client, &upstream);
        gate.open();
        upstream.wait(&case.about(), |bills| bills[number].end != End::Running);
        assert_eq!(upstream.bills()[number].end, End::Sent, "{}", case.about());
    }
    for (case, entry) in booked(&gateway, &cases) {
        assert!(entry.ending() == "complete" && entry.is_exact(), "{}: {entry:?}", case.about());
        assert_eq!((entry.input(), entry.output()), (10, 5), "{}: {entry:?}", case.about());
        check_cost(case, &entry);
    }
}

/// The one entry of every case, when all have ended.
fn booked<'a>(gateway: &Gateway, cases: &'a [Case]) -> Vec<(&'a Case, Entry)> {
    let ended =
        |all: &[Entry]| all.len() >= cases.len() && all.iter().all(|entry| entry.ending() != "running");
    let entries = gateway.journal_when("all ended", ended);
    assert_eq!(entries.len(), cases.len());
    let name = |entry: &Entry| entry.0["customer"].as_str().unwrap_or_default().to_owned();
    let by_name: BTreeMap<String, Entry> = entries.into_iter().map(|entry| (name(&entry), entry)).collect();
    cases.iter().map(|case| (case, by_name[&case.customer()].clone())).collect()
}

fn check_cost(case: &Case, entry: &Entry) {
    let money = |key: &str| entry.0[key].as_f64().unwrap();
    // Cohere tells what it does not bill.
    let free = if case.wire == Wire::Cohere && entry.is_exact() { UNBILLED } else { 0 };
    let used = (entry.input() - free) as f64 * INPUT + entry.output() as f64 * OUTPUT;
    assert!((money("cost") - used).abs() < 1e-6, "{}: {entry:?}", case.about());
    assert!(money("bound") >= money("cost"), "{}: {entry:?}", case.about());
}
