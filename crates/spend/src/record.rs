//! What the journal says of an attempt: that it began, how far it is, how it ended.

use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{AttemptId, CallId, Error, Money, Usage};

use crate::wire::{Fields, Writer};

/// An attempt is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    /// The attempt: the key of its entry.
    pub attempt: AttemptId,
    /// The call that it serves.
    pub call: CallId,
    /// Who is calling: the caller's stable id, never a key.
    pub caller: Arc<str>,
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
    Mark(Mark),
}

const BEGIN: u8 = 1;
const CHECKPOINT: u8 = 2;
const SETTLE: u8 = 3;
const MARK: u8 = 4;

/// Where `started` stands in an encoded [`Begin`].
pub(crate) const STARTED_AT: std::ops::Range<usize> = 33..41;

// === impl Begin ===

impl Begin {
    pub(crate) fn encode(&self, out: &mut Writer) {
        out.byte(BEGIN);
        out.bytes(&self.attempt.to_bytes());
        out.bytes(&self.call.to_bytes());
        out.bytes(&self.started.to_le_bytes());
        for text in [&self.caller, &self.group, &self.deployment, &self.provider, &self.model] {
            out.text(text);
        }
        out.number(self.input_estimate);
        out.number(self.output_cap);
        out.money(self.floor);
        out.money(self.bound);
    }

    fn decode(from: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            attempt: AttemptId::from_bytes(from.array()?),
            call: CallId::from_bytes(from.array()?),
            started: u64::from_le_bytes(from.array()?),
            caller: from.text()?.into(),
            group: from.text()?.into(),
            deployment: from.text()?.into(),
            provider: from.text()?.into(),
            model: from.text()?.into(),
            input_estimate: from.number()?,
            output_cap: from.number()?,
            floor: from.money()?,
            bound: from.money()?,
        })
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
    pub(crate) fn encode(&self, out: &mut Writer) {
        out.byte(SETTLE);
        out.bytes(&self.attempt.to_bytes());
        self.ending.encode(out);
        out.byte(u8::from(self.certainty == Certainty::Estimated));
        out.usage(&self.usage);
        out.money(self.cost);
        // Zero is "never"; everything else is one more than it is.
        out.number(self.first_content.map_or(0, |after| millis(after).saturating_add(1)));
        out.number(millis(self.duration));
    }

    fn decode(from: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            attempt: AttemptId::from_bytes(from.array()?),
            ending: Ending::decode(from)?,
            certainty: match from.byte()? {
                0 => Certainty::Exact,
                1 => Certainty::Estimated,
                _ => return None,
            },
            usage: from.usage()?,
            cost: from.money()?,
            first_content: from.number()?.checked_sub(1).map(Duration::from_millis),
            duration: Duration::from_millis(from.number()?),
        })
    }
}

// === impl Ending ===

impl Ending {
    /// The end that an error makes.
    pub(crate) fn of(err: &Error) -> Self {
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

    fn decode(from: &mut Fields<'_>) -> Option<Self> {
        Some(match from.byte()? {
            0 => Self::Complete,
            1 => Self::Failed { kind: from.text()?.into(), status: from.number()?.try_into().ok()? },
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
    /// Reads a whole record; what it does not understand to the last byte is not one.
    pub(crate) fn decode(payload: &[u8]) -> Option<Self> {
        let mut from = Fields::new(payload);
        let line = match from.byte()? {
            BEGIN => Self::Begin(Box::new(Begin::decode(&mut from)?)),
            CHECKPOINT => Self::Checkpoint(Checkpoint::decode(&mut from)?),
            SETTLE => Self::Settle(Settle::decode(&mut from)?),
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

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}
