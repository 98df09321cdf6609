//! A process that is killed at any moment: what it acknowledged is found, exactly once.
#![cfg(test)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{AttemptId, CallId, Money, SystemClock, Usage};
use gatewright_spend::{
    Begin, Certainty, Checkpoint, Ending, Entry, Hit, Journal, Settings, Settle, Spared, State, Tenant,
    entries,
};
use proptest::test_runner::{RngAlgorithm, TestRng};

const KILLS: usize = 20;
const DIRECTORY: &str = "JOURNAL_UNDER_TEST";

fn begin(n: i64) -> Begin {
    Begin {
        attempt: AttemptId::fresh(),
        call: CallId::fresh(),
        caller: "master".into(),
        tenant: Tenant::default(),
        group: "fast".into(),
        deployment: "fast-1".into(),
        provider: "openai".into(),
        model: "gpt-4o-mini".into(),
        started: 0,
        input_estimate: 10,
        output_cap: 100,
        floor: Money(n),
        bound: Money(1_000_000_000),
        spared: None,
    }
}

/// Not a test: the process that is killed. It tells what it did, after it did it.
#[test]
#[ignore = "runs forever, as a child of the test below"]
fn appends_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIRECTORY) else { return };
    let settings = Settings { segment_bytes: 64 << 10, ..Settings::at(dir) };
    let journal = Journal::open(settings, Arc::new(SystemClock)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let journal = journal.clone();
            scope.spawn(move || append(&journal, thread));
        }
    });
}

fn append(journal: &Journal, thread: i64) {
    let tell = |text: String| std::io::stdout().lock().write_all(text.as_bytes()).unwrap();
    let mut open = Vec::new();
    for n in 0.. {
        let begin = begin(n);
        let id = begin.attempt;
        let ticket = journal.begin(&begin).unwrap();
        tell(format!("@begin {id}\n"));
        if n % 5 == 0 {
            let usage = Usage { output: 9, ..Usage::default() };
            journal.checkpoint(&ticket, &Checkpoint { attempt: id, usage, cost: Money(n + 1) });
        }
        if n % 6 == 0 {
            let spared = Some(Spared { key: "k".into(), saved: Money(n), whole: true });
            let begin = Begin { spared, ..self::begin(n) };
            let attempt = begin.attempt;
            journal.hit(&Hit { begin, settle: settle(attempt, Money::ZERO) });
            tell(format!("@begin {attempt}\n@settle {attempt} 0\n"));
        }
        open.push((ticket, id, n));
        if (n + thread) % 4 != 0 {
            let (ticket, attempt, n) = open.swap_remove(open.len() / 2);
            journal.settle(ticket, &settle(attempt, Money(n + 2)));
            tell(format!("@settle {attempt} {}\n", n + 2));
        }
    }
}

fn settle(attempt: AttemptId, cost: Money) -> Settle {
    Settle {
        attempt,
        ending: Ending::Complete,
        certainty: Certainty::Exact,
        usage: Usage { output: 100, ..Usage::default() },
        cost,
        first_content: None,
        duration: Duration::from_millis(1),
        response: None,
    }
}

fn child(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "appends_until_it_is_killed", "--ignored", "--nocapture"])
        .env(DIRECTORY, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Reads what the child tells; kills it after so many lines, and reads what was told until then.
fn listen_and_kill(mut child: Child, after: u64, told: &mut HashMap<String, Option<i64>>) {
    let mut lines = 0;
    let pipe = BufReader::new(child.stdout.take().unwrap());
    for line in pipe.split(b'\n').map(Result::unwrap) {
        // The harness's own words share the pipe.
        let line = String::from_utf8(line).unwrap();
        let Some((_, line)) = line.split_once('@') else { continue };
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["begin", id] if id.len() == 36 => drop(told.entry(id.into()).or_default()),
            ["settle", id, cost] => {
                // The last line may be cut: then its number is not to be trusted.
                told.insert(id.into(), cost.parse().ok());
            }
            _ => {}
        }
        lines += 1;
        if lines == after {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(lines >= after, "the child ended by itself");
}

#[test]
fn what_a_killed_process_acknowledged_is_found_exactly_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut told = HashMap::new();
    for kill in 0..KILLS {
        let after = 1 + u64::from(rand_u16(&mut random)) % 1500;
        listen_and_kill(child(dir.path()), after, &mut told);
        let mut found: HashMap<String, Entry> = HashMap::new();
        let mut last = 0;
        for entry in entries(dir.path()).unwrap() {
            let entry = entry.unwrap();
            // An answer of the cache is written at its end.
            let hit = entry.begin.spared.is_some().then_some(entry.duration).flatten().unwrap_or_default();
            let written = entry.begin.started + u64::try_from(hit.as_micros()).unwrap();
            assert!(written >= last, "in order of start");
            last = written;
            let twice = found.insert(entry.begin.attempt.to_string(), entry);
            assert!(twice.is_none(), "{twice:?}");
        }
        for (id, settled) in &told {
            let entry = found.get(id).unwrap_or_else(|| panic!("{id} is lost after kill {kill}"));
            match (settled, &entry.state) {
                (Some(cost), state) => {
                    assert_eq!(*state, State::Ended(Ending::Complete));
                    assert_eq!((entry.cost, entry.certainty), (Money(*cost), Certainty::Exact));
                }
                // It was written and there was no time to tell.
                (None, State::Ended(Ending::Complete)) => {}
                (None, state) => assert_eq!(*state, State::Ended(Ending::Interrupted)),
            }
        }
    }
    assert!(told.len() > 1000, "under load: {}", told.len());
}

fn rand_u16(random: &mut TestRng) -> u16 {
    use proptest::prelude::Rng;
    random.next_u32() as u16
}
