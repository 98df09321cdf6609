//! Reads the records of one instance in order, from any position on: for reports, for recovery, for shipping.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::{fmt, vec};

use crate::instance;
use crate::record::{Begin, Checkpoint, Line, Mark, Settle};
use crate::segment::{Name, Piece, Scan};

/// A place in the journal of one instance, between two records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The segment's number.
    pub segment: u64,
    /// The offset in it.
    pub offset: u64,
}

/// One record of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An attempt began.
    Begin(Box<Begin>),
    /// A long stream is so far.
    Checkpoint(Checkpoint),
    /// An attempt ended.
    Settle(Settle),
}

/// Something in the journal that could not be read. What stands before and behind it is not touched by that.
#[derive(Debug)]
pub enum Damage {
    /// The file could not be read.
    Unreadable(PathBuf, io::Error),
    /// Bytes that are no record.
    Corrupt {
        /// The segment's file.
        path: PathBuf,
        /// Where they start.
        offset: u64,
        /// How many they are.
        bytes: usize,
    },
    /// An end without a beginning: its beginning was in a part that is damaged or gone.
    Orphan(Box<Settle>),
}

/// The records of one instance in the order in which they were written. Ends at the end of what is written now; a new
/// reader from [`Reader::position`] goes on from there.
pub struct Reader {
    instance: PathBuf,
    names: vec::IntoIter<Name>,
    current: Option<Loaded>,
    position: Position,
}

struct Loaded {
    name: Name,
    bytes: Vec<u8>,
    base: u64,
    at: usize,
    last: bool,
}

// === impl Reader ===

impl Reader {
    /// Reads the instance in this directory from its first record.
    pub fn open(instance: &Path) -> io::Result<Self> {
        Self::from(instance, Position::default())
    }

    /// Reads from a position that an earlier reader had.
    pub fn from(instance: &Path, position: Position) -> io::Result<Self> {
        let mut names = instance::segments(instance)?;
        names.retain(|name| name.number >= position.segment);
        Ok(Self { instance: instance.to_owned(), names: names.into_iter(), current: None, position })
    }

    /// Behind the record that was read last.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The next record, marks included.
    pub(crate) fn line(&mut self) -> Option<Result<Line, Damage>> {
        loop {
            if self.current.is_none() {
                match self.load()? {
                    Ok(loaded) => self.current = Some(loaded),
                    Err(damage) => return Some(Err(damage)),
                }
            }
            let loaded = self.current.as_mut()?;
            let found = loaded.line(&self.instance);
            self.position = Position { segment: loaded.name.number, offset: loaded.base + loaded.at as u64 };
            match found {
                None if loaded.last => return None,
                None => self.current = None,
                found => return found,
            }
        }
    }

    fn load(&mut self) -> Option<Result<Loaded, Damage>> {
        let name = self.names.next()?;
        let base = if name.number == self.position.segment { self.position.offset } else { 0 };
        let path = name.path(&self.instance);
        let bytes = match read_from(&path, base) {
            Ok(bytes) => bytes,
            Err(err) => return Some(Err(Damage::Unreadable(path, err))),
        };
        Some(Ok(Loaded { name, bytes, base, at: 0, last: self.rest_is_empty() }))
    }

    /// Behind the segment that is written to stands at most the empty one that comes next.
    fn rest_is_empty(&self) -> bool {
        let written = |name: &Name| name.path(&self.instance).metadata().is_ok_and(|meta| meta.len() > 0);
        !self.names.as_slice().iter().any(written)
    }
}

impl Iterator for Reader {
    type Item = Result<Record, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            return Some(match self.line()? {
                Ok(Line::Mark(Mark { .. })) => continue,
                Ok(Line::Begin(begin)) => Ok(Record::Begin(begin)),
                Ok(Line::Checkpoint(checkpoint)) => Ok(Record::Checkpoint(checkpoint)),
                Ok(Line::Settle(settle)) => Ok(Record::Settle(settle)),
                Err(damage) => Err(damage),
            });
        }
    }
}

// === impl Loaded ===

impl Loaded {
    fn line(&mut self, instance: &Path) -> Option<Result<Line, Damage>> {
        let offset = self.base + self.at as u64;
        let mut scan = Scan::new(self.bytes.get(self.at..)?, self.name.salt, offset);
        let piece = scan.next()?;
        let bytes = match piece {
            // Perhaps it is being written just now; the position stays before it.
            Piece::Tail(_) if self.last => return None,
            Piece::Payload(payload) => match Line::decode(payload) {
                Some(line) => {
                    self.at += (scan.offset() - offset) as usize;
                    return Some(Ok(line));
                }
                None => payload.len(),
            },
            Piece::Gap(bytes) | Piece::Tail(bytes) => bytes,
        };
        self.at += (scan.offset() - offset) as usize;
        Some(Err(Damage::Corrupt { path: self.name.path(instance), offset, bytes }))
    }
}

// === impl Damage ===

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, err) => write!(f, "{}: {err}", path.display()),
            Self::Corrupt { path, offset, bytes } => {
                write!(f, "{}: {bytes} bytes at {offset} are not a record", path.display())
            }
            Self::Orphan(settle) => {
                write!(f, "attempt {} ended at a cost of {} and never began", settle.attempt, settle.cost)
            }
        }
    }
}

impl std::error::Error for Damage {}

fn read_from(path: &Path, offset: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
