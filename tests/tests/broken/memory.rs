//! How much memory broken answers take: eight at a time, no more than a gateway has to spare.

use std::fs;

use bytes::Bytes;
use gatewright_tests::client::Client;
use gatewright_tests::gateway::{Gateway, MASTER, Setup};
use gatewright_tests::upstream::{Ends, Pause, Said, Script, Upstream};

use crate::client::{ask, read};
use crate::kinds::Kind;
use crate::wire::Wire;

/// Broken answers at the same time.
const AT_ONCE: usize = 8;

/// The largest event there is, in bytes.
const ENDLESS: usize = 100 << 20;

/// An event that would be taken if it ever came to its end.
const UNFINISHED: usize = 15 << 20;

/// What a gateway may take more than when it rests, in kilobytes.
const SPARE: u64 = 64 << 10;

/// Seconds for an answer that breaks by itself, and for one that does not.
const PATIENT: f64 = 60.0;
const HASTY: f64 = 3.0;

/// A gateway at rest, and how much memory it has in kilobytes.
fn at_rest(broken: &Upstream, good: &Upstream, wire: Wire, patience: f64) -> (Gateway, u64) {
    let list = wire.deployment("broken", broken, &[("timeout", patience), ("stream_timeout", patience)])
        + &Wire::OpenAi.deployment("good", good, &[]);
    let settings = format!("num_retries: 0, disable_cooldowns: true, stream_idle_timeout: {patience}");
    let router = format!("router_settings: {{{settings}}}");
    // What was given back counts no more: by default the allocator keeps it for a moment, once a worker.
    let setup = Setup::new(format!("{router}\nmodel_list:\n{list}{MASTER}"));
    let gateway = setup.env("MIMALLOC_PURGE_DELAY", "0").start();
    let client = Client::of(&gateway);
    for _ in 0..AT_ONCE {
        assert_eq!(ask(&client, Wire::OpenAi, "good", "hi", true).unwrap().status, 200);
    }
    // From here on the peak is counted anew.
    fs::write(format!("/proc/{}/clear_refs", gateway.id()), "5").unwrap();
    let rest = kilobytes(&gateway, "VmRSS:");
    (gateway, rest)
}

fn kilobytes(gateway: &Gateway, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Lets `script` break so many calls at a time and says how much memory that took.
fn check(name: &str, wire: Wire, script: &Script, stream: bool, patience: f64) {
    let (broken, good) = (Upstream::start(), Upstream::start());
    let (gateway, rest) = at_rest(&broken, &good, wire, patience);
    let again = script.clone();
    broken.choose(move |_| Some(again.clone()));
    good.choose(|_| Some(Script::says(Said::words(5))));
    let client = Client::of(&gateway);
    for calls in [1, AT_ONCE] {
        std::thread::scope(|scope| {
            for _ in 0..calls {
                scope.spawn(|| {
                    let response = ask(&client, Wire::OpenAi, "broken", "hi", stream).unwrap();
                    let told = match response.status {
                        200 => read(Wire::OpenAi, &response.body).errors == 1,
                        status => status >= 500 || status == 408,
                    };
                    assert!(told, "{name}: {} {}", response.status, response.text());
                });
            }
            assert_eq!(ask(&client, Wire::OpenAi, "good", "hi", stream).unwrap().status, 200, "{name}");
        });
        let more = kilobytes(&gateway, "VmHWM:").saturating_sub(rest);
        println!("{name} of {wire:?}, {calls} at a time: {more} kB above {rest} kB");
        assert!(more <= SPARE, "{name} of {wire:?}, {calls} at a time: {more} kB more");
    }
}

#[test]
fn an_endless_event_takes_little_memory() {
    for wire in [Wire::OpenAi, Wire::Anthropic, Wire::Ollama, Wire::Converse] {
        let event: Bytes = wire.huge(ENDLESS);
        for after in [wire.opening(), crate::kinds::SAID] {
            let script = Script::says(Said::words(20)).stopping(after, Ends::Insert(event.clone()));
            check(&format!("an event of 100 MB after {after}"), wire, &script, true, PATIENT);
        }
    }
}

#[test]
fn events_that_stop_below_the_limit_wait_for_each_other() {
    for wire in [Wire::OpenAi, Wire::Anthropic, Wire::Ollama, Wire::Converse] {
        // All of them are gathered at the same time, whoever is first.
        let event = wire.huge(UNFINISHED);
        let script = Script { between: Pause::Forever, ..Script::says(Said::words(20)) };
        let script = script.stopping(1, Ends::Insert(event.slice(..event.len() - 100)));
        check("an unfinished event of 15 MB", wire, &script, true, HASTY);
    }
}

#[test]
fn an_answer_that_unfolds_takes_little_memory() {
    for kind in [Kind::Gzip, Kind::Deflate] {
        for status in [200, 500] {
            for (stream, kind_of) in [(false, "application/json"), (true, "text/event-stream")] {
                let script = Script { status, ..kind.bomb(kind_of) };
                check(&format!("{kind:?} with {status}"), Wire::OpenAi, &script, stream, PATIENT);
            }
        }
    }
}
