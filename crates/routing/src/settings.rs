//! What an operator may set for all groups, and the defaults.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gatewright_core::ErrorKind;
use regex::Regex;

use crate::abilities::Ignorant;
use crate::{Affinity, Checks, Know, Pick, SimpleShuffle, Witness};

/// The provider that a bare model name belongs to, where that is known.
pub type ProviderOf = Arc<dyn Fn(&str) -> Option<Arc<str>> + Send + Sync>;

/// What holds for all deployments and groups.
#[derive(Clone)]
pub struct Settings {
    /// Chooses among the deployments that are left after all filters.
    pub pick: Arc<dyn Pick>,
    /// Groups that have a strategy of their own.
    pub picks: Vec<PickOf>,
    /// What a call is held against before a deployment is chosen.
    pub checks: Checks,
    /// Which calls go where others went that belong to them, whatever the strategy.
    pub affinity: Affinity,
    /// The same at single groups.
    pub group_affinity: HashMap<Arc<str>, Affinity>,
    /// What is known of models and of what calls ask of them.
    pub know: Arc<dyn Know>,
    /// Leads a bare name (`gpt-4o`) to its provider's wildcard (`openai/*`).
    pub provider_of: ProviderOf,
    /// Who hears how attempts went; `None` where nobody wants to know.
    pub witness: Option<Arc<dyn Witness>>,
    /// Mirrored calls that may be on their way at once.
    pub max_mirrors: usize,
    /// Other names of groups.
    pub aliases: Vec<Alias>,
    /// Attempts after the first at one group.
    pub num_retries: u32,
    /// The same by why an attempt failed.
    pub retries: PerKind,
    /// The same for single groups.
    pub group_retries: HashMap<Arc<str>, PerKind>,
    /// Attempts after the first that may fail, as a share of the calls of a group within some seconds. Ten may at any
    /// rate, and those at deployments that are known to be well.
    pub retry_budget: f64,
    /// Whether an attempt is made again that its provider bills all the same.
    pub retry_billed: bool,
    /// Whether another attempt goes on with a conversation's stream that breaks off after its first content.
    pub go_on: bool,
    /// Bytes of text that are kept of each such stream; a longer one does not go on.
    pub go_on_text: usize,
    /// The least wait before an attempt at a deployment that has just failed.
    pub retry_after: Duration,
    /// Attempts of one call at all groups together: the bound that no combination of settings can exceed.
    pub max_attempts: u32,
    /// Calls that wait for capacity.
    pub queue: Queueing,
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
    /// Failures within that time that do not make a deployment rest yet, by why they failed; without a number the share
    /// of failures decides.
    pub allowed_fails: PerKind,
}

/// Groups that have a strategy of their own.
#[derive(Clone)]
pub struct PickOf {
    /// Their names.
    pub groups: Vec<Arc<str>>,
    /// Their strategy.
    pub pick: Arc<dyn Pick>,
}

/// A number for each kind of failure, where one is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PerKind {
    /// For these.
    pub of: Vec<(ErrorKind, u32)>,
    /// For all others.
    pub other: Option<u32>,
}

/// What holds for calls that wait for capacity where every deployment of a group is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queueing {
    /// The longest wait of a call; zero switches waiting off.
    pub timeout: Duration,
    /// Calls that may wait at a group; zero switches waiting off.
    pub length: usize,
    /// The priority of a call that names none; lower numbers are first.
    pub priority: i64,
}

/// Clients by the line `User-Agent: …`.
#[derive(Clone, Debug)]
pub struct Agents(pub(crate) Regex);

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

// === impl Agents ===

impl Agents {
    /// Those whose line this pattern matches somewhere.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        Regex::new(pattern).map(Self).map_err(|err| err.to_string())
    }
}

impl PartialEq for Agents {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

// === impl Queueing ===

impl Queueing {
    pub(crate) fn is_on(&self) -> bool {
        !self.timeout.is_zero() && self.length > 0
    }
}

impl Default for Queueing {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), length: 1000, priority: 0 }
    }
}

// === impl PerKind ===

impl PerKind {
    /// The number for this kind.
    pub fn get(&self, kind: ErrorKind) -> Option<u32> {
        self.stated(kind).or(self.other)
    }

    /// The number for this kind by name.
    pub(crate) fn stated(&self, kind: ErrorKind) -> Option<u32> {
        self.of.iter().find(|(of, _)| *of == kind).map(|(_, number)| *number)
    }
}

// === impl Settings ===

impl Settings {
    /// The strategy of a group.
    pub(crate) fn pick_of(&self, group: &str) -> &Arc<dyn Pick> {
        let own = self.picks.iter().find(|own| own.groups.iter().any(|name| &**name == group));
        own.map_or(&self.pick, |own| &own.pick)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pick: Arc::new(SimpleShuffle),
            picks: Vec::new(),
            checks: Checks::default(),
            affinity: Affinity::default(),
            group_affinity: HashMap::new(),
            know: Arc::new(Ignorant),
            provider_of: Arc::new(|_| None),
            witness: None,
            max_mirrors: 100,
            aliases: Vec::new(),
            num_retries: 2,
            retries: PerKind::default(),
            group_retries: HashMap::new(),
            retry_budget: 0.2,
            retry_billed: false,
            go_on: false,
            go_on_text: 1 << 20,
            retry_after: Duration::ZERO,
            max_attempts: 20,
            queue: Queueing::default(),
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
            allowed_fails: PerKind::default(),
        }
    }
}
