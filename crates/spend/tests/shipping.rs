//! From the journal to the ledger: whatever fails on the way, every attempt that ended arrives exactly once.
#![cfg(test)]

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{AttemptId, CallId, Money, SystemClock, Usage};
use gatewright_spend::{
    Applied, Batch, Begin, Certainty, Ending, Entry, Hit, InstanceId, Journal, Ledger, LedgerError, Receipt,
    Settings, Settle, Shipper, Shipping, Spared, State, Tenant, Ticket, entries,
};
use parking_lot::Mutex;

/// A ledger in memory that fails as it is told.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    entries: HashMap<AttemptId, Entry>,
    applied: HashMap<InstanceId, Applied>,
    batches: u64,
    known: u64,
    /// Answers fail: before anything is done, and after all of it.
    away: bool,
    deaf: u32,
    /// What it will never take.
    poison: HashSet<AttemptId>,
}

impl Ledger for Memory {
    async fn applied(&self, instance: InstanceId) -> Result<Applied, LedgerError> {
        let book = self.0.lock();
        if book.away {
            return Err(LedgerError::Away("away".to_owned()));
        }
        Ok(book.applied.get(&instance).copied().unwrap_or_default())
    }

    async fn apply(&self, batch: &Batch) -> Result<Receipt, LedgerError> {
        let mut book = self.0.lock();
        if book.away {
            return Err(LedgerError::Away("away".to_owned()));
        }
        if let Some(entry) = batch.entries.iter().find(|entry| book.poison.contains(&entry.begin.attempt)) {
            return Err(LedgerError::Refused(format!("{} is poison", entry.begin.attempt)));
        }
        let mut receipt = Receipt::default();
        for entry in &batch.entries {
            match book.entries.insert(entry.begin.attempt, entry.clone()) {
                None => receipt.inserted += 1,
                Some(before) => {
                    assert_eq!(before, *entry, "an attempt has one end");
                    receipt.known += 1;
                }
            }
        }
        book.applied.extend(batch.applied.iter().copied());
        book.batches += 1;
        book.known += receipt.known;
        if book.deaf > 0 {
            book.deaf -= 1;
            return Err(LedgerError::Away("the connection broke".to_owned()));
        }
        Ok(receipt)
    }
}

fn settings(dir: &Path) -> Settings {
    Settings { segment_bytes: 2048, ..Settings::at(dir) }
}

fn shipping() -> Shipping {
    Shipping { batch: 7, every: Duration::from_millis(1), ..Shipping::default() }
}

fn open(dir: &Path) -> Journal {
    Journal::open(settings(dir), Arc::new(SystemClock)).unwrap()
}

fn begin(journal: &Journal) -> (Ticket, AttemptId) {
    let begin = first();
    (journal.begin(&begin).unwrap(), begin.attempt)
}

fn first() -> Begin {
    Begin {
        attempt: AttemptId::fresh(),
        call: CallId::fresh(),
        caller: "master".into(),
        tenant: Tenant { team: Some("red".into()), ..Tenant::default() },
        group: "fast".into(),
        deployment: "fast-1".into(),
        provider: "openai".into(),
        model: "gpt-4o-mini".into(),
        started: 0,
        input_estimate: 1,
        output_cap: 1,
        floor: Money(1),
        bound: Money(2),
        spared: None,
    }
}

fn end(journal: &Journal, (ticket, attempt): (Ticket, AttemptId)) {
    journal.settle(ticket, &last(attempt));
}

fn last(attempt: AttemptId) -> Settle {
    Settle {
        attempt,
        ending: Ending::Complete,
        certainty: Certainty::Exact,
        usage: Usage { output: 3, ..Usage::default() },
        cost: Money(5),
        first_content: None,
        duration: Duration::from_millis(1),
        response: None,
    }
}

/// The cache answers.
fn hit(journal: &Journal) {
    let begin = Begin {
        floor: Money::ZERO,
        bound: Money::ZERO,
        spared: Some(Spared { key: "k".into(), saved: Money(5), whole: true }),
        ..first()
    };
    let settle = Settle { cost: Money::ZERO, ..last(begin.attempt) };
    journal.hit(&Hit { begin, settle });
}

/// Ships what there is now, and stops.
async fn ship(journal: &Journal, memory: &Memory) {
    let shipper = Shipper::new(journal.clone(), memory.clone(), shipping(), Arc::new(SystemClock));
    shipper.run(std::future::ready(())).await;
}

fn ended(dir: &Path) -> HashMap<AttemptId, Entry> {
    let all = entries(dir).unwrap().map(Result::unwrap).filter(|entry| entry.state != State::Running);
    all.map(|entry| (entry.begin.attempt, entry)).collect()
}

fn same(memory: &Memory, entries: HashMap<AttemptId, Entry>) {
    let book = memory.0.lock();
    assert_eq!(book.entries.len(), entries.len());
    assert!(book.entries == entries, "what arrived is what is in the journal");
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir.join("instance-0")).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "gwj1")).collect()
}

