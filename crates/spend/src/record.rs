//! What the journal says of an attempt: that it began, how far it is, how it ended; and of an answer of the cache, at once.

use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{AttemptId, CallId, End, Error, Money, Usage};

use crate::entry::Entry;
use crate::wire::{Fields, Texts, Writer};

/// An attempt is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    /// The attempt: the key of its entry.
    pub attempt: AttemptId,
    /// The call that it serves.
    pub call: CallId,
    /// Who is calling: the caller's stable id, never a key.
    pub caller: Arc<str>,
    /// On whose account.
    pub tenant: Tenant,
    /// The model group.
    pub group: Arc<str>,
    /// The deployment's id.
    pub deployment: Arc<str>,
    /// The provider's name.
    pub provider: Arc<str>,
    /// The model's name at the provider.
    pub model: Arc<str>,
    /// Microseconds since the Unix epoch. The journal sets it as it writes, so that it never runs backwards.
    pub started: u64,
    /// Input tokens as counted here.
    pub input_estimate: u64,
    /// The most output tokens that the upstream was allowed.
    pub output_cap: u64,
    /// What the input alone would cost: what an attempt is booked with of which nothing else is known.
    pub floor: Money,
    /// The most that it can cost.
    pub bound: Money,
    /// What the cache gave of its answer.
    pub spared: Option<Spared>,
}

/// What the cache gave, so that nobody was asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spared {
    /// Names what was kept.
    pub key: Arc<str>,
    /// What it had cost when it was made.
    pub saved: Money,
    /// Whether that is the whole answer, and there was no attempt; else the attempt asked for the rest.
    pub whole: bool,
}

/// The cache gave a whole answer. One record, for it is over when it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// What it was asked for, on whose account, and who gave the answer first. The journal sets `started` to when the
    /// answer ended; see [`Hit::entry`].
    pub begin: Begin,
    /// How it ended: at no cost.
    pub settle: Settle,
}

/// On whose account an attempt goes, besides the caller's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenant {
    /// The caller's team.
    pub team: Option<Arc<str>>,
    /// The caller's user.
    pub user: Option<Arc<str>>,
    /// The caller's organization.
    pub organization: Option<Arc<str>>,
    /// The caller's project.
    pub project: Option<Arc<str>>,
    /// The end user on whose behalf the caller calls.
    pub customer: Option<Arc<str>>,
    /// The client's name for the trace or the session, else the trace's own.
    pub trace: Option<Arc<str>>,
    /// Tags of the caller and of the call; at most a dozen are kept.
    pub tags: Vec<Arc<str>>,
}

/// How far a long stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The attempt.
    pub attempt: AttemptId,
    /// Usage so far: the provider's where it was reported, else estimated.
    pub usage: Usage,
    /// What that costs.
    pub cost: Money,
}

/// An attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    /// The attempt.
    pub attempt: AttemptId,
    /// How it ended.
    pub ending: Ending,
    /// Whether usage and cost are the provider's or ours.
    pub certainty: Certainty,
    /// What it used.
    pub usage: Usage,
    /// What it cost.
    pub cost: Money,
    /// From the start to the first content; whole milliseconds are kept.
    pub first_content: Option<Duration>,
    /// From the start to the end; whole milliseconds are kept.
    pub duration: Duration,
    /// The provider's name for its answer, where it was read anyway.
    pub response: Option<Arc<str>>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The reply was whole.
    Complete,
    /// It failed: the name of the error's kind, and the status that goes with it.
    Failed {
        /// The name of the [`gatewright_core::ErrorKind`].
        kind: Arc<str>,
        /// The HTTP status.
        status: u16,
    },
    /// Whoever asked went away.
    Abandoned,
    /// The process died, and a later one closed the books.
    Interrupted,
}

/// Whether a cost is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Certainty {
    /// From the provider's own usage, or nothing was billed.
    Exact,
    /// From our counting; the entry's bound is the most that it can be.
    Estimated,
}

/// The first record of a segment, and of a process: where whoever closes the books after a crash must start to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The first segment with an attempt that is still open.
    pub(crate) oldest_open: u64,
    /// The latest `started` before it.
    pub(crate) started: u64,
    /// A process begins to write here; whatever is open before it has no end to come.
    pub(crate) takeover: bool,
}

/// Whatever a record can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Begin(Box<Begin>),
    Checkpoint(Checkpoint),
    Settle(Settle),
    Hit(Box<Hit>),
    Mark(Mark),
}

/// Tags that a record keeps, so that the longest has room.
pub(crate) const MOST_TAGS: usize = 20;

const BEGIN: u8 = 1;
const CHECKPOINT: u8 = 2;
const SETTLE: u8 = 3;
const MARK: u8 = 4;
const HIT: u8 = 5;

/// The bit of a tenant's mask that says that the cache gave something.
const SPARED: u8 = 6;

/// Where `started` stands in an encoded [`Begin`] or [`Hit`].
pub(crate) const STARTED_AT: std::ops::Range<usize> = 33..41;

