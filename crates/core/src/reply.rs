//! What answers a call: a head and frames.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::{Error, Frames, Money, Notes, SoFar, Usage};

/// The answer to a call, already in the client's dialect.
pub struct Reply {
    /// What is known before the first byte.
    pub head: Box<Head>,
    /// The bytes, and whoever watches them.
    pub frames: Frames,
}

/// What is known before the first byte leaves.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The upstream's status.
    pub status: StatusCode,
    /// The upstream's headers.
    pub headers: HeaderMap,
    /// Headers of the gateway's own: what limits and budgets tell the client.
    pub told: HeaderMap,
    /// Whether the frames are a stream of events.
    pub streams: bool,
    /// What the answer is, where it is neither JSON nor events.
    pub content_type: Option<HeaderValue>,
    /// Who served it.
    pub served_by: Option<Arc<ServedBy>>,
    /// Attempts that failed at the group that answered, before the one that did.
    pub retries: u32,
    /// Groups that were tried before the one that answered.
    pub fallbacks: u32,
    /// What failed at the group that was asked for, where another one answered.
    pub overcome: Option<Error>,
    /// How long the gateway waited for the upstream.
    pub waited: Duration,
    /// What it cost, where that is known before the first byte.
    pub cost: Option<Money>,
    /// What the cache says of it; nothing where no cache was asked.
    pub cached: Option<Arc<Cached>>,
    /// Whether the answer is the upstream's own, only edited: what it says of the upstream's state holds there.
    pub relayed: bool,
    /// What the answer had said where it broke off; only where another attempt may go on with it, which then is not the
    /// upstream's own any more.
    pub so_far: Option<Arc<SoFar>>,
    /// What the upstream's dialect could not carry.
    pub dropped: Vec<Cow<'static, str>>,
    /// What the upstream says about its answer, as far as it has come; only where somebody asks.
    pub notes: Option<Notes>,
}

/// What the cache says of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Cached {
    /// Names what is kept.
    pub key: Arc<str>,
    /// Whether the answer was kept there; else it came from an upstream, and may be kept now.
    pub hit: bool,
    /// How alike the questions are, from 0 to 1, where answers to similar ones count too.
    pub similarity: Option<f32>,
    /// What the answer cost when it was made, and costs nobody now; without a hit, what a part of it cost that was kept.
    pub saved: Option<Money>,
}

/// The deployment that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedBy {
    /// The deployment's id.
    pub deployment: Arc<str>,
    /// The model group it answered for.
    pub group: Arc<str>,
    /// `provider/model` as configured.
    pub model: Arc<str>,
    /// The upstream's base URL.
    pub api_base: Arc<str>,
    /// The provider's name.
    pub provider: Arc<str>,
}

/// Bytes that leave together, with what was peeked from them.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// What the client gets: one or more whole events, or a whole body.
    pub data: Bytes,
    /// The usage that the provider reported in it.
    pub usage: Option<Usage>,
    /// Bytes of model output in it; zero for heads, pings and usage.
    pub content: u32,
    /// Whether the reply is whole with it.
    pub last: bool,
}