#[tokio::test]
async fn what_ended_is_shipped_and_what_runs_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, memory) = (open(dir.path()), Memory::default());
    let long = begin(&journal);
    for _ in 0..100 {
        let attempt = begin(&journal);
        end(&journal, attempt);
    }
    ship(&journal, &memory).await;
    same(&memory, ended(dir.path()));
    assert_eq!(memory.0.lock().entries.len(), 100);
    end(&journal, long);
    ship(&journal, &memory).await;
    assert_eq!(memory.0.lock().entries.len(), 101);
    assert_eq!(memory.0.lock().known, 0, "what the ledger has is not sent again");
}

#[tokio::test]
async fn answers_of_the_cache_are_shipped_once_among_attempts_that_run() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, memory) = (open(dir.path()), Memory::default());
    let long = begin(&journal);
    for round in 1..=3 {
        (0..40).for_each(|_| hit(&journal));
        // The attempt that runs lets the ledger's position stay behind: they are read again each time.
        ship(&journal, &memory).await;
        let book = memory.0.lock();
        assert_eq!((book.entries.len(), book.known), (40 * round, 0));
    }
    memory.0.lock().deaf = 1;
    hit(&journal);
    end(&journal, long);
    ship(&journal, &memory).await;
    same(&memory, ended(dir.path()));
    let book = memory.0.lock();
    let hits = book.entries.values().filter(|entry| entry.begin.spared.is_some());
    assert!(hits.clone().all(|entry| entry.cost == Money::ZERO && entry.bound == Money::ZERO));
    assert_eq!((hits.count(), book.entries.len()), (121, 122));
}

#[tokio::test]
async fn an_answer_that_is_lost_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, memory) = (open(dir.path()), Memory::default());
    for _ in 0..20 {
        let attempt = begin(&journal);
        end(&journal, attempt);
    }
    memory.0.lock().deaf = 2;
    ship(&journal, &memory).await;
    same(&memory, ended(dir.path()));
    assert_eq!(memory.0.lock().known, 14);
}

#[tokio::test]
async fn the_dead_are_shipped_by_the_living() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Memory::default();
    let (first, second) = (open(dir.path()), open(dir.path()));
    let third = open(dir.path());
    let (ticket, _) = begin(&second);
    let ends = begin(&second);
    end(&second, ends);
    // The last two die; the attempt that the second had open has no end.
    drop((ticket, second, third));
    ship(&first, &memory).await;
    let book = std::mem::take(&mut *memory.0.lock());
    assert!(book.entries == ended(dir.path()));
    let endings: Vec<_> = book.entries.values().map(|entry| entry.state.clone()).collect();
    assert!(endings.contains(&State::Ended(Ending::Interrupted)), "{endings:?}");
    assert_eq!(endings.len(), 2);
    // A ledger that knows nothing any more gets all of it again.
    ship(&first, &memory).await;
    same(&memory, book.entries);
}

#[tokio::test]
async fn a_journal_that_was_put_back_is_shipped_again() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, memory) = (open(dir.path()), Memory::default());
    let attempt = begin(&journal);
    end(&journal, attempt);
    ship(&journal, &memory).await;
    let ahead = Applied {
        whole: gatewright_spend::Position { segment: 9, offset: 0 },
        read: gatewright_spend::Position { segment: 9, offset: 99 },
    };
    memory.0.lock().applied.values_mut().for_each(|applied| *applied = ahead);
    let attempt = begin(&journal);
    end(&journal, attempt);
    ship(&journal, &memory).await;
    let book = memory.0.lock();
    assert_eq!((book.entries.len(), book.known), (2, 1));
}

#[tokio::test]
async fn what_is_shipped_is_removed_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, memory) = (open(dir.path()), Memory::default());
    let (mut open, mut early) = (Vec::new(), Some(begin(&journal)));
    for n in 0..300 {
        let attempt = begin(&journal);
        match n {
            150 => open.push(attempt),
            _ => end(&journal, attempt),
        }
        // Its end is kept, and its beginning is not.
        if let Some(early) = early.take_if(|_| n == 200) {
            end(&journal, early);
        }
    }
    let before = segments(dir.path()).len();
    let kept = Shipping { keep: Duration::from_secs(3600), ..shipping() };
    Shipper::new(journal.clone(), memory.clone(), kept, Arc::new(SystemClock))
        .run(std::future::ready(()))
        .await;
    assert_eq!(segments(dir.path()).len(), before, "not before its time");
    for _ in 0..10 {
        let attempt = begin(&journal);
        end(&journal, attempt);
    }
    let at_once = Shipping { keep: Duration::ZERO, ..shipping() };
    let shipper = Shipper::new(journal.clone(), memory.clone(), at_once, Arc::new(SystemClock));
    shipper.run(std::future::ready(())).await;
    let left = segments(dir.path()).len();
    assert!(left < before - 3 && left > 3, "{before} {left}");
    assert_eq!(
        ended(dir.path()).len() + 1,
        entries(dir.path()).unwrap().count(),
        "the open one is still there"
    );
    let shipper = Shipper::new(journal.clone(), Memory::default(), shipping(), Arc::new(SystemClock));
    let health = shipper.health();
    shipper.run(std::future::ready(())).await;
    assert_eq!(health.lock().damaged, 0, "what was removed is not missed");
    drop(open);
    drop(journal);
    let journal = self::open(dir.path());
    ship(&journal, &memory).await;
    assert_eq!(memory.0.lock().entries.len(), 311);
}

