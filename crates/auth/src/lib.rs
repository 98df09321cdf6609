#![doc = include_str!("../README.md")]

mod authenticator;
pub use authenticator::Authenticator;

mod keys;
pub use keys::{Holder, Keys, Part, Record};

mod record;
pub use record::Remembered;

mod heard;

mod known;

mod bearer;
pub use bearer::{BearerSettings, ClaimNames, Claimed, Fetch, Role, ScopeGrant};

mod grant;
pub use grant::{Asked, Grant, Peer};

mod proxies;
pub use proxies::TrustedProxies;

mod joined;
pub use joined::{Finding, Joined, JoinedSettings, Parties, Party};

mod recording;

mod routes;

mod credential;
pub use credential::Credential;

mod key;
pub use key::KeyHash;

mod settings;
pub use settings::Settings;

mod exposure;
pub use exposure::{Exposure, check_exposure};
