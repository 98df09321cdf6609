//! `kill -9` under load: every attempt that reached the provider is in the journal once, and what a client saw end is
//! booked exactly.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::{Gateway, deployment};
use gatewright_tests::journal::Entry;
use gatewright_tests::upstream::{Pause, Said, Script, Seen, Upstream};
use serde_json::json;

/// How often the gateway is killed.
const KILLS: usize = 50;

/// Clients that ask at the same time.
const CLIENTS: usize = 8;

/// What all clients share. Each call asks for a model of its own, so that its attempt is known by name everywhere.
#[derive(Default)]
struct Load {
    next: AtomicU64,
    stop: AtomicBool,
    seen_whole: Mutex<Vec<u64>>,
}

#[test]
fn no_attempt_is_lost_when_the_gateway_is_killed() {
    let upstream = Upstream::start();
    upstream.choose(|seen| Some(script(seen)));
    let list = deployment("\"openai/*\"", "openai/*", &upstream, "");
    let mut gateway = Gateway::start(&format!(
        "router_settings: {{num_retries: 0, disable_cooldowns: true}}\nmodel_list:\n{list}"
    ));
    let load = Load::default();
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (client, load) = (Client::of(&gateway), &load);
            scope.spawn(move || ask(&client, number % 2 == 0, load));
        }
        let mut random = Random(7);
        for _ in 0..KILLS {
            std::thread::sleep(Duration::from_millis(10 + random.below(90)));
            gateway.kill();
            gateway.restart();
        }
        load.stop.store(true, Ordering::Relaxed);
    });
    upstream.wait_until_idle();
    // Whoever starts next closes the books of whoever was killed.
    gateway.kill();
    gateway.restart();
    let closed = |entries: &[Entry]| entries.iter().all(|entry| entry.ending() != "running");
    let entries = gateway.journal_when("every attempt to be closed", closed);
    check(&upstream.seen(), &entries, &load.seen_whole.into_inner().unwrap());
}

fn check(reached: &[Seen], entries: &[Entry], whole: &[u64]) {
    let mut by_model: HashMap<&str, Vec<&Entry>> = HashMap::new();
    for entry in entries {
        by_model.entry(entry.model()).or_default().push(entry);
    }
    for seen in reached {
        let name = format!("call-{}", number(seen));
        let count = by_model.get(name.as_str()).map_or(0, Vec::len);
        assert_eq!(count, 1, "{name} reached the provider and has {count} entries");
    }
    for number in whole {
        let entry = by_model[format!("call-{number}").as_str()][0];
        let exact = entry.is_exact() && entry.ending() == "complete";
        assert!(
            exact && entry.input() == 1000 + number,
            "the client saw the end of call {number}: {entry:?}"
        );
    }
    // An attempt is noted before it is sent, so one that died in between has an entry and no request.
    let unsent = entries.len() - reached.len();
    println!("{} attempts, {} seen whole, {unsent} noted and not sent", reached.len(), whole.len());
    assert!(whole.len() > 2 * KILLS, "too little was served to prove anything: {}", whole.len());
}

fn script(seen: &Seen) -> Script {
    let mut random = Random(0x9e37_79b9 ^ seen.number as u64);
    let mut said = Said::words(1 + random.below(6) as usize);
    said.used.input = 1000 + number(seen);
    Script {
        before_head: Pause::millis(random.below(12)),
        between: Pause::millis(random.below(6)),
        ..Script::says(said)
    }
}

/// The number of the call, which its model's name carries.
fn number(seen: &Seen) -> u64 {
    let body = seen.json();
    let model = body["model"].as_str().unwrap();
    model.trim_start_matches("call-").parse().unwrap()
}

/// Asks until told to stop; notes each answer that came whole.
fn ask(client: &Client, stream: bool, load: &Load) {
    while !load.stop.load(Ordering::Relaxed) {
        let number = load.next.fetch_add(1, Ordering::Relaxed);
        let body = chat(&format!("openai/call-{number}"), "hi", json!({"stream": stream})).to_string();
        let Ok(live) = client.open("POST", "/v1/chat/completions", body.as_bytes()) else {
            std::thread::sleep(Duration::from_millis(2));
            continue;
        };
        let response = live.finish();
        let text = response.text();
        let whole = response.whole && response.status == 200 && (!stream || text.contains("[DONE]"));
        if whole && !text.contains("\"error\"") {
            load.seen_whole.lock().unwrap().push(number);
        }
    }
}

/// A small generator, so that a run can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
