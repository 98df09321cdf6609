//! Entries: what the journal says of each attempt, joined; exactly one an attempt, ordered by start. Answers of the cache
//! stand among them where they ended.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::iter::Peekable;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{AttemptId, Money, Usage};

use crate::instance;
use crate::reader::{Damage, Reader};
use crate::record::{Begin, Certainty, Ending, Hit, Line, Mark, Settle};
use crate::recovery::Unsettled;

/// One attempt in the ledger, or an answer of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// How it began.
    pub begin: Begin,
    /// Where it stands.
    pub state: State,
    /// Whether usage and cost are the provider's or ours.
    pub certainty: Certainty,
    /// What it used.
    pub usage: Usage,
    /// What it cost.
    pub cost: Money,
    /// The most that it can have cost; the same where the cost is exact.
    pub bound: Money,
    /// From the start to the first content.
    pub first_content: Option<Duration>,
    /// From the start to the end, where the end was seen.
    pub duration: Option<Duration>,
    /// The provider's name for its answer, where it was read anyway.
    pub response: Option<Arc<str>>,
}

/// Where an attempt stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Its process lives and has not ended it.
    Running,
    /// It ended.
    Ended(Ending),
}

/// The entries of all instances. Damage is told where it is met, and the entries around it still come.
pub struct Entries(Vec<Peekable<Joined>>);

/// The entries of one instance. Holds as many as began while the oldest open one was running.
struct Joined {
    reader: Reader,
    /// Whether a live process holds the instance.
    held: bool,
    window: VecDeque<Slot>,
    places: HashMap<AttemptId, u64>,
    /// The place of the first slot of the window.
    first: u64,
    /// Attempts that began before this, in microseconds since 1970, were in a part of the journal that was removed.
    trimmed: Option<u64>,
    read: bool,
}

enum Slot {
    Attempt(Unsettled, Option<Box<Settle>>),
    Hit(Box<Hit>),
}

/// Reads a journal's directory, whether or not someone writes to it.
pub fn entries(dir: &Path) -> io::Result<Entries> {
    let joined = instance::all(dir)?.into_iter().map(|path| {
        // First who holds it, then what is in it: the other way round, an attempt that ends in between would seem
        // interrupted.
        let held = instance::is_held(&path)?;
        Ok(Joined::new(Reader::open(&path)?, held).peekable())
    });
    Ok(Entries(joined.collect::<io::Result<_>>()?))
}

// === impl Entry ===

impl Entry {
    /// Whether the cache answered. A call that shared another one's failure got no answer, though no attempt was made for it.
    pub fn is_hit(&self) -> bool {
        let whole = self.begin.spared.as_ref().is_some_and(|spared| spared.whole);
        whole && !matches!(self.state, State::Ended(Ending::Failed { .. }))
    }

    pub(crate) fn settled(begin: Begin, settle: Settle) -> Self {
        let bound = match settle.certainty {
            Certainty::Exact => settle.cost,
            Certainty::Estimated => begin.bound.max(settle.cost),
        };
        Self {
            begin,
            bound,
            duration: (settle.ending != Ending::Interrupted).then_some(settle.duration),
            state: State::Ended(settle.ending),
            certainty: settle.certainty,
            usage: settle.usage,
            cost: settle.cost,
            first_content: settle.first_content,
            response: settle.response,
        }
    }

    fn running(unsettled: Unsettled) -> Self {
        let (usage, cost) = unsettled.known();
        Self {
            bound: unsettled.begin.bound.max(cost),
            begin: *unsettled.begin,
            state: State::Running,
            certainty: Certainty::Estimated,
            usage,
            cost,
            first_content: None,
            duration: None,
            response: None,
        }
    }
}

// === impl Entries ===

