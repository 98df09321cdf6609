//! Refuses to open a gateway to a network with no key, or with one that everybody knows.

use std::fmt;
use std::net::IpAddr;

use gatewright_core::Secret;

/// Why a gateway must not listen where it was told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Anybody could use it.
    NoMasterKey,
    /// Its master key stands in somebody's documentation.
    PublishedMasterKey,
}

/// Keys from documentation, tutorials and templates, of LiteLLM and of those who write about it.
const PUBLISHED: &[&str] = &[
    "sk-1234",
    "sk-123",
    "sk-12345",
    "sk-123456",
    "sk-12345678",
    "sk-1234567890",
    "sk-1234567890abcdef",
    "sk-0000",
    "sk-xxx",
    "sk-xxxx",
    "sk-xxxxx",
    "sk-...",
    "sk-abc123",
    "sk-admin",
    "sk-anything",
    "sk-change-me",
    "sk-changeme",
    "sk-default",
    "sk-demo",
    "sk-demo-key",
    "sk-dev",
    "sk-dummy",
    "sk-example",
    "sk-fake",
    "sk-gatewright",
    "sk-key",
    "sk-litellm",
    "sk-litellm-key",
    "sk-litellm-master",
    "sk-litellm-master-key",
    "sk-litellm-...",
    "sk-local",
    "sk-local-dev",
    "sk-master",
    "sk-master-key",
    "sk-my-master-key",
    "sk-my-secret-key",
    "sk-my_special_key",
    "sk-password",
    "sk-private-local-key",
    "sk-proxy",
    "sk-replace-with-your-generated-master-key",
    "sk-secret",
    "sk-test",
    "sk-test-12345",
    "sk-test-key",
    "sk-your-key",
    "sk-your-litellm-master-key",
    "sk-your-master-key",
    "sk-your-secret-key",
    "anything",
    "changeme",
    "master-key",
    "my-master-key",
    "password",
    "secret",
    "your-master-key",
];

/// Whether a gateway with this master key may listen on this address. On a loopback address it always may; elsewhere
/// it needs a master key that is not published, unless the operator permits a weak one.
pub fn check_exposure(bind: IpAddr, master_key: Option<&Secret>, permit_weak: bool) -> Result<(), Exposure> {
    if permit_weak || bind.to_canonical().is_loopback() {
        return Ok(());
    }
    let key = master_key.map_or("", |key| key.reveal().trim());
    if key.is_empty() {
        return Err(Exposure::NoMasterKey);
    }
    match PUBLISHED.iter().any(|published| published.eq_ignore_ascii_case(key)) {
        true => Err(Exposure::PublishedMasterKey),
        false => Ok(()),
    }
}

// === impl Exposure ===

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self {
            Self::NoMasterKey => "there is no master key",
            Self::PublishedMasterKey => "the master key is a published example",
        };
        write!(
            f,
            "{reason}, so the gateway may not listen on an address that others can reach: set \
             `general_settings.master_key` to a random key, listen on 127.0.0.1, or set \
             `general_settings.dangerously_permit_weak_or_unset_master_key: true`"
        )
    }
}

impl std::error::Error for Exposure {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bind: &str, key: Option<&str>, permit_weak: bool, expected: Result<(), Exposure>) {
        let secret = key.map(Secret::from);
        let result = check_exposure(bind.parse().unwrap(), secret.as_ref(), permit_weak);
        assert_eq!(result, expected, "{bind} {key:?} {permit_weak}");
    }

    #[test]
    fn a_network_is_faced_only_with_a_key_of_ones_own() {
        let (none, published) = (Err(Exposure::NoMasterKey), Err(Exposure::PublishedMasterKey));
        for bind in ["0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1", "192.168.1.5"] {
            for (key, expected) in [
                (None, none),
                (Some(""), none),
                (Some("  "), none),
                (Some("sk-1234"), published),
                (Some(" SK-1234 "), published),
                (Some("sk-master-key"), published),
                (Some("sk-5f1d6cbb3d"), Ok(())),
                (Some("sk-master-key-1234"), Ok(())),
            ] {
                check(bind, key, false, expected);
                check(bind, key, true, Ok(()));
            }
        }
    }

    #[test]
    fn on_the_own_machine_every_key_will_do() {
        for bind in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            for key in [None, Some(""), Some("sk-1234"), Some("sk-master-key-1234")] {
                check(bind, key, false, Ok(()));
            }
        }
    }

    #[test]
    fn a_refusal_says_what_to_do_and_never_the_key() {
        let text = Exposure::PublishedMasterKey.to_string();
        assert!(text.contains("general_settings.master_key") && !text.contains("sk-"));
    }
}
