//! LiteLLM's secrets: encrypted under its salt key, or its master key, in one of three ways.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use crypto_secretbox::aead::Aead;
use crypto_secretbox::{KeyInit, XSalsa20Poly1305};
use gatewright_core::Secret;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// What LiteLLM encrypted with.
pub(super) struct SaltKey {
    plain: [u8; 32],
    derived: [u8; 32],
}

const DERIVED_FOR: &[u8] = b"litellm-at-rest-v3";
const BOX_NONCE: usize = 24;

/// Both alphabets come, and padding may be missing.
const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING);

// === impl SaltKey ===

impl SaltKey {
    pub(super) fn new(secret: &Secret) -> Self {
        let bytes = secret.reveal().as_bytes();
        let mut derived = [0; 32];
        let made = Salt::new(HKDF_SHA256, b"").extract(bytes);
        // It fails for lengths only that a hash cannot give; then nothing can be decrypted, which is told.
        let _ = made.expand(&[DERIVED_FOR], KeyBytes).and_then(|okm| okm.fill(&mut derived));
        Self { plain: Sha256::digest(bytes).into(), derived }
    }

    /// All values as they were given; the name of the first one that cannot be read.
    pub(super) fn opened(&self, values: &Map<String, Value>) -> Result<Map<String, Value>, String> {
        let open = |(name, value): (&String, &Value)| {
            let given = match value {
                Value::String(text) => self.open(text).ok_or_else(|| name.clone())?.into(),
                other => other.clone(),
            };
            Ok((name.clone(), given))
        };
        values.iter().map(open).collect()
    }

    fn open(&self, text: &str) -> Option<String> {
        let bytes = match (text.strip_prefix("v3:gcm:"), text.strip_prefix("v2:gcm:")) {
            (Some(coded), _) => gcm(&self.derived, coded)?,
            (_, Some(coded)) => gcm(&self.plain, coded)?,
            _ => self.boxed(text)?,
        };
        String::from_utf8(bytes).ok()
    }

    fn boxed(&self, text: &str) -> Option<Vec<u8>> {
        let whole = URL.decode(text).or_else(|_| STANDARD.decode(text)).ok()?;
        let (nonce, sealed) = whole.split_at_checked(BOX_NONCE)?;
        let cipher = XSalsa20Poly1305::new_from_slice(&self.plain).ok()?;
        cipher.decrypt(nonce.into(), sealed).ok()
    }
}

struct KeyBytes;

impl KeyType for KeyBytes {
    fn len(&self) -> usize {
        32
    }
}

fn gcm(key: &[u8; 32], coded: &str) -> Option<Vec<u8>> {
    let whole = URL.decode(coded).ok()?;
    let (nonce, sealed) = whole.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut bytes = sealed.to_vec();
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
    key.open_in_place(nonce, Aad::empty(), &mut bytes).ok().map(|text| text.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each was made with the libraries that LiteLLM uses (PyNaCl, cryptography) for the salt `sk-salt`.
    #[test]
    fn what_litellm_encrypted_is_read_with_its_key() {
        let key = SaltKey::new(&"sk-salt".into());
        for sealed in [BOX, V2, V3] {
            assert_eq!(key.open(sealed).as_deref(), Some("sk-secret"), "{sealed}");
            assert_eq!(SaltKey::new(&"sk-other".into()).open(sealed), None);
        }
        assert_eq!(key.open("plain"), None);
    }

    const BOX: &str = "p2qGUmFI1jAB1293AJKPGavTIGxHgBDSoWLzBTF2o_-feT06x21idallwpGY8Y9nnw==";
    const V2: &str = "v2:gcm:CzqTZohSJ5sE96pGwMpVr1BWZ5ySW8b59ez32DFRt787ihFebQ==";
    const V3: &str = "v3:gcm:J8jd3WcRiw6sW_mS2rrZDKO8rUD8kbuXTx8hXosyT_D4Aojjpg==";
}
