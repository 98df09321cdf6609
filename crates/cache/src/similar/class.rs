//! Which questions may answer each other: only those that are the same in everything but the compared text.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The digest of everything about a question but its compared text: who asks, which model, with which parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class([u8; 32]);

// === impl Class ===

impl Class {
    /// The class that these facts make, in this order. Each counts with its length, so that two of them are never taken for two
    /// others.
    pub fn of<'a>(facts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut digest = Sha256::new();
        for fact in facts {
            digest.update((fact.len() as u64).to_le_bytes());
            digest.update(fact);
        }
        Self(digest.finalize().into())
    }

    /// Its name, as it is written down.
    pub fn name(&self) -> Arc<str> {
        self.to_string().into()
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_one_fact_ends_and_another_begins_matters() {
        let of = |facts: &[&str]| Class::of(facts.iter().map(|fact| fact.as_bytes()));
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        for other in [&["ab"] as &[&str], &["", "ab"], &["b", "a"], &["a"], &[]] {
            assert_ne!(of(&["a", "b"]), of(other), "{other:?}");
        }
        assert_eq!(of(&[]).to_string().len(), 64);
    }
}
