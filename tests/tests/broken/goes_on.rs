//! Streams that break off after their first content and go on elsewhere, at every upstream, for clients of every dialect.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use gatewright_tests::client::Client;
use gatewright_tests::gateway::Gateway;
use gatewright_tests::journal::Entry;
use gatewright_tests::upstream::{Said, Script, Seen, Upstream};

use crate::client::{ask, read};
use crate::kinds::{Kind, SAID};
use crate::matrix::number;
use crate::wire::{ALL, Wire};

/// Calls that are made at the same time.
const CALLERS: usize = 12;

/// How a stream breaks off.
const KINDS: [Kind; 5] = [Kind::Eof, Kind::Short, Kind::BadJson, Kind::ErrorEvent, Kind::StalledBody];

/// What the one says that goes on.
const REST: &str = "and so on";

/// One call.
#[derive(Clone, Copy)]
struct Case {
    kind: Kind,
    /// Who breaks off.
    wire: Wire,
    /// Who goes on.
    other: Wire,
    client: Wire,
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for client in ALL {
        for wire in ALL {
            all.extend(KINDS.map(|kind| Case { kind, wire, other: Wire::OpenAi, client }));
        }
        for other in ALL {
            all.extend([Wire::OpenAi, Wire::Anthropic].map(|wire| Case {
                kind: Kind::Eof,
                wire,
                other,
                client,
            }));
        }
    }
    all
}

// === impl Case ===

impl Case {
    fn about(self, number: usize) -> String {
        let Self { kind, wire, other, client } = self;
        format!("{number}: {kind:?} of {wire:?} for {client:?}, then {other:?}")
    }

    fn group(self) -> String {
        format!("{:?}-then-{:?}", self.wire, self.other)
    }

    /// Answers what the client read before the rest.
    fn run(self, number: usize, client: &Client) -> Result<String, String> {
        let client = client.clone().header("x-litellm-end-user-id", &format!("case-{number}"));
        let response = ask(&client, self.client, &self.group(), &format!("case={number}. hi"), true);
        let response = response.map_err(|err| err.to_string())?;
        let got = read(self.client, &response.body);
        let shown = response.text();
        if response.status != 200 || !response.whole {
            return Err(format!("no whole answer: {} {shown}", response.status));
        }
        if !got.finished || got.errors != 0 || !got.faults.is_empty() {
            return Err(format!(
                "finished {}, {} errors, {:?}: {shown}",
                got.finished, got.errors, got.faults
            ));
        }
        let said =
            got.text.strip_suffix(REST).ok_or_else(|| format!("{:?} does not go on: {shown}", got.text))?;
        let words: String = (0..20).map(|nth| format!("w{nth} ")).collect();
        match words.starts_with(said) && !said.is_empty() {
            true => Ok(said.to_owned()),
            false => Err(format!("{said:?} is not what was said: {shown}")),
        }
    }

    fn audit(self, entries: &[&Entry]) -> Result<(), String> {
        let ends: Vec<_> = entries.iter().map(|entry| (entry.ending(), entry.is_exact())).collect();
        if ends != [("failed", false), ("complete", true)] {
            return Err(format!("{ends:?}"));
        }
        let booked = entries[0].output() > 0 && entries[0].input() > 0;
        let exact = entries.get(1).is_none_or(|rest| (rest.input(), rest.output()) == (10, 5));
        (booked && exact).then_some(()).ok_or_else(|| "another usage".to_owned())
    }
}

fn gateway(broken: &Upstream, good: &Upstream) -> Gateway {
    let (mut list, mut fallbacks) = (String::new(), Vec::new());
    for other in ALL {
        list.push_str(&other.deployment(&format!("{other:?}"), good, &[]));
        for wire in ALL {
            let group = format!("{wire:?}-then-{other:?}");
            list.push_str(&wire.deployment(&group, broken, &[]));
            fallbacks.push(format!("{{{group}: [{other:?}]}}"));
        }
    }
    Gateway::start(&format!(
        "router_settings: {{num_retries: 0, disable_cooldowns: true, stream_idle_timeout: 2, \
         enable_mid_stream_fallback_continuation: true, fallbacks: [{}]}}\nmodel_list:\n{list}",
        fallbacks.join(", ")
    ))
}

