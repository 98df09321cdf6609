//! What an operator may set about keys.

use gatewright_core::Secret;
use http::HeaderName;

/// Which keys are accepted, and where they are looked for.
#[derive(Clone, Default)]
pub struct Settings {
    /// The operator's own key, which may do everything. Without one, or with an empty one, no key is asked for.
    pub master_key: Option<Secret>,
    /// A header that is looked into before all others.
    pub key_header: Option<HeaderName>,
}
