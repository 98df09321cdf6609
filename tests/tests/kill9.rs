//! `kill -9` under load: every attempt that reached the provider is in the journal once, and what a client saw end is
//! booked exactly.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::{Gateway, model};
use gatewright_tests::upstream::{Pause, Said, Script, Upstream};
use serde_json::json;

/// How often the gateway is killed.
const KILLS: usize = 50;

/// Clients that ask at the same time.
const CLIENTS: usize = 8;

#[test]
fn no_attempt_is_lost_when_the_gateway_is_killed() {
    let upstream = Upstream::start();
    upstream.choose(|seen| {
        let mut random = Random(0x9e37_79b9 ^ seen.number as u64);
        let mut said = Said::words(1 + random.below(6) as usize);
        // The number makes each attempt recognisable in the journal.
        said.used.input = 1000 + seen.number as u64;
        said.used.output = 7;
        Some(Script {
            before_head: Pause::millis(random.below(12)),
            between: Pause::millis(random.below(6)),
            ..Script::says(said)
        })
    });
    let mut gateway = Gateway::start(&format!(
        "router_settings: {{num_retries: 0, disable_cooldowns: true}}\n{}",
        model("m", "openai/gpt-4o", &upstream)
    ));
    let stop = AtomicBool::new(false);
    let seen_whole = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let client = Client::of(&gateway);
            let (stop, seen_whole) = (&stop, &seen_whole);
            scope.spawn(move || ask(&client, number % 2 == 0, stop, seen_whole));
        }
        let mut random = Random(7);
        for _ in 0..KILLS {
            std::thread::sleep(Duration::from_millis(10 + random.below(90)));
            gateway.kill();
            gateway.restart();
        }
        stop.store(true, Ordering::Relaxed);
    });
    upstream.wait_until_idle();
    // Whoever starts next closes the books of whoever was killed.
    gateway.kill();
    gateway.restart();
    let reached = upstream.seen().len();
    let entries = gateway.journal_when("every attempt to be closed", |entries| {
        entries.len() >= reached && entries.iter().all(|entry| entry.ending() != "running")
    });
    let mut attempts = HashMap::new();
    for entry in &entries {
        *attempts.entry(entry.attempt().to_owned()).or_insert(0) += 1;
    }
    assert!(attempts.values().all(|count| *count == 1), "an attempt has several entries");
    // An attempt is noted before it is sent, so one that died in between may have an entry and no request.
    let unsent = entries.len() - reached;
    assert!(unsent <= KILLS * CLIENTS, "{unsent} entries have no request");
    let exact: HashMap<u64, usize> = entries
        .iter()
        .filter(|entry| entry.is_exact() && entry.ending() == "complete")
        .fold(HashMap::new(), |mut map, entry| {
            *map.entry(entry.input()).or_default() += 1;
            map
        });
    assert!(exact.values().all(|count| *count == 1), "an answer is booked twice");
    let whole = seen_whole.into_inner().unwrap();
    for number in &whole {
        assert_eq!(
            exact.get(&(1000 + number)),
            Some(&1),
            "answer {number} was seen whole and is not booked exactly"
        );
    }
    println!("{reached} attempts, {} seen whole, {} entries, {unsent} not sent", whole.len(), entries.len());
    assert!(whole.len() > KILLS, "too little was served to prove anything: {}", whole.len());
}

/// Asks until told to stop; notes the provider's number of each answer that came whole.
fn ask(client: &Client, stream: bool, stop: &AtomicBool, seen_whole: &Mutex<Vec<u64>>) {
    let body = chat("m", "hi", json!({"stream": stream})).to_string();
    while !stop.load(Ordering::Relaxed) {
        let answer = client.open("POST", "/v1/chat/completions", body.as_bytes()).map(|live| live.finish());
        let Ok(response) = answer else {
            std::thread::sleep(Duration::from_millis(2));
            continue;
        };
        let text = response.text();
        let whole = response.whole
            && response.status == 200
            && (!stream || text.contains("[DONE]"))
            && !text.contains("\"error\"");
        let id = text
            .split("chatcmpl-fake")
            .nth(1)
            .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
        if let (true, Some(Ok(number))) = (whole, id.map(|id| id.parse())) {
            seen_whole.lock().unwrap().push(number);
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
