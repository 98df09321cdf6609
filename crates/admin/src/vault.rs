//! Secrets of providers as they are kept: encrypted under a key that only this gateway's operator has.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, MAX_TAG_LEN, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gatewright_core::Secret;

/// Encrypts and decrypts texts. Clones share the key.
#[derive(Clone)]
pub struct Vault(Arc<RandomizedNonceKey>);

/// What was kept cannot be read: another key wrote it, or somebody changed or moved it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// What a sealed text begins with: another way of sealing gets another number.
const MARK: &str = "gw1:";

/// Keeps this key apart from others that may be made of the same secret.
const PURPOSE: &[u8] = b"gatewright: provider secrets at rest, 1";

const KEY_BYTES: usize = 32;

// === impl Vault ===

impl Vault {
    /// A vault whose key is made of the operator's secret.
    pub fn new(secret: &Secret) -> Result<Self, Unreadable> {
        sealing_key(secret, PURPOSE).map(|key| Self(Arc::new(key))).map_err(unreadable)
    }

    /// Encrypts a text for a place: moved elsewhere it cannot be read any more.
    pub fn seal(&self, place: &str, text: &str) -> Result<String, Unreadable> {
        let mut bytes = text.as_bytes().to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(place), &mut bytes).map_err(unreadable)?;
        let whole = [nonce.as_ref().as_slice(), &bytes].concat();
        Ok(format!("{MARK}{}", URL_SAFE_NO_PAD.encode(whole)))
    }

    /// The text that was sealed for this place.
    pub fn open(&self, place: &str, sealed: &str) -> Result<String, Unreadable> {
        let coded = sealed.strip_prefix(MARK).ok_or(Unreadable)?;
        let whole = URL_SAFE_NO_PAD.decode(coded).map_err(|_| Unreadable)?;
        if whole.len() < NONCE_LEN + MAX_TAG_LEN {
            return Err(Unreadable);
        }
        let (nonce, bytes) = whole.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(unreadable)?;
        let mut bytes = bytes.to_vec();
        let text = self.0.open_in_place(nonce, Aad::from(place), &mut bytes).map_err(unreadable)?;
        String::from_utf8(text.to_vec()).map_err(|_| Unreadable)
    }
}

/// A key for AES-256-GCM, made of the operator's secret for one purpose: what is sealed for another it does not open.
pub fn sealing_key(secret: &Secret, purpose: &[u8]) -> Result<RandomizedNonceKey, Unspecified> {
    let mut key = [0; KEY_BYTES];
    let made = Salt::new(HKDF_SHA256, b"").extract(secret.reveal().as_bytes());
    made.expand(&[purpose], KeyBytes)?.fill(&mut key)?;
    RandomizedNonceKey::new(&AES_256_GCM, &key)
}

/// The length of the key, in the words of the derivation.
struct KeyBytes;

impl KeyType for KeyBytes {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stored secret cannot be decrypted: was LITELLM_SALT_KEY, or the master key, changed?")
    }
}

impl std::error::Error for Unreadable {}

fn unreadable(_: Unspecified) -> Unreadable {
    Unreadable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_where_it_was_put_with_the_key_that_wrote_it() {
        let vault = Vault::new(&"salt".into()).unwrap();
        let sealed = vault.seal("model/a", "sk-secret").unwrap();
        assert!(!sealed.contains("secret"));
        assert_eq!(vault.open("model/a", &sealed).unwrap(), "sk-secret");
        assert_ne!(sealed, vault.seal("model/a", "sk-secret").unwrap(), "no two are alike");
        assert_eq!(vault.open("model/a", &vault.seal("model/a", "").unwrap()).unwrap(), "");
        let another = if sealed.ends_with('A') { 'Q' } else { 'A' };
        let changed = format!("{}{another}", &sealed[..sealed.len() - 1]);
        let other = Vault::new(&"pepper".into()).unwrap();
        for (vault, place, sealed) in [
            (&vault, "model/b", sealed.as_str()),
            (&other, "model/a", sealed.as_str()),
            (&vault, "model/a", changed.as_str()),
            (&vault, "model/a", "sk-secret"),
            (&vault, "model/a", "gw1:"),
            (&vault, "model/a", "gw1:AAAA"),
        ] {
            assert_eq!(vault.open(place, sealed), Err(Unreadable), "{place} {sealed}");
        }
    }
}
