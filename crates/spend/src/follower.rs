//! Follows the journal of one instance and joins beginnings and ends to entries, from wherever the ledger is.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gatewright_core::AttemptId;

use crate::disk::RealDisk;
use crate::entry::Entry;
use crate::instance::{self, Instance, InstanceId};
use crate::journal::Settings;
use crate::ledger::Applied;
use crate::reader::{Damage, Position, Reader};
use crate::record::Line;
use crate::recovery::{self, Unsettled};

/// One journal on its way into the ledger.
pub(crate) struct Follower {
    pub(crate) path: PathBuf,
    pub(crate) id: InstanceId,
    /// A directory that no live process held is kept from others while it is read.
    pub(crate) adopted: Option<Instance>,
    reader: Option<Reader>,
    read: Position,
    /// Ends before this are in the ledger.
    known: Position,
    open: HashMap<AttemptId, (Position, Unsettled)>,
    /// The beginnings of open attempts, in order.
    begins: BTreeMap<Position, AttemptId>,
    /// Attempts that began before this were in a part that was removed.
    trimmed: Option<u64>,
    pub(crate) damaged: u64,
}

// === impl Follower ===

impl Follower {
    /// Goes on where the ledger is. A journal that ends before that was put back from a copy: all of it is read again,
    /// and the ledger knows what it has.
    pub(crate) fn new(path: PathBuf, id: InstanceId, applied: Applied) -> io::Result<Self> {
        let applied = if applied.read > end(&path)? { Applied::default() } else { applied };
        Ok(Self {
            path,
            id,
            adopted: None,
            reader: None,
            read: applied.whole,
            known: applied.read,
            open: HashMap::new(),
            begins: BTreeMap::new(),
            trimmed: None,
            damaged: 0,
        })
    }

    /// How far the ledger is once it has everything that was read.
    pub(crate) fn applied(&self) -> Applied {
        let whole = self.begins.first_key_value().map_or(self.read, |(begin, _)| *begin);
        Applied { whole, read: self.read.max(self.known) }
    }

    /// Adds entries that ended and that the ledger does not have, until there are enough or no more. What was read is not
    /// read again, so an error is told only where nothing came before it; what failed fails the next time too.
    pub(crate) fn read(&mut self, entries: &mut Vec<Entry>, enough: usize) -> io::Result<()> {
        let before = entries.len();
        while entries.len() < enough {
            match self.line() {
                Ok(Some((line, span))) => self.take(line, span, entries),
                Ok(None) => break,
                Err(_) if entries.len() > before => break,
                Err(err) => return Err(err),
            }
        }
        Ok(())
    }

    /// The next record, and from where to where it reaches; damage is told and passed over.
    fn line(&mut self) -> io::Result<Option<(Line, Range<Position>)>> {
        loop {
            let reader = match &mut self.reader {
                Some(reader) => reader,
                None => self.reader.insert(Reader::from(&self.path, self.read)?),
            };
            let at = Reader::position(reader);
            let line = reader.line();
            let end = Reader::position(reader);
            match line {
                None => {
                    self.reader = self.reader.take().map(Reader::again).transpose()?;
                    return Ok(None);
                }
                // The reader would go on behind it, and it may be readable again.
                Some(Err(Damage::Unreadable(path, err))) => {
                    self.reader = None;
                    return Err(io::Error::new(err.kind(), format!("{}: {err}", path.display())));
                }
                Some(Err(damage)) => {
                    self.read = end;
                    self.damage(&damage);
                }
                // Ahead of the first record of a segment, the position is still at the end of the one before.
                Some(Ok(line)) => {
                    self.read = end;
                    return Ok(Some((line, at..end)));
                }
            }
        }
    }

    /// Bytes of the journal that were not read yet.
    pub(crate) fn unread(&self) -> io::Result<u64> {
        bytes_behind(&self.path, self.read)
    }