// === impl Begin ===

impl Begin {
    pub(crate) fn encode(&self, out: &mut Writer) {
        self.encode_names(BEGIN, out);
        out.number(self.input_estimate);
        out.number(self.output_cap);
        out.money(self.floor);
        out.money(self.bound);
        self.encode_tail(out);
    }

    fn encode_names(&self, kind: u8, out: &mut Writer) {
        out.byte(kind);
        out.bytes(&self.attempt.to_bytes());
        out.bytes(&self.call.to_bytes());
        out.bytes(&self.started.to_le_bytes());
        for text in [&self.caller, &self.group, &self.deployment, &self.provider, &self.model] {
            out.text(text);
        }
    }

    /// On whose account it goes, and what the cache gave; nothing at all where there is nothing.
    fn encode_tail(&self, out: &mut Writer) {
        if self.spared.is_some() || self.tenant != Tenant::default() {
            self.tenant.encode(self.spared.as_ref(), out);
        }
    }

    fn decode(from: &mut Fields<'_>, known: &mut Texts) -> Option<Self> {
        let mut begin = Self::decode_names(from, known)?;
        begin.input_estimate = from.number()?;
        begin.output_cap = from.number()?;
        begin.floor = from.money()?;
        begin.bound = from.money()?;
        (begin.tenant, begin.spared) = Tenant::decode(from, known)?;
        Some(begin)
    }

    fn decode_names(from: &mut Fields<'_>, known: &mut Texts) -> Option<Self> {
        Some(Self {
            attempt: AttemptId::from_bytes(from.array()?),
            call: CallId::from_bytes(from.array()?),
            started: u64::from_le_bytes(from.array()?),
            caller: from.known_text(known)?,
            group: from.known_text(known)?,
            deployment: from.known_text(known)?,
            provider: from.known_text(known)?,
            model: from.known_text(known)?,
            input_estimate: 0,
            output_cap: 0,
            floor: Money::ZERO,
            bound: Money::ZERO,
            tenant: Tenant::default(),
            spared: None,
        })
    }
}

// === impl Hit ===

impl Hit {
    pub(crate) fn encode(&self, out: &mut Writer) {
        let Self { begin, settle } = self;
        begin.encode_names(HIT, out);
        settle.ending.encode(out);
        out.usage(&settle.usage);
        out.number(after(settle.first_content));
        out.number(millis(settle.duration));
        begin.encode_tail(out);
    }

    fn decode(from: &mut Fields<'_>, known: &mut Texts) -> Option<Self> {
        let mut begin = Begin::decode_names(from, known)?;
        let settle = Settle {
            attempt: begin.attempt,
            ending: Ending::decode(from, known)?,
            certainty: Certainty::Exact,
            usage: from.usage()?,
            cost: Money::ZERO,
            first_content: from.number()?.checked_sub(1).map(Duration::from_millis),
            duration: Duration::from_millis(from.number()?),
            response: None,
        };
        let (tenant, spared) = Tenant::decode(from, known)?;
        (begin.tenant, begin.spared) = (tenant, Some(Spared { whole: true, ..spared? }));
        Some(Self { begin, settle })
    }

    /// The entry. It is written at its end, so that the journal's times never run backwards; it began before.
    pub(crate) fn entry(self) -> Entry {
        let Self { mut begin, settle } = self;
        let took = settle.duration.as_micros().try_into().unwrap_or(u64::MAX);
        begin.started = begin.started.saturating_sub(took);
        Entry::settled(begin, settle)
    }
}

// === impl Tenant ===

impl Tenant {
    /// A mask of what there is, then that, then the tags, then what the cache gave.
    fn encode(&self, spared: Option<&Spared>, out: &mut Writer) {
        let texts = [&self.team, &self.user, &self.organization, &self.project, &self.customer, &self.trace];
        let mask = texts.iter().enumerate().map(|(bit, text)| u8::from(text.is_some()) << bit);
        out.byte(mask.sum::<u8>() | u8::from(spared.is_some()) << SPARED);
        texts.into_iter().flatten().for_each(|text| out.text(text));
        out.number(self.tags.len().min(MOST_TAGS) as u64);
        self.tags.iter().take(MOST_TAGS).for_each(|tag| out.text(tag));
        if let Some(Spared { key, saved, .. }) = spared {
            out.text(key);
            out.money(*saved);
        }
    }

    fn decode(from: &mut Fields<'_>, known: &mut Texts) -> Option<(Self, Option<Spared>)> {
        if from.is_empty() {
            return Some((Self::default(), None));
        }
        let mask = from.byte()?;
        let mut next = |bit: u8| -> Option<Option<Arc<str>>> {
            if mask >> bit & 1 == 0 { Some(None) } else { from.known_text(known).map(Some) }
        };
        let [team, user, organization, project, customer] =
            [next(0)?, next(1)?, next(2)?, next(3)?, next(4)?];
        let trace = if mask >> 5 & 1 == 0 { None } else { Some(from.text()?) };
        let count = usize::try_from(from.number()?).ok().filter(|count| *count <= MOST_TAGS)?;
        let tags = (0..count).map(|_| from.known_text(known)).collect::<Option<_>>()?;
        let tenant = Self { team, user, organization, project, customer, trace, tags };
        let spared = match mask >> SPARED & 1 {
            0 => None,
            _ => Some(Spared { key: from.text()?, saved: from.money()?, whole: false }),
        };
        Some((tenant, spared))
    }
}

