#![doc = include_str!("../README.md")]

mod authenticator;
pub use authenticator::Authenticator;

mod credential;
pub use credential::Credential;

mod key;
pub use key::KeyHash;

mod settings;
pub use settings::Settings;

mod exposure;
pub use exposure::{Exposure, check_exposure};
