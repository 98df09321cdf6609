//! What an operator may set about keys.

use std::time::Duration;

use gatewright_core::Secret;
use http::HeaderName;

/// Which keys are accepted, where they are looked for, and how long they are remembered.
#[derive(Clone)]
pub struct Settings {
    /// The operator's own key, which may do everything. Without one, or with an empty one, no key is asked for.
    pub master_key: Option<Secret>,
    /// A header that is looked into before all others.
    pub key_header: Option<HeaderName>,
    /// How long a key is not looked up again, and a wrong one stays wrong, as long as nobody tells of a change.
    pub fresh: Duration,
    /// How long a key stays in force that cannot be looked up again.
    pub keep: Duration,
    /// Whether keys that nobody can look up may call models while the database is away.
    pub admit_unknown: bool,
    /// Whether what is remembered will be written down.
    pub recorded: bool,
    /// Paths in the metadata of keys and teams (`foo`, `metadata.foo.bar`) whose texts callers carry to be shown.
    pub shown_metadata: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            master_key: None,
            key_header: None,
            fresh: Duration::from_secs(60),
            keep: Duration::from_secs(86_400),
            admit_unknown: false,
            recorded: false,
            shown_metadata: Vec::new(),
        }
    }
}