// === impl Checkpoint ===

impl Checkpoint {
    pub(crate) fn encode(&self, out: &mut Writer) {
        out.byte(CHECKPOINT);
        out.bytes(&self.attempt.to_bytes());
        out.usage(&self.usage);
        out.money(self.cost);
    }

    fn decode(from: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            attempt: AttemptId::from_bytes(from.array()?),
            usage: from.usage()?,
            cost: from.money()?,
        })
    }
}

// === impl Settle ===

impl Settle {
    /// Whether its attempt began no later than this, in microseconds since 1970. The id is made before the beginning.
    pub(crate) fn began_by(&self, micros: Option<u64>) -> bool {
        micros.is_some_and(|micros| self.attempt.unix_millis() <= micros / 1000)
    }

    pub(crate) fn encode(&self, out: &mut Writer) {
        out.byte(SETTLE);
        out.bytes(&self.attempt.to_bytes());
        self.ending.encode(out);
        out.byte(u8::from(self.certainty == Certainty::Estimated));
        out.usage(&self.usage);
        out.money(self.cost);
        out.number(after(self.first_content));
        out.number(millis(self.duration));
        if let Some(response) = &self.response {
            out.text(response);
        }
    }

    fn decode(from: &mut Fields<'_>, known: &mut Texts) -> Option<Self> {
        Some(Self {
            attempt: AttemptId::from_bytes(from.array()?),
            ending: Ending::decode(from, known)?,
            certainty: match from.byte()? {
                0 => Certainty::Exact,
                1 => Certainty::Estimated,
                _ => return None,
            },
            usage: from.usage()?,
            cost: from.money()?,
            first_content: from.number()?.checked_sub(1).map(Duration::from_millis),
            duration: Duration::from_millis(from.number()?),
            response: if from.is_empty() { None } else { Some(from.text()?) },
        })
    }
}

// === impl Ending ===

impl Ending {
    /// The end that a reply took.
    pub(crate) fn at(end: End<'_>) -> Self {
        match end {
            End::Complete => Self::Complete,
            End::Failed(err) => Self::of(err),
            End::Abandoned => Self::Abandoned,
        }
    }

    /// The end that an error makes.
    fn of(err: &Error) -> Self {
        Self::Failed { kind: format!("{:?}", err.kind()).into(), status: err.status().as_u16() }
    }

    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Complete => out.byte(0),
            Self::Failed { kind, status } => {
                out.byte(1);
                out.text(kind);
                out.number(u64::from(*status));
            }
            Self::Abandoned => out.byte(2),
            Self::Interrupted => out.byte(3),
        }
    }

    fn decode(from: &mut Fields<'_>, known: &mut Texts) -> Option<Self> {
        Some(match from.byte()? {
            0 => Self::Complete,
            1 => Self::Failed { kind: from.known_text(known)?, status: from.number()?.try_into().ok()? },
            2 => Self::Abandoned,
            3 => Self::Interrupted,
            _ => return None,
        })
    }
}

// === impl Mark ===

impl Mark {
    pub(crate) fn encode(self, out: &mut Writer) {
        out.byte(MARK);
        out.number(self.oldest_open);
        out.number(self.started);
        out.byte(u8::from(self.takeover));
    }
}

// === impl Line ===

impl Line {
    /// What a journal says whose first line this is: the latest start, in microseconds since 1970, that stood in a part
    /// before it.
    pub(crate) fn trimmed(&self) -> u64 {
        if let Self::Mark(mark) = self { mark.started } else { 0 }
    }

    /// Reads a whole record; what it does not understand to the last byte is not one.
    pub(crate) fn decode(payload: &[u8], known: &mut Texts) -> Option<Self> {
        let mut from = Fields::new(payload);
        let line = match from.byte()? {
            BEGIN => Self::Begin(Box::new(Begin::decode(&mut from, known)?)),
            CHECKPOINT => Self::Checkpoint(Checkpoint::decode(&mut from)?),
            SETTLE => Self::Settle(Settle::decode(&mut from, known)?),
            HIT => Self::Hit(Box::new(Hit::decode(&mut from, known)?)),
            MARK => Self::Mark(Mark {
                oldest_open: from.number()?,
                started: from.number()?,
                takeover: from.byte()? != 0,
            }),
            _ => return None,
        };
        from.is_empty().then_some(line)
    }
}

/// Zero is "never"; everything else is one more than it is.
fn after(wait: Option<Duration>) -> u64 {
    wait.map_or(0, |wait| millis(wait).saturating_add(1))
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}
