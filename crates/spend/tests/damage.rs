//! Whatever happens to the files: never a wrong record, never a lost one that was not hit itself.
#![cfg(test)]

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{AttemptId, CallId, Money, SystemClock, Usage};
use gatewright_spend::{
    Begin, Certainty, Checkpoint, Damage, Ending, Hit, Journal, Position, Reader, Record, Settings, Settle,
    Spared, State, Sync, Tenant, entries,
};
use proptest::prelude::*;

fn settings(dir: &Path) -> Settings {
    Settings { segment_bytes: 2048, sync: Sync::Never, ..Settings::at(dir) }
}

fn begin(n: u64) -> Begin {
    Begin {
        attempt: AttemptId::fresh(),
        call: CallId::fresh(),
        caller: "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b".into(),
        tenant: tenant(n),
        group: "fast".into(),
        deployment: format!("fast-{n}").into(),
        provider: "openai".into(),
        model: "gpt-4o-mini".into(),
        started: 0,
        input_estimate: n,
        output_cap: 1000,
        floor: Money(n as i64),
        bound: Money(1_000_000 + n as i64),
        spared: n.is_multiple_of(7).then(|| spared(n, false)),
    }
}

/// What the cache gave of an answer.
fn spared(n: u64, whole: bool) -> Spared {
    Spared { key: format!("ns:{n:064x}").into(), saved: Money(n as i64), whole }
}

/// An answer of the cache.
fn hit(n: u64) -> Hit {
    let asked =
        Begin { input_estimate: 0, output_cap: 0, floor: Money::ZERO, bound: Money::ZERO, ..begin(n) };
    let begin = Begin { spared: Some(spared(n, true)), ..asked };
    let settle =
        Settle { cost: Money::ZERO, certainty: Certainty::Exact, response: None, ..settle(&begin, n) };
    Hit { begin, settle }
}

/// All, some or none of it.
fn tenant(n: u64) -> Tenant {
    let name = |bit: u64| (n >> bit & 1 == 1).then(|| format!("name-{n}").into());
    Tenant {
        team: name(0),
        user: name(1),
        organization: name(2),
        project: name(3),
        customer: name(4),
        trace: (n >> 5 & 1 == 1).then(|| "0af7651916cd43dd8448eb211c80319c".into()),
        tags: (0..n % 3).map(|tag| format!("tag-{tag}").into()).collect(),
    }
}

fn settle(begin: &Begin, n: u64) -> Settle {
    let ending = match n % 3 {
        0 => Ending::Complete,
        1 => Ending::Failed { kind: "Timeout".into(), status: 408 },
        _ => Ending::Abandoned,
    };
    Settle {
        attempt: begin.attempt,
        ending,
        certainty: if n.is_multiple_of(3) { Certainty::Exact } else { Certainty::Estimated },
        usage: Usage {
            input: n,
            output: 77,
            cache_read: 1 << 40,
            reported_cost: Some(Money(-3)),
            ..Usage::default()
        },
        cost: Money(900 + n as i64),
        first_content: n.is_multiple_of(2).then_some(Duration::from_millis(n)),
        duration: Duration::from_millis(12 + n),
        response: n.is_multiple_of(4).then(|| "chatcmpl-AbCdEf".into()),
    }
}

/// Four attempts run at any time; each third notes how far it is; the last four never end.
fn fill(dir: &Path, attempts: u64) -> Vec<Record> {
    fill_as(settings(dir), attempts)
}

fn fill_as(settings: Settings, attempts: u64) -> Vec<Record> {
    let journal = Journal::open(settings, Arc::new(SystemClock)).unwrap();
    let mut running = std::collections::VecDeque::new();
    for n in 0..attempts {
        let begin = begin(n);
        let ticket = journal.begin(&begin).unwrap();
        if n.is_multiple_of(3) {
            let usage = Usage { output: n, ..Usage::default() };
            journal.checkpoint(&ticket, &Checkpoint { attempt: begin.attempt, usage, cost: Money(n as i64) });
        }
        if n.is_multiple_of(5) {
            journal.hit(&hit(n));
        }
        running.push_back((ticket, settle(&begin, n)));
        if running.len() > 4 {
            let (ticket, settle) = running.pop_front().unwrap();
            journal.settle(ticket, &settle);
        }
    }
    let instance = journal.health().instances[0].clone();
    drop(journal);
    Reader::open(&instance).unwrap().map(Result::unwrap).collect()
}

