//! Takes over the directory of a dead predecessor: cuts what was half written, finds the attempts that it left open.

use std::collections::{HashMap, VecDeque};
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{AttemptId, Money, Usage};

use crate::disk::Disk;
use crate::instance;
use crate::reader::{Position, Reader};
use crate::record::{Begin, Certainty, Checkpoint, Ending, Line, Settle};
use crate::segment::{Name, Piece, Scan, frame};
use crate::tail::Tail;

/// An attempt without an end, and how far it is known to have come.
pub(crate) struct Unsettled {
    pub(crate) begin: Box<Begin>,
    pub(crate) checkpoint: Option<Box<Checkpoint>>,
}

/// Opens the end of the journal in a directory that this process holds, with the books of its predecessor closed. What
/// comes goes to a segment of its own, whose number was never used: the ledger may be ahead of what is left of the one
/// before, and no new record may stand where it believes to have been.
pub(crate) fn resume(dir: &Path, disk: Arc<dyn Disk>, segment_bytes: u64) -> io::Result<Tail> {
    let mut names = instance::segments(dir)?;
    let next = Name::fresh(names.last().map_or(1, |name| name.number + 1));
    // A spare that was never written to is made anew: it may have been made in another size.
    while let Some(last) = names.last().map(|name| name.path(dir)) {
        if last.metadata()?.len() > 0 {
            break;
        }
        std::fs::remove_file(last)?;
        names.pop();
    }
    match names.last() {
        Some(last) => adopt(dir, disk, segment_bytes, *last, next),
        None => {
            let mut tail = start(dir, disk, segment_bytes, next)?;
            tail.mark(true)?;
            Ok(tail)
        }
    }
}

// === impl Unsettled ===

impl Unsettled {
    pub(crate) fn new(begin: Box<Begin>) -> Self {
        Self { begin, checkpoint: None }
    }

    /// The end that is written for it.
    pub(crate) fn interrupted(&self) -> Settle {
        let (usage, cost) = self.known();
        Settle {
            attempt: self.begin.attempt,
            ending: Ending::Interrupted,
            certainty: Certainty::Estimated,
            usage,
            cost,
            first_content: None,
            duration: Duration::ZERO,
            response: None,
        }
    }

    /// Usage and cost as far as they are known: those of the last checkpoint, else of the input alone.
    pub(crate) fn known(&self) -> (Usage, Money) {
        match &self.checkpoint {
            Some(checkpoint) => (checkpoint.usage, checkpoint.cost),
            None => (Usage { input: self.begin.input_estimate, ..Usage::default() }, self.begin.floor),
        }
    }
}

fn start(dir: &Path, disk: Arc<dyn Disk>, segment_bytes: u64, name: Name) -> io::Result<Tail> {
    let file = disk.create(&name.path(dir), segment_bytes)?;
    Ok(Tail::new(dir, disk, segment_bytes, (name, file)))
}

fn adopt(dir: &Path, disk: Arc<dyn Disk>, segment_bytes: u64, last: Name, next: Name) -> io::Result<Tail> {
    let path = last.path(dir);
    let end = cut(&path, last)?;
    let mut last_started = 0;
    let open = unsettled(dir, last, &mut last_started)?;
    let old = OpenOptions::new().read(true).write(true).open(&path)?;
    let mut tail = match start(dir, Arc::clone(&disk), segment_bytes, next) {
        Ok(tail) => {
            // Gives back what was reserved behind the end; what holds no record would look like one that lost them.
            match end {
                0 => std::fs::remove_file(&path)?,
                _ => old.set_len(end)?,
            }
            tail
        }
        // A full disk may still have room in the segment that is there.
        Err(err) => stay(Tail::new(dir, disk, segment_bytes, (last, old)), end, &err),
    };
    tail.last_started = last_started;
    settle(&mut tail, open);
    // Where an end still waits for the disk, it is to come after all; a full disk takes no mark either.
    if tail.waiting.is_empty() {
        let _ = tail.mark(true);
    }
    Ok(tail)
}

/// Goes on behind the end of a segment that has no next one.
fn stay(mut tail: Tail, end: u64, why: &io::Error) -> Tail {
    let reserved = tail.disk.reserve(&tail.file, tail.segment_bytes);
    (tail.at, tail.capacity) = (end, if reserved.is_ok() { tail.segment_bytes.max(end) } else { end });
    tail.is_full(why);
    tail
}

/// Takes off what stands behind the last record; answers where that ends.
fn cut(path: &Path, name: Name) -> io::Result<u64> {
    let bytes = std::fs::read(path)?;
    let whole = bytes.len() as u64;
    let torn = Scan::new(&bytes, name.salt, 0).find_map(|piece| match piece {
        Piece::Tail(torn) => Some(torn as u64),
        Piece::Payload(_) | Piece::Gap(_) => None,
    });
    let Some(torn) = torn else { return Ok(whole) };
    tracing::warn!(path = %path.display(), bytes = torn, "cut a record that was not written to its end");
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(whole - torn)?;
    file.sync_all()?;
    Ok(whole - torn)
}

/// The attempts without an end, from where the newest mark says that one can be.
fn unsettled(dir: &Path, newest: Name, last_started: &mut u64) -> io::Result<Vec<(u64, Unsettled)>> {
    let first = match Reader::from(dir, Position { segment: newest.number, offset: 0 })?.line() {
        Some(Ok(Line::Mark(mark))) => {
            *last_started = mark.started;
            mark.oldest_open
        }
        _ => 0,
    };
    let mut reader = Reader::from(dir, Position { segment: first, offset: 0 })?;
    let mut open: HashMap<AttemptId, (u64, Unsettled)> = HashMap::new();
    while let Some(line) = reader.line() {
        match line {
            Ok(Line::Begin(begin)) => {
                *last_started = begin.started.max(*last_started);
                let segment = reader.position().segment;
                open.entry(begin.attempt).or_insert((segment, Unsettled::new(begin)));
            }
            Ok(Line::Checkpoint(checkpoint)) => {
                if let Some((_, unsettled)) = open.get_mut(&checkpoint.attempt) {
                    unsettled.checkpoint = Some(Box::new(checkpoint));
                }
            }
            Ok(Line::Settle(settle)) => {
                open.remove(&settle.attempt);
            }
            Ok(Line::Hit(hit)) => *last_started = hit.begin.started.max(*last_started),
            Ok(Line::Mark(_)) => {}
            Err(damage) => tracing::error!(%damage, "the journal is damaged"),
        }
    }
    let mut open: Vec<(u64, Unsettled)> = open.into_values().collect();
    open.sort_by_key(|(_, unsettled)| unsettled.begin.started);
    Ok(open)
}

fn settle(tail: &mut Tail, open: Vec<(u64, Unsettled)>) {
    if !open.is_empty() {
        tracing::warn!(attempts = open.len(), "closed the books of a process that died");
    }
    let mut counts: VecDeque<(u64, u64)> = VecDeque::new();
    for (segment, _) in &open {
        match counts.back_mut() {
            Some((last, count)) if last == segment => *count += 1,
            _ => counts.push_back((*segment, 1)),
        }
    }
    tail.open = counts;
    // A segment begins with where the oldest of them began.
    let _ = tail.mark(false);
    for (segment, unsettled) in open {
        let settle = unsettled.interrupted();
        tail.settle(frame(|out| settle.encode(out)), segment);
    }
}
