//! Every way to break, at every upstream, for clients of every dialect, before the first content and after it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gatewright_tests::client::{Client, Response};
use gatewright_tests::gateway::Gateway;
use gatewright_tests::journal::Entry;
use gatewright_tests::upstream::{Said, Script, Seen, Upstream};

use crate::client::{ask, read, refusal};
use crate::kinds::{AT_HEADS, IN_STREAMS, INPUT, Kind, OUTPUT, SAID, WHOLE};
use crate::wire::{ALL, Wire};

/// Calls that are made at the same time.
const CALLERS: usize = 12;

/// What a good upstream says.
const WORDS: &str = "w0 w1 w2 w3 w4 ";

/// One call.
struct Case {
    number: usize,
    kind: Kind,
    wire: Wire,
    client: Wire,
    place: Place,
    /// Whether another group stands behind the one that breaks.
    fallback: bool,
}

/// Where an answer breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It comes at once.
    Whole,
    BeforeContent,
    AfterContent,
    /// It lacks what nobody needs.
    Nowhere,
}

use Place::{AfterContent, BeforeContent, Nowhere, Whole};

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for wire in ALL {
        let mut clients = vec![Wire::OpenAi, Wire::Anthropic, wire];
        clients.dedup();
        clients.sort_by_key(|client| *client as usize);
        clients.dedup();
        for client in clients {
            let mut add = |kinds: &[Kind], place, fallback| {
                for kind in kinds {
                    all.push(Case { number: all.len(), kind: *kind, wire, client, place, fallback });
                }
            };
            for fallback in [false, true] {
                add(&IN_STREAMS, BeforeContent, fallback);
                add(&[Kind::HugeEvent], BeforeContent, fallback);
                add(&AT_HEADS, BeforeContent, fallback);
                add(&WHOLE, Whole, fallback);
            }
            add(&IN_STREAMS, AfterContent, true);
            add(&[Kind::HugeEvent], AfterContent, true);
            if wire == Wire::OpenAi {
                add(&[Kind::NoDone], Nowhere, true);
            }
        }
    }
    all
}

// === impl Case ===

impl Case {
    fn script(&self) -> Script {
        match self.place {
            Whole => self.kind.whole(),
            BeforeContent => self.kind.stream(self.wire, self.wire.opening()),
            AfterContent | Nowhere => self.kind.stream(self.wire, SAID),
        }
    }

    fn group(&self) -> String {
        let patience = if self.kind.stalls() { "hasty" } else { "patient" };
        let behind = if self.fallback { "backed" } else { "alone" };
        format!("{:?}-{patience}-{behind}", self.wire)
    }

    fn about(&self) -> String {
        let Self { number, kind, wire, client, place, fallback } = self;
        format!("{number}: {kind:?} of {wire:?} for {client:?}, {place:?}, fallback {fallback}")
    }

    /// The name under which its attempts are booked.
    fn customer(&self) -> String {
        format!("case-{}", self.number)
    }

    fn run(&self, client: &Client) -> Result<(), String> {
        let client = client.clone().header("x-litellm-end-user-id", &self.customer());
        let text = format!("case={}. hi", self.number);
        let response = ask(&client, self.client, &self.group(), &text, self.place != Whole);
        let response = response.map_err(|err| format!("{}: {err}", self.about()))?;
        self.judge(&response).map_err(|fault| {
            let shown: String = response.text().chars().take(1500).collect();
            format!("{}: {fault}: {} {shown}", self.about(), response.status)
        })
    }

    fn judge(&self, response: &Response) -> Result<(), String> {
        let before = matches!(self.place, Whole | BeforeContent);
        if before && !self.fallback {
            return match self.kind.statuses().contains(&response.status) {
                false => Err("another status".to_owned()),
                true if refusal(self.client, response).is_empty() => Err("no words".to_owned()),
                true => Ok(()),
            };
        }
        if response.status != 200 || !response.whole {
            return Err("no whole answer".to_owned());
        }
        if self.place == Whole {
            let said = response.text().contains(WORDS);
            return said.then_some(()).ok_or_else(|| "nobody answered".to_owned());
        }
        let got = read(self.client, &response.body);
        let sound = got.finished && got.errors == 0 && got.faults.is_empty();
        match self.place {
            AfterContent if got.finished => Err("a faked finish".to_owned()),
            AfterContent if got.errors != 1 => Err(format!("{} errors", got.errors)),
            AfterContent if !response.text().contains("w0 ") => Err("lost words".to_owned()),
            AfterContent => Ok(()),
            _ if !sound => Err(format!("{:?}", got.faults)),
            Nowhere if !got.text.ends_with("w19 ") => Err("lost words".to_owned()),
            BeforeContent if got.text != WORDS => Err("nobody answered".to_owned()),
            _ => Ok(()),
        }
    }

    /// What the ledger must say of it: whether each attempt is whole.
    fn booked(&self) -> Vec<bool> {
        match self.place {
            Whole | BeforeContent if self.fallback => vec![false, true],
            Nowhere => vec![true],
            _ => vec![false],
        }
    }

