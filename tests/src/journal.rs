//! The journal's entries as the command line tells them.

use serde_json::Value;

/// One attempt.
#[derive(Clone, Debug)]
pub struct Entry(pub Value);

impl Entry {
    /// How it ended: `complete`, `failed`, `abandoned`, `interrupted`, or `running`.
    pub fn ending(&self) -> &str {
        self.text("end")
    }

    /// Whether usage and cost are the provider's.
    pub fn is_exact(&self) -> bool {
        self.0["exact"] == true
    }

    /// `hit` where the cache gave the answer, `part` where it gave some of it.
    pub fn cache(&self) -> Option<&str> {
        self.0["cache"].as_str()
    }

    /// The attempt's id.
    pub fn attempt(&self) -> &str {
        self.text("attempt")
    }

    /// The call's id.
    pub fn call(&self) -> &str {
        self.text("call")
    }

    /// Who called: the hash of its key.
    pub fn caller(&self) -> &str {
        self.0["caller"].as_str().unwrap_or_default()
    }

    /// The model group.
    pub fn group(&self) -> &str {
        self.text("group")
    }

    /// The model's name at the provider.
    pub fn model(&self) -> &str {
        self.text("model")
    }

    /// Tokens read.
    pub fn input(&self) -> u64 {
        self.0["usage"]["input"].as_u64().unwrap_or_default()
    }

    /// Tokens written.
    pub fn output(&self) -> u64 {
        self.0["usage"]["output"].as_u64().unwrap_or_default()
    }

    fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }
}
