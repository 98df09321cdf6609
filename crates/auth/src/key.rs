//! Keys as they are kept and compared: by their SHA-256 digest.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The SHA-256 digest of a whole key; prints as 64 hex digits, the form in which keys are stored and named.
///
/// Keys have so many random bits that a slow hash would protect nothing and cost every request.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; 32]);

// === impl KeyHash ===

impl KeyHash {
    /// The digest of a key.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// The digest that has these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads the 64 hex digits that it prints as.
    pub fn parse(digits: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl PartialEq for KeyHash {
    /// Takes the same time wherever the two differ.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for KeyHash {}

impl std::hash::Hash for KeyHash {
    /// Eight bytes of a digest are as good as all of them.
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_its_plain_digest() {
        let digest = "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b";
        assert_eq!(KeyHash::of("sk-1234").to_string(), digest);
        assert_eq!(KeyHash::parse(digest), Some(KeyHash::of("sk-1234")));
        assert_eq!(KeyHash::parse("sk-1234"), None);
        assert_eq!(KeyHash::of("sk-1234"), KeyHash::of("sk-1234"));
        assert_ne!(KeyHash::of("sk-1234"), KeyHash::of("sk-1235"));
    }
}
