//! What an operator may set for all groups, and the defaults.

use std::sync::Arc;
use std::time::Duration;

use crate::{Pick, SimpleShuffle};

/// The provider that a bare model name belongs to, where that is known.
pub type ProviderOf = Arc<dyn Fn(&str) -> Option<Arc<str>> + Send + Sync>;

/// What holds for all deployments and groups.
#[derive(Clone)]
pub struct Settings {
    /// Chooses among the deployments that are left after all filters.
    pub pick: Arc<dyn Pick>,
    /// Leads a bare name (`gpt-4o`) to its provider's wildcard (`openai/*`).
    pub provider_of: ProviderOf,
    /// Other names of groups.
    pub aliases: Vec<Alias>,
    /// Attempts after the first at one group.
    pub num_retries: u32,
    /// The least wait before an attempt at a deployment that has just failed.
    pub retry_after: Duration,
    /// Attempts of one call at all groups together: the bound that no combination of settings can exceed.
    pub max_attempts: u32,
    /// Where to go when a group fails.
    pub fallbacks: Vec<Rule>,
    /// The same when the conversation is too long for the group's model; without a rule here the general ones hold.
    pub context_window_fallbacks: Vec<Rule>,
    /// The same when the group's provider refuses the content.
    pub content_policy_fallbacks: Vec<Rule>,
    /// Where to go when every other way is exhausted, and for unknown models.
    pub default_fallbacks: Vec<Arc<str>>,
    /// Fallback groups that one call may try.
    pub max_fallbacks: u32,
    /// The longest an attempt may take, and the longest wait for a stream's first content.
    pub timeout: Option<Duration>,
    /// The longest wait for a stream's first content.
    pub stream_timeout: Option<Duration>,
    /// The longest wait for a stream's first content, where no timeout is given.
    pub first_content: Duration,
    /// The longest wait between two events of a stream.
    pub idle: Duration,
    /// The longest a call may take, all attempts and its stream included.
    pub total: Duration,
    /// How long a deployment rests after a failure; zero means never.
    pub cooldown_time: Duration,
}

/// Another name of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The name that clients may use.
    pub name: Arc<str>,
    /// What it stands for.
    pub model: Arc<str>,
    /// Whether lists of models leave it out.
    pub hidden: bool,
}

/// Where to go when a group fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The group; may hold `*`.
    pub group: Arc<str>,
    /// The groups to try in its place, in this order.
    pub fallbacks: Vec<Arc<str>>,
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            pick: Arc::new(SimpleShuffle),
            provider_of: Arc::new(|_| None),
            aliases: Vec::new(),
            num_retries: 2,
            retry_after: Duration::ZERO,
            max_attempts: 20,
            fallbacks: Vec::new(),
            context_window_fallbacks: Vec::new(),
            content_policy_fallbacks: Vec::new(),
            default_fallbacks: Vec::new(),
            max_fallbacks: 5,
            timeout: None,
            stream_timeout: None,
            first_content: Duration::from_secs(300),
            idle: Duration::from_secs(120),
            total: Duration::from_secs(600),
            cooldown_time: Duration::from_secs(5),
        }
    }
}