#[tokio::test]
async fn a_ledger_that_is_away_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, memory) = (open(dir.path()), Memory::default());
    memory.0.lock().away = true;
    let shipper = Shipper::new(journal.clone(), memory.clone(), shipping(), Arc::new(SystemClock));
    let health = shipper.health();
    let waits = || health.lock().error.is_some() && health.lock().backlog > 0;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let ran = tokio::join!(shipper.run(async { drop(stopped.await) }), async {
        for n in 0..200 {
            let attempt = begin(&journal);
            end(&journal, attempt);
            // A ledger that was never there is missed too.
            while n == 10 && !waits() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            if n % 50 == 25 || n == 199 {
                let away = !memory.0.lock().away;
                memory.0.lock().away = away;
                let told = async {
                    while health.lock().error.is_some() != away {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                };
                tokio::time::timeout(Duration::from_secs(60), told).await.unwrap();
            }
        }
        let arrived = async {
            while memory.0.lock().entries.len() < 200 || health.lock().backlog_bytes > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), arrived).await.unwrap();
        stop.send(()).unwrap();
    });
    let ((), ()) = ran;
    same(&memory, ended(dir.path()));
    let health = health.lock().clone();
    assert_eq!((health.shipped, health.backlog, health.error), (200, 0, None));
    assert_eq!(health.oldest, Duration::ZERO);
}

#[tokio::test]
async fn a_batch_that_is_on_its_way_at_the_end_arrives() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, memory) = (open(dir.path()), Memory::default());
    let shipper = Shipper::new(journal.clone(), memory.clone(), shipping(), Arc::new(SystemClock));
    let health = shipper.health();
    let stop = async {
        for (away, shipped) in [(false, 1), (true, 1)] {
            memory.0.lock().away = away;
            let attempt = begin(&journal);
            end(&journal, attempt);
            let arrived = || {
                let health = health.lock();
                (health.error.is_some(), health.shipped) == (away, shipped)
            };
            while !arrived() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        memory.0.lock().away = false;
    };
    tokio::time::timeout(Duration::from_secs(60), shipper.run(stop)).await.unwrap();
    same(&memory, ended(dir.path()));
}

#[tokio::test]
async fn what_the_ledger_never_takes_is_set_aside_and_holds_up_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, memory) = (open(dir.path()), Memory::default());
    let attempts: Vec<AttemptId> = (0..40)
        .map(|_| {
            let (ticket, attempt) = begin(&journal);
            end(&journal, (ticket, attempt));
            attempt
        })
        .collect();
    let poison = HashSet::from([0, 1, 12, 39].map(|n| attempts[n]));
    memory.0.lock().poison.clone_from(&poison);
    let ship = async |journal: Journal| {
        let shipper = Shipper::new(journal, memory.clone(), shipping(), Arc::new(SystemClock));
        let health = shipper.health();
        shipper.run(async {}).await;
        health.lock().clone()
    };
    let health = ship(journal).await;
    assert_eq!((health.shipped, health.set_aside, health.backlog), (36, 4, 0), "{health:?}");
    // A process that died before it had told the ledger how far it was does all of it again.
    memory.0.lock().applied.clear();
    let health = ship(open(dir.path())).await;
    assert_eq!((health.shipped, health.known, health.set_aside), (0, 36, 4), "{health:?}");
    let kept = std::fs::read_to_string(dir.path().join("refused.jsonl")).unwrap();
    let found: HashSet<String> = kept
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!((&line["team"], line["cost"].as_f64()), (&"red".into(), Some(5e-9)), "{line}");
            assert!(line["why"].as_str().unwrap().ends_with("is poison"));
            line["attempt"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!((found, kept.lines().count()), (poison.iter().map(ToString::to_string).collect(), 4));
}

#[tokio::test]
async fn what_comes_behind_a_lost_end_is_shipped_although_the_ledger_had_been_further() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let settings = Settings { segment_bytes: 1 << 20, ..settings(dir.path()) };
        Journal::open(settings, Arc::new(SystemClock)).unwrap()
    };
    let write = |journal: &Journal, count: usize| {
        (0..count).for_each(|_| end(journal, begin(journal)));
    };
    let (journal, memory) = (open(), Memory::default());
    write(&journal, 3);
    let newest = || segments(dir.path()).into_iter().filter(|path| path.metadata().unwrap().len() > 0).max();
    let (newest, length) = (newest().unwrap(), newest().unwrap().metadata().unwrap().len());
    write(&journal, 9);
    ship(&journal, &memory).await;
    drop(journal);
    // The machine lost power: what the ledger got was not on the disk here.
    std::fs::File::options().write(true).open(newest).unwrap().set_len(length).unwrap();
    // The first that goes on here ends before it meets the ledger.
    write(&open(), 6);
    let journal = open();
    write(&journal, 6);
    ship(&journal, &memory).await;
    assert_eq!(memory.0.lock().entries.len(), 3 + 9 + 6 + 6);
}