/// Every record's file and place, in order; `None` for the marks between them.
fn places(instance: &Path) -> Vec<(PathBuf, std::ops::Range<usize>, bool)> {
    let mut files: Vec<_> = std::fs::read_dir(instance).unwrap().map(|item| item.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some());
    files.sort();
    let mut places = Vec::new();
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let mut at = 0;
        while at < bytes.len() {
            let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
            places.push((file.clone(), at..at + 8 + length, bytes[at + 8] == 4));
            at += 8 + length;
        }
    }
    places
}

#[test]
fn records_are_read_as_they_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let records = fill(dir.path(), 60);
    let places = places(&dir.path().join("instance-0"));
    assert!(places.iter().filter(|(_, _, mark)| *mark).count() > 3, "several segments");
    let mut longest = (0, 0);
    let mut seen = HashMap::new();
    for (record, (_, place, _)) in records.iter().zip(places.iter().filter(|(_, _, mark)| !mark)) {
        match record {
            Record::Begin(begin) => {
                if begin.spared.is_none() {
                    longest.0 = place.len().max(longest.0);
                }
                seen.insert(begin.attempt, begin.input_estimate);
                let want = Begin {
                    attempt: begin.attempt,
                    call: begin.call,
                    started: begin.started,
                    ..self::begin(begin.input_estimate)
                };
                assert_eq!(**begin, want);
            }
            Record::Hit(got) => {
                let want = hit(got.settle.usage.input);
                let (attempt, started) = (got.begin.attempt, got.begin.started);
                assert!(started > 0);
                let begin = Begin { attempt, call: got.begin.call, started, ..want.begin };
                assert_eq!(**got, Hit { begin, settle: Settle { attempt, ..want.settle } });
            }
            Record::Checkpoint(checkpoint) => assert_eq!(checkpoint.cost.0 as u64, seen[&checkpoint.attempt]),
            Record::Settle(got) => {
                longest.1 = place.len().max(longest.1);
                let n = seen[&got.attempt];
                let begin = Begin { attempt: got.attempt, ..begin(n) };
                assert_eq!(*got, settle(&begin, n));
            }
        }
    }
    assert!(longest.0 + longest.1 <= 300, "an attempt takes {longest:?} bytes");
}

#[test]
fn starts_never_run_backwards() {
    let dir = tempfile::tempdir().unwrap();
    let clock = gatewright_core::HandClock::new();
    clock.forward(Duration::from_secs(3600));
    let started = |clock: Arc<gatewright_core::HandClock>| {
        let journal = Journal::open(settings(dir.path()), clock).unwrap();
        drop(journal.begin(&begin(1)).unwrap());
    };
    started(clock);
    started(gatewright_core::HandClock::new());
    let starts: Vec<_> = entries(dir.path()).unwrap().map(|entry| entry.unwrap().begin.started).collect();
    assert_eq!(starts, [1_763_686_222_000_000; 2]);
}

#[test]
fn a_reader_goes_on_from_where_another_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let records = fill(dir.path(), 40);
    let instance = dir.path().join("instance-0");
    let mut position = Position::default();
    for record in &records {
        let mut reader = Reader::from(&instance, position).unwrap();
        assert_eq!(reader.next().unwrap().unwrap(), *record);
        position = reader.position();
    }
    assert!(Reader::from(&instance, position).unwrap().next().is_none());
}

#[test]
fn every_instance_has_its_own_directory_and_entries_come_in_order_of_start() {
    let dir = tempfile::tempdir().unwrap();
    let clock = gatewright_core::HandClock::new();
    let two = [0, 1].map(|_| Journal::open(settings(dir.path()), clock.clone()).unwrap());
    assert_ne!(two[0].health().instances, two[1].health().instances);
    let mut tickets = Vec::new();
    for n in 0..30 {
        clock.forward(Duration::from_millis(1));
        let begin = begin(n);
        tickets.push((two[(n * n % 7 % 2) as usize].begin(&begin).unwrap(), settle(&begin, n)));
    }
    assert!(entries(dir.path()).unwrap().all(|entry| entry.unwrap().state == State::Running));
    // The last to begin is the first to end.
    for (n, (ticket, settle)) in tickets.into_iter().enumerate().rev() {
        two[n * n % 7 % 2].settle(ticket, &settle);
    }
    let order: Vec<_> =
        entries(dir.path()).unwrap().map(|entry| entry.unwrap().begin.input_estimate).collect();
    assert_eq!(order, (0..30).collect::<Vec<_>>());
    drop(two);
    let again = Journal::open(settings(dir.path()), clock).unwrap();
    assert_eq!(again.health().instances, [dir.path().join("instance-0")], "a dead one's is taken over");
}

