//! How alike is alike enough, and how long it may take to find out.

use std::sync::Arc;
use std::time::Duration;

/// How questions are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct SimilarSettings {
    /// How alike two questions must be, from 0 to 1.
    pub least: f32,
    /// The model that turns texts into numbers.
    pub model: Arc<str>,
    /// Of how many messages at the end of a conversation the texts are compared; all before must be the same.
    pub messages: usize,
    /// The longest text that is compared, in bytes: embedding models take no longer one, and a shortened text would be alike
    /// to others that only begin as it does.
    pub longest_text: usize,
    /// The longest wait for the embedding model.
    pub embedding_patience: Duration,
    /// The longest wait for whoever keeps the questions.
    pub patience: Duration,
    /// How long one that failed several times in a row is let alone.
    pub rest: Duration,
    /// Whether each end user has answers of their own.
    pub by_end_user: bool,
}

impl Default for SimilarSettings {
    fn default() -> Self {
        Self {
            least: 0.9,
            model: "text-embedding-ada-002".into(),
            messages: 4,
            longest_text: 32 * 1024,
            embedding_patience: Duration::from_secs(2),
            patience: Duration::from_millis(500),
            rest: Duration::from_secs(10),
            by_end_user: false,
        }
    }
}
