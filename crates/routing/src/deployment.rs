//! The half of a deployment that routing needs: where it belongs, how much it takes, how long it may take.

use std::sync::Arc;
use std::time::Duration;

use crate::{Agents, Model};

/// One model at one provider with one credential, as far as choosing it is concerned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deployment {
    /// Names it; the other half, with URL and credential, has the same id.
    pub id: Arc<str>,
    /// The public model name it serves; may hold `*`.
    pub group: Arc<str>,
    /// The only team that may use it; `None` is everybody.
    pub team: Option<Arc<str>>,
    /// Names that callers may have in place of the group's.
    pub access_groups: Vec<Arc<str>>,
    /// `provider/model`; each `*` is replaced by what the group's `*` stood for, left to right.
    pub target: Arc<str>,
    /// What is known of its model, where it has only one.
    pub model: Model,
    /// The provider's name.
    pub provider: Arc<str>,
    /// Its share of the group's calls, relative to the others.
    pub weight: Option<f64>,
    /// Requests a minute; a share too, where no weight is given.
    pub rpm: Option<u64>,
    /// Tokens a minute; a share too, where neither of the others is given.
    pub tpm: Option<u64>,
    /// Whether its own limits may refuse an attempt: calls wait for what they give back.
    pub limited: bool,
    /// Its tier: a higher one is used when no lower one is left.
    pub order: Option<u32>,
    /// The longest an attempt may take, and the longest wait for a stream's first content.
    pub timeout: Option<Duration>,
    /// The longest wait for a stream's first content.
    pub stream_timeout: Option<Duration>,
    /// The longest wait between two events of a stream.
    pub idle: Option<Duration>,
    /// Attempts after the first, when this one failed.
    pub num_retries: Option<u32>,
    /// What calls it is for, where tags decide.
    pub tags: Vec<Arc<str>>,
    /// Whose calls it is for beside, by their `User-Agent`, where tags decide.
    pub agents: Vec<Agents>,
    /// Where it is (`eu`, `us`).
    pub region: Option<Arc<str>>,
    /// The groups that are asked the same in the background, when it has answered.
    pub silent: Vec<Arc<str>>,
    /// How long it rests after a failure.
    pub cooldown_time: Option<Duration>,
}
