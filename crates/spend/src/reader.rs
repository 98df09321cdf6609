//! Reads the records of one instance in order, from any position on: for reports, for recovery, for shipping.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::{fmt, vec};

use crate::instance;
use crate::record::{Begin, Checkpoint, Hit, Line, Mark, Settle};
use crate::segment::{Name, Piece, Scan};
use crate::wire::Texts;

/// Bytes that are read at once.
const WINDOW: u64 = 256 << 10;

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
    /// The cache gave an answer.
    Hit(Box<Hit>),
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
    /// A segment of which nothing is left, though there are records behind it.
    Emptied(PathBuf),
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
    known: Texts,
}

/// A segment, and what of it is in memory.
struct Loaded {
    name: Name,
    file: File,
    bytes: Vec<u8>,
    /// Where `bytes` begin in the file.
    base: u64,
    at: usize,
    rest: Rest,
}

/// What is known of a segment behind what is in memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// There may be more.
    Unread,
    /// There is nothing now, but it is still written to.
    Open,
    /// There is nothing, and never will be.
    Nothing,
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
        let (instance, names) = (instance.to_owned(), names.into_iter());
        Ok(Self { instance, names, current: None, position, known: Texts::default() })
    }

    /// Goes on from here, where an earlier reader found no more.
    pub(crate) fn again(self) -> io::Result<Self> {
        Ok(Self { known: self.known, ..Self::from(&self.instance, self.position)? })
    }

    /// Behind the record that was read last.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The next record, marks included.
    pub(crate) fn line(&mut self) -> Option<Result<Line, Damage>> {
        loop {
            let loaded = match &mut self.current {
                Some(loaded) => loaded,
                None => match self.load()? {
                    Ok(loaded) => self.current.insert(loaded),
                    Err(damage) => return Some(Err(damage)),
                },
            };
            let found = loaded.line(&self.instance, &mut self.known);
            self.position = Position { segment: loaded.name.number, offset: loaded.base + loaded.at as u64 };
            match (&found, loaded.rest) {
                (None, Rest::Nothing) => {
                    let emptied = self.position.offset == 0;
                    let path = emptied.then(|| loaded.name.path(&self.instance));
                    self.current = None;
                    if let Some(path) = path {
                        return Some(Err(Damage::Emptied(path)));
                    }
                }
                (None, Rest::Unread) => {
                    let open = rest_is_empty(&self.names, &self.instance);
                    if let Err(err) = loaded.read(open) {
                        let path = loaded.name.path(&self.instance);
                        self.current = None;
                        return Some(Err(Damage::Unreadable(path, err)));
                    }
                }
                // Whoever reads on looks for what came since then with a new reader.
                (None, Rest::Open) | (Some(_), _) => return found,
            }
        }
    }

    fn load(&mut self) -> Option<Result<Loaded, Damage>> {
        let name = self.names.next()?;
        let base = if name.number == self.position.segment { self.position.offset } else { 0 };
        let path = name.path(&self.instance);
        Some(Loaded::open(name, &path, base).map_err(|err| Damage::Unreadable(path, err)))
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
                Ok(Line::Hit(hit)) => Ok(Record::Hit(hit)),
                Err(damage) => Err(damage),
            });
        }
    }
}

// === impl Loaded ===

impl Loaded {
    fn open(name: Name, path: &Path, base: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(base))?;
        Ok(Self { name, file, bytes: Vec::new(), base, at: 0, rest: Rest::Unread })
    }

    /// Reads on. Whether the segment is still written to was asked before: what was written until then is read here.
    fn read(&mut self, open: bool) -> io::Result<()> {
        self.bytes.drain(..self.at);
        self.base += self.at as u64;
        self.at = 0;
        let left = self.file.metadata()?.len().saturating_sub(self.base + self.bytes.len() as u64);
        self.bytes.reserve(left.min(WINDOW) as usize);
        let read = Read::by_ref(&mut self.file).take(WINDOW).read_to_end(&mut self.bytes)?;
        self.rest = match (read as u64 == WINDOW, open) {
            (true, _) => Rest::Unread,
            (false, true) => Rest::Open,
            (false, false) => Rest::Nothing,
        };
        Ok(())
    }

    /// The next record of what is in memory.
    fn line(&mut self, instance: &Path, known: &mut Texts) -> Option<Result<Line, Damage>> {
        let offset = self.base + self.at as u64;
        let mut scan = Scan::new(self.bytes.get(self.at..)?, self.name.salt, offset);
        let piece = scan.next()?;
        let bytes = match piece {
            // Perhaps it is being written just now, or the rest of it was not read; the position stays before it.
            Piece::Tail(_) if self.rest != Rest::Nothing => return None,
            Piece::Payload(payload) => match Line::decode(payload, known) {
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

/// Behind the segment that is written to stands at most the empty one that comes next.
fn rest_is_empty(names: &vec::IntoIter<Name>, instance: &Path) -> bool {
    let written = |name: &Name| name.path(instance).metadata().is_ok_and(|meta| meta.len() > 0);
    !names.as_slice().iter().any(written)
}

// === impl Damage ===

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, err) => write!(f, "{}: {err}", path.display()),
            Self::Emptied(path) => write!(f, "{}: nothing is left in it", path.display()),
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