impl Iterator for Entries {
    type Item = Result<Entry, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let Self(instances) = self;
        let order = |joined: &mut Peekable<Joined>| {
            joined.peek().map(|next| match next {
                Ok(entry) => (entry.begin.started, entry.begin.attempt.to_bytes()),
                Err(_) => (0, [0; 16]),
            })
        };
        let heads =
            instances.iter_mut().enumerate().filter_map(|(place, joined)| Some((order(joined)?, place)));
        let (_, place) = heads.min()?;
        instances.get_mut(place)?.next()
    }
}

// === impl Slot ===

impl Slot {
    fn is_over(&self) -> bool {
        matches!(self, Self::Hit(_) | Self::Attempt(_, Some(_)))
    }
}

// === impl Joined ===

impl Joined {
    fn new(reader: Reader, held: bool) -> Self {
        Self {
            reader,
            held,
            window: VecDeque::new(),
            places: HashMap::new(),
            first: 0,
            trimmed: None,
            read: false,
        }
    }

    fn attempt(&mut self, attempt: &AttemptId) -> Option<(&mut Unsettled, &mut Option<Box<Settle>>)> {
        let place = self.places.get(attempt)?;
        match self.window.get_mut(usize::try_from(place - self.first).ok()?)? {
            Slot::Attempt(unsettled, settle) => Some((unsettled, settle)),
            Slot::Hit(_) => None,
        }
    }

    fn take(&mut self, line: Line) -> Option<Damage> {
        self.trimmed.get_or_insert(line.trimmed());
        match line {
            Line::Begin(begin) => {
                let place = self.first + self.window.len() as u64;
                self.places.insert(begin.attempt, place);
                self.window.push_back(Slot::Attempt(Unsettled::new(begin), None));
            }
            Line::Checkpoint(checkpoint) => {
                if let Some((unsettled, _)) = self.attempt(&checkpoint.attempt) {
                    unsettled.checkpoint = Some(Box::new(checkpoint));
                }
            }
            Line::Hit(hit) => self.window.push_back(Slot::Hit(hit)),
            Line::Settle(settle) if !self.places.contains_key(&settle.attempt) => {
                let removed = settle.began_by(self.trimmed);
                return (!removed).then(|| Damage::Orphan(Box::new(settle)));
            }
            Line::Settle(settle) => match self.attempt(&settle.attempt) {
                Some((_, end)) if end.is_none() => *end = Some(Box::new(settle)),
                Some(_) | None => return Some(Damage::Orphan(Box::new(settle))),
            },
            Line::Mark(Mark { takeover: true, .. }) => self.interrupt(),
            Line::Mark(Mark { takeover: false, .. }) => {}
        }
        None
    }

    /// Nobody is left who could end what is open.
    fn interrupt(&mut self) {
        for slot in &mut self.window {
            if let Slot::Attempt(unsettled, settle) = slot {
                settle.get_or_insert_with(|| Box::new(unsettled.interrupted()));
            }
        }
    }

    fn pop(&mut self) -> Option<Entry> {
        let slot = self.window.pop_front()?;
        self.first += 1;
        let (unsettled, settle) = match slot {
            Slot::Attempt(unsettled, settle) => (unsettled, settle),
            Slot::Hit(hit) => return Some(hit.entry()),
        };
        self.places.remove(&unsettled.begin.attempt);
        Some(match settle {
            Some(settle) => Entry::settled(*unsettled.begin, *settle),
            None if self.held => Entry::running(unsettled),
            None => Entry::settled(*unsettled.begin.clone(), unsettled.interrupted()),
        })
    }
}

impl Iterator for Joined {
    type Item = Result<Entry, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let ended = self.window.front().is_some_and(Slot::is_over);
            if ended || self.read {
                return self.pop().map(Ok);
            }
            let damage = match self.reader.line() {
                None => {
                    self.read = true;
                    continue;
                }
                Some(Ok(line)) => self.take(line),
                Some(Err(damage)) => {
                    self.trimmed.get_or_insert(0);
                    Some(damage)
                }
            };
            if let Some(damage) = damage {
                return Some(Err(damage));
            }
        }
    }
}