    /// Removes segments that the ledger has whole and that were not written to for the time that they are kept.
    pub(crate) fn sweep(&self, applied: Applied, keep: Duration, now: SystemTime) -> io::Result<()> {
        for name in instance::segments(&self.path)? {
            let path = name.path(&self.path);
            let age = now.duration_since(path.metadata()?.modified()?).unwrap_or_default();
            if name.number >= applied.whole.segment || age < keep {
                break;
            }
            std::fs::remove_file(path)?;
        }
        Ok(())
    }

    fn take(&mut self, line: Line, span: Range<Position>, entries: &mut Vec<Entry>) {
        let known = span.end <= self.known;
        self.trimmed.get_or_insert(line.trimmed());
        match line {
            Line::Begin(begin) => {
                self.begins.insert(span.start, begin.attempt);
                self.open.insert(begin.attempt, (span.start, Unsettled::new(begin)));
            }
            Line::Checkpoint(checkpoint) => {
                if let Some((_, unsettled)) = self.open.get_mut(&checkpoint.attempt) {
                    unsettled.checkpoint = Some(Box::new(checkpoint));
                }
            }
            Line::Settle(settle) => match self.open.remove(&settle.attempt) {
                Some((begin, unsettled)) => {
                    self.begins.remove(&begin);
                    if !known {
                        entries.push(Entry::settled(*unsettled.begin, settle));
                    }
                }
                None if known || settle.began_by(self.trimmed) => {}
                None => self.damage(&Damage::Orphan(Box::new(settle))),
            },
            Line::Hit(hit) => entries.extend((!known).then(|| hit.entry())),
            Line::Mark(mark) => {
                let interrupted = if mark.takeover { self.interrupt() } else { Vec::new() };
                entries.extend(interrupted.into_iter().filter(|_| !known));
            }
        }
    }

    /// Nobody is left who could end what is open.
    fn interrupt(&mut self) -> Vec<Entry> {
        let begins = std::mem::take(&mut self.begins);
        let open = begins.values().filter_map(|attempt| self.open.remove(attempt));
        let ended = open.map(|(_, unsettled)| {
            let settle = unsettled.interrupted();
            Entry::settled(*unsettled.begin, settle)
        });
        ended.collect()
    }

    fn damage(&mut self, damage: &Damage) {
        self.damaged += 1;
        self.trimmed.get_or_insert(0);
        tracing::error!(%damage, "the journal is damaged");
    }
}

/// Takes the instances that no live process holds and that grew beyond what is known of them, and closes their books.
pub(crate) fn adopt(settings: &Settings, known: &HashMap<PathBuf, Position>) -> io::Result<Vec<Instance>> {
    let mut adopted = Vec::new();
    for path in instance::all(&settings.dir)? {
        if end(&path)? <= known.get(&path).copied().unwrap_or_default() {
            continue;
        }
        let Some(instance) = instance::claim_one(path)? else { continue };
        let mut tail = recovery::resume(&instance.path, Arc::new(RealDisk), settings.segment_bytes)?;
        tail.release();
        // Ends that found no room on the disk are tried again later.
        if tail.waiting.is_empty() {
            adopted.push(instance);
        }
    }
    Ok(adopted)
}

/// Bytes of the journal in this directory behind a position.
pub(crate) fn bytes_behind(instance: &Path, position: Position) -> io::Result<u64> {
    let names = instance::segments(instance)?;
    let ahead = names.iter().filter(|name| name.number >= position.segment).map(|name| {
        let length = name.path(instance).metadata()?.len();
        let before = if name.number == position.segment { position.offset } else { 0 };
        Ok(length.saturating_sub(before))
    });
    ahead.sum()
}

/// Where the journal in this directory ends.
pub(crate) fn end(instance: &Path) -> io::Result<Position> {
    let mut end = Position::default();
    for name in instance::segments(instance)? {
        let offset = name.path(instance).metadata()?.len();
        // The one that comes next is there already and empty.
        if offset > 0 {
            end = Position { segment: name.number, offset };
        }
    }
    Ok(end)
}