#[test]
fn threads_write_side_by_side_and_every_end_finds_its_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { lanes: 3, ..settings(dir.path()) };
    let journal = Journal::open(settings, Arc::new(SystemClock)).unwrap();
    assert_eq!(journal.health().instances.len(), 3);
    // Half of the ends are written by another thread than their beginning; one attempt of ten has none.
    let (send, receive) = std::sync::mpsc::channel();
    let write = |from: u64, send: &std::sync::mpsc::Sender<_>| {
        for n in from..from + 500 {
            let begin = begin(n);
            let ticket = journal.begin(&begin).unwrap();
            let end = settle(&begin, n);
            match n % 10 {
                0 => {}
                1..5 => journal.settle(ticket, &end),
                _ => send.send((ticket, end)).unwrap(),
            }
        }
    };
    std::thread::scope(|threads| {
        for from in [0, 1_000, 2_000, 3_000] {
            let send = send.clone();
            threads.spawn(move || write(from, &send));
        }
        drop(send);
        receive.iter().for_each(|(ticket, end)| journal.settle(ticket, &end));
    });
    assert_eq!(journal.health().open, 200);
    drop(journal);
    let all: Vec<_> = entries(dir.path()).unwrap().map(Result::unwrap).collect();
    let interrupted = all.iter().filter(|entry| entry.state == State::Ended(Ending::Interrupted));
    assert_eq!((all.len(), interrupted.count()), (2_000, 200));
}

#[test]
fn a_successor_closes_the_books_once() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 40);
    for _ in 0..3 {
        drop(Journal::open(settings(dir.path()), Arc::new(SystemClock)).unwrap());
        let all: Vec<_> = entries(dir.path()).unwrap().map(Result::unwrap).collect();
        let interrupted: Vec<_> =
            all.iter().filter(|entry| entry.state == State::Ended(Ending::Interrupted)).collect();
        assert_eq!(
            (all.len(), interrupted.len()),
            (40 + 8, 4),
            "of forty attempts and eight answers of the cache"
        );
        let closed = Reader::open(&dir.path().join("instance-0")).unwrap().filter(
            |record| matches!(record, Ok(Record::Settle(settle)) if settle.ending == Ending::Interrupted),
        );
        assert_eq!(closed.count(), 4, "written, for whoever ships them");
        for entry in interrupted {
            let n = entry.begin.input_estimate;
            assert_eq!((entry.cost, entry.bound), (Money(n as i64), Money(1_000_000 + n as i64)));
            assert_eq!(entry.usage.output, if n.is_multiple_of(3) { n } else { 0 });
        }
    }
}

#[test]
fn what_a_client_chose_never_passes_for_a_record() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(settings(dir.path()), Arc::new(SystemClock)).unwrap();
    drop(journal.begin(&begin(1)).unwrap());
    let instance = journal.health().instances[0].clone();
    drop(journal);
    let (file, place, _) = places(&instance).into_iter().find(|(_, _, mark)| !mark).unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    // A record that is whole and right, but stands where it was not written.
    let copy = bytes[place.clone()].to_vec();
    bytes.extend_from_slice(&[0; 3]);
    bytes.extend_from_slice(&copy);
    std::fs::write(&file, bytes).unwrap();
    assert_eq!(Reader::open(&instance).unwrap().count(), 1);
}

#[test]
fn what_stood_in_an_emptied_segment_is_missed_and_not_taken_for_removed() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 60);
    let places = places(&dir.path().join("instance-0"));
    let first = &places[0].0;
    let begun = places.iter().filter(|(file, _, mark)| file == first && !mark).count();
    assert!(begun > 4, "a segment that the last ones of its attempts outlive");
    std::fs::write(first, []).unwrap();
    for _ in 0..2 {
        let damage: Vec<_> = entries(dir.path()).unwrap().filter_map(Result::err).collect();
        let orphans = damage.iter().filter(|damage| matches!(damage, Damage::Orphan(_))).count();
        assert_eq!((damage.len(), orphans), (5, 4), "{damage:?}");
        assert!(matches!(&damage[0], Damage::Emptied(path) if path == first), "{damage:?}");
        // A successor changes nothing of it.
        drop(Journal::open(settings(dir.path()), Arc::new(SystemClock)).unwrap());
    }
}