    /// Whether the provider says itself that it made nothing; Anthropic has told by then what it read.
    fn is_refused(&self) -> bool {
        (self.kind, self.place) == (Kind::ErrorEvent, BeforeContent) && self.wire != Wire::Anthropic
    }

    fn audit(&self, entries: &[&Entry]) -> Result<(), String> {
        let expected = self.booked();
        if entries.len() != expected.len() {
            return Err(format!("{} entries", entries.len()));
        }
        for (entry, whole) in entries.iter().zip(expected) {
            let ending = if whole { "complete" } else { "failed" };
            let money = |key: &str| entry.0[key].as_f64();
            let (Some(cost), Some(bound)) = (money("cost"), money("bound")) else {
                return Err("no cost".to_owned());
            };
            let used = entry.input() as f64 * INPUT + entry.output() as f64 * OUTPUT;
            if entry.ending() != ending || entry.is_exact() != (whole || self.is_refused()) {
                return Err("another ending".to_owned());
            }
            let costs = cost > 0.0 && entry.input() > 0;
            if (cost - used).abs() > 1e-6 || cost > bound || costs != (whole || !self.is_refused()) {
                return Err("another cost".to_owned());
            }
            if whole && (entry.input(), entry.output()) != (10, 5) {
                return Err("another usage".to_owned());
            }
            if self.place == AfterContent && entry.output() == 0 {
                return Err("what was said is not booked".to_owned());
            }
        }
        Ok(())
    }
}

/// A gateway whose groups break, each alone and with another behind it.
fn gateway(broken: &Upstream, good: &Upstream) -> Gateway {
    let (mut list, mut fallbacks) = (String::new(), Vec::new());
    for wire in ALL {
        for (patience, more) in
            [("patient", &[][..]), ("hasty", &[("timeout", 1.0), ("stream_timeout", 1.0)])]
        {
            for behind in ["alone", "backed"] {
                let group = format!("{wire:?}-{patience}-{behind}");
                list.push_str(&wire.deployment(&group, broken, more));
            }
            fallbacks.push(format!("{{{wire:?}-{patience}-backed: [good]}}"));
        }
    }
    list.push_str(&Wire::OpenAi.deployment("good", good, &[]));
    let router = format!(
        "router_settings: {{num_retries: 0, disable_cooldowns: true, retry_billed: true, stream_idle_timeout: 3, fallbacks: [{}]}}",
        fallbacks.join(", ")
    );
    Gateway::start(&format!("{router}\nmodel_list:\n{list}"))
}

/// The number of the case that a request belongs to.
pub fn number(seen: &Seen) -> Option<usize> {
    let body = String::from_utf8_lossy(&seen.body);
    body.split_once("case=")?.1.split('.').next()?.parse().ok()
}

#[test]
fn whatever_breaks_is_replaced_or_told_and_always_booked() {
    let (broken, good) = (Upstream::start(), Upstream::start());
    let gateway = gateway(&broken, &good);
    let cases = cases();
    let scripts: Vec<_> = cases.iter().map(|case| (case.kind, case.wire, case.place)).collect();
    broken.choose(move |seen| {
        let number = number(seen)?;
        let (kind, wire, place) = scripts[number];
        Some(Case { number, kind, wire, client: wire, place, fallback: false }.script())
    });
    good.choose(|_| Some(Script::says(Said::words(5))));
    let client = Client::of(&gateway);
    let (next, done, faults) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(Vec::new()));
    let times = std::thread::scope(|scope| {
        let neighbour = scope.spawn(|| neighbour(&client, &done));
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                scope.spawn(|| {
                    while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let fault = case.run(&client).err();
                        faults.lock().unwrap().extend(fault);
                    }
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        done.store(true, Ordering::Relaxed);
        neighbour.join().unwrap()
    });
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!("{} cases; {} neighbours: median {:?}, p99 {:?}", cases.len(), times.len(), at(50), at(99));
    let ended = |all: &[Entry]| all.iter().all(|entry| entry.ending() != "running");
    let entries = gateway.journal_when("all ended", ended);
    let mut faults = faults.into_inner().unwrap();
    faults.extend(audit(&cases, &entries));
    faults.sort();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), cases.len(), faults.join("\n"));
}

/// Calls somebody who is well for as long as the others are not; answers how long each took, in order.
fn neighbour(client: &Client, done: &AtomicBool) -> Vec<Duration> {
    let mut times = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let response = ask(client, Wire::OpenAi, "good", "hi", times.len() % 2 == 0).unwrap();
        assert!(response.status == 200 && response.whole, "{}", response.text());
        times.push(begun.elapsed());
    }
    times.sort();
    times
}

fn audit(cases: &[Case], entries: &[Entry]) -> Vec<String> {
    let mut by_customer: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        by_customer.entry(entry.0["customer"].as_str().unwrap_or_default()).or_default().push(entry);
    }
    let fault = |case: &Case| {
        let entries = by_customer.get(&*case.customer()).map(Vec::as_slice).unwrap_or_default();
        let fault = case.audit(entries).err()?;
        Some(format!("{}: the ledger has {fault}: {entries:?}", case.about()))
    };
    cases.iter().filter_map(fault).collect()
}