/// Does something with each, many at the same time.
fn at_once<C: Copy + Sync, T: Send>(cases: &[C], run: impl Fn(usize, C) -> T + Sync) -> Vec<(usize, T)> {
    let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(number) else { return };
                    let outcome = run(number, *case);
                    outcomes.lock().unwrap().push((number, outcome));
                }
            });
        }
    });
    outcomes.into_inner().unwrap()
}

/// Whether a question has these words in it, behind its own.
fn asks_with(seen: &Seen, said: &str) -> bool {
    String::from_utf8_lossy(&seen.body).contains(said.trim_end())
}

#[test]
fn whatever_breaks_off_goes_on_as_one_answer_in_the_clients_dialect() {
    let (broken, good) = (Upstream::start(), Upstream::start());
    let gateway = gateway(&broken, &good);
    let cases = cases();
    let scripts = cases.clone();
    broken.choose(move |seen| {
        let Case { kind, wire, .. } = scripts[number(seen)?];
        Some(kind.stream(wire, SAID))
    });
    good.choose(|_| Some(Script::says(Said::text(["and ", "so ", "on"]))));
    let client = Client::of(&gateway);
    let outcomes = at_once(&cases, |number, case| case.run(number, &client));
    let ended = |all: &[Entry]| all.iter().all(|entry| entry.ending() != "running");
    let entries = gateway.journal_when("all ended", ended);
    let mut by_customer: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in &entries {
        by_customer.entry(entry.0["customer"].as_str().unwrap_or_default()).or_default().push(entry);
    }
    let asked: BTreeMap<usize, Seen> =
        good.seen().into_iter().filter_map(|seen| Some((number(&seen)?, seen))).collect();
    let mut faults = Vec::new();
    for (nth, outcome) in outcomes {
        let case = cases[nth];
        let booked = by_customer.get(&*format!("case-{nth}")).map(Vec::as_slice).unwrap_or_default();
        let booked = case.audit(booked).map_err(|fault| format!("the ledger: {fault}"));
        let asked = match (&outcome, asked.get(&nth)) {
            (Ok(said), Some(seen)) if !asks_with(seen, said) => Err("not asked to go on".to_owned()),
            _ => Ok(()),
        };
        for fault in [outcome.map(drop).err(), booked.err(), asked.err()].into_iter().flatten() {
            faults.push(format!("{}: {fault}", case.about(nth)));
        }
    }
    println!("{} cases", cases.len());
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), cases.len(), faults.join("\n"));
}

#[test]
fn wherever_it_breaks_off_the_client_reads_one_answer() {
    let (broken, good) = (Upstream::start(), Upstream::start());
    let gateway = gateway(&broken, &good);
    let pairs = ALL.into_iter().flat_map(|wire| ALL.map(|client| (wire, client)));
    let cases: Vec<_> =
        pairs.flat_map(|(wire, client)| (0..30).map(move |after| (wire, client, after))).collect();
    let scripts = cases.clone();
    broken.choose(move |seen| {
        let (wire, _, after) = scripts[number(seen)?];
        Some(Kind::Eof.stream(wire, after))
    });
    good.choose(|_| Some(Script::says(Said::text(["and ", "so ", "on"]))));
    let caller = Client::of(&gateway);
    let outcomes = at_once(&cases, |number, (wire, client, after)| {
        let group = Case { kind: Kind::Eof, wire, other: Wire::OpenAi, client }.group();
        let response = ask(&caller, client, &group, &format!("case={number}. hi"), true).unwrap();
        let got = read(client, &response.body);
        let words: String = (0..20).map(|nth| format!("w{nth} ")).collect();
        let sound = got.finished && got.errors == 0 && got.faults.is_empty();
        let one = match got.text.strip_suffix(REST) {
            // It was whole, or so nearly that nothing more could be said; or it cannot go on.
            None => words.starts_with(&got.text) && (got.errors == 1 || (sound && got.text == words)),
            Some(said) => sound && words.starts_with(said),
        };
        let about = || format!("{wire:?} for {client:?} after {after}: {got:?}: {}", response.text());
        ((!one).then(about), sound && got.text.len() > REST.len() && got.text.ends_with(REST))
    });
    let went_on = outcomes.iter().filter(|(_, (_, went_on))| *went_on).count();
    let faults: Vec<_> = outcomes.into_iter().filter_map(|(_, (fault, _))| fault).collect();
    println!("{} cases, {went_on} went on", cases.len());
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), cases.len(), faults.join("\n"));
    assert!(went_on * 2 > cases.len(), "{went_on} of {}", cases.len());
}