#[test]
fn a_segment_that_is_read_in_pieces_loses_only_what_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let records = fill_as(Settings { segment_bytes: 16 << 20, ..settings(dir.path()) }, 6_000);
    let instance = dir.path().join("instance-0");
    let places: Vec<_> = places(&instance).into_iter().filter(|(_, _, mark)| !mark).collect();
    let file = &places[0].0;
    assert!(places.iter().all(|place| place.0 == *file), "one segment");
    let mut bytes = std::fs::read(file).unwrap();
    assert!(bytes.len() > 1 << 20, "several pieces: {}", bytes.len());
    // More than a whole piece of it, from the middle of one record to the middle of another.
    let middle = |n: usize| places[n].1.start + 9;
    let harmed = middle(places.len() / 8)..middle(places.len() / 2);
    bytes[harmed.clone()].fill(0xff);
    std::fs::write(file, bytes).unwrap();
    let whole = |place: &std::ops::Range<usize>| place.end <= harmed.start || place.start >= harmed.end;
    let want = records.iter().zip(&places).filter(|(_, (_, place, _))| whole(place));
    let (read, damage): (Vec<_>, Vec<_>) = Reader::open(&instance).unwrap().partition(Result::is_ok);
    assert!(read.iter().map(|record| record.as_ref().unwrap()).eq(want.map(|(record, _)| record)));
    assert_eq!(damage.len(), 1, "{damage:?}");
}

#[derive(Clone, Debug)]
enum Harm {
    Cut(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Zero(prop::sample::Index, usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    let place = any::<prop::sample::Index>;
    prop_oneof![
        place().prop_map(Harm::Cut),
        (place(), 0..8u8).prop_map(|(at, bit)| Harm::Flip(at, bit)),
        (place(), 1..600usize).prop_map(|(at, length)| Harm::Zero(at, length)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn damage_costs_only_the_records_that_it_touches(
        attempts in 1..60u64,
        harms in prop::collection::vec((any::<prop::sample::Index>(), harm()), 1..4),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let records = fill(dir.path(), attempts);
        let instance = dir.path().join("instance-0");
        let places: Vec<_> = places(&instance).into_iter().collect();
        let mut files: Vec<_> = places.iter().map(|(file, _, _)| file.clone()).collect();
        files.dedup();
        let mut after: HashMap<PathBuf, Vec<u8>> =
            files.iter().map(|file| (file.clone(), std::fs::read(file).unwrap())).collect();
        let before = after.clone();
        for (file, harm) in harms {
            let bytes = after.get_mut(file.get(&files)).unwrap();
            if bytes.is_empty() {
                continue;
            }
            match harm {
                Harm::Cut(at) => bytes.truncate(at.index(bytes.len())),
                Harm::Flip(at, bit) => { let at = at.index(bytes.len()); bytes[at] ^= 1 << bit; }
                Harm::Zero(at, length) => {
                    let at = at.index(bytes.len());
                    let end = bytes.len().min(at + length);
                    bytes[at..end].fill(0);
                }
            }
        }
        for (file, bytes) in &after {
            std::fs::write(file, bytes).unwrap();
        }
        let untouched: Vec<Record> = places
            .iter()
            .filter(|(_, _, mark)| !mark)
            .zip(&records)
            .filter(|((file, place, _), _)| after[file].get(place.clone()) == Some(&before[file][place.clone()]))
            .map(|(_, record)| record.clone())
            .collect();

        let read = |instance: &Path| Reader::open(instance).unwrap().filter_map(Result::ok).collect::<Vec<_>>();
        prop_assert_eq!(&read(&instance), &untouched);

        // A successor takes it over: the same records, an end for each without one, and room for more.
        let journal = Journal::open(settings(dir.path()), Arc::new(SystemClock)).unwrap();
        let more = begin(1_000);
        let ticket = journal.begin(&more).unwrap();
        journal.settle(ticket, &settle(&more, 1_000));
        let now = read(&instance);
        prop_assert_eq!(&now[..untouched.len()], &untouched[..]);
        let mut begun = HashSet::new();
        let mut lost_begins = HashSet::new();
        for record in &now {
            match record {
                Record::Begin(begin) => prop_assert!(begun.insert(begin.attempt)),
                Record::Hit(hit) => prop_assert!(begun.insert(hit.begin.attempt)),
                Record::Settle(settle) if !begun.contains(&settle.attempt) => {
                    prop_assert!(lost_begins.insert(settle.attempt));
                }
                Record::Settle(_) | Record::Checkpoint(_) => {}
            }
        }
        let (mut listed, mut orphans) = (HashSet::new(), HashSet::new());
        for entry in entries(dir.path()).unwrap() {
            match entry {
                Ok(entry) => {
                    prop_assert!(entry.state != State::Running, "no process lives that could end it");
                    prop_assert!(listed.insert(entry.begin.attempt));
                }
                Err(Damage::Orphan(settle)) => prop_assert!(orphans.insert(settle.attempt)),
                Err(_) => {}
            }
        }
        prop_assert_eq!((listed, orphans), (begun, lost_begins));
    }
}
