//! The port behind virtual keys: where they are kept.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use gatewright_core::{Money, Result};
use serde_json::{Map, Value};

use crate::{Claimed, KeyHash};

/// Knows virtual keys by their digest.
pub trait Keys: Send + Sync + 'static {
    /// The key with this digest and what it belongs to; `None` where there is no such key. An error means that nobody
    /// can say now.
    fn find(&self, key: KeyHash) -> Pin<Box<dyn Future<Output = Result<Option<Holder>>> + Send + '_>>;

    /// What a key of those would be that a checked token stands for; `None` where one of them is not known.
    fn claimed<'a>(
        &'a self,
        claimed: &'a Claimed,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Holder>>> + Send + 'a>>;
}

/// A virtual key, and everything that has a say in what it may do.
#[derive(Clone, Debug, PartialEq)]
pub struct Holder {
    /// The key itself.
    pub key: Record,
    /// Its team.
    pub team: Option<Record>,
    /// The membership of its user in its team.
    pub member: Option<Record>,
    /// Its user.
    pub user: Option<Record>,
    /// Its project.
    pub project: Option<Record>,
    /// Its organization, or that of its team.
    pub organization: Option<Record>,
    /// All that had a say in it besides the key itself, also what was not there: when one of them is changed, it has to
    /// be looked up again.
    pub parts: Vec<Part>,
}

/// A row that has a say in what a key may do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Part {
    /// Its kind, by the name that the audit log has for it: `key`, `team`, `budget`.
    pub kind: &'static str,
    /// Its id.
    pub id: Arc<str>,
}

/// One of them as it is kept: fields by LiteLLM's names, and what was spent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Names it among its kind; of a key its digest.
    pub id: Arc<str>,
    /// What was set: `models`, `max_budget`, `rpm_limit` and so on.
    pub fields: Map<String, Value>,
    /// What was spent in the time of its budget that runs.
    pub spent: Money,
    /// What was spent in the times of its further budgets and on single models, by the name that they are kept under:
    /// a duration (`1d`) or a model.
    pub spent_in: Vec<(Arc<str>, Money)>,
    /// When the time of its budget ends.
    pub resets_at: Option<SystemTime>,
}
