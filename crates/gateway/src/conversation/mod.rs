//! Answers that can be gone on from (`previous_response_id`), whatever provider gave them: the port behind them, and what
//! is kept of one.
//!
//! What an upstream keeps itself is remembered only by where it is; of every other answer the conversation is kept, and
//! a call that goes on from it carries all of it.

mod ask;
mod items;
mod keep;
mod memory;
mod resume;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use gatewright_core::{Caller, Error, ErrorKind, Result};
use http::{Method, StatusCode};

pub use ask::About;
pub(crate) use ask::answer;
pub use memory::{MemoryLimits, Remembered};
pub(crate) use resume::begin;

/// What a port answers with.
pub type Answered<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Where answers are kept that can be gone on from.
pub trait Conversations: Send + Sync + 'static {
    /// What is kept under this id for this owner; `None` also where it is somebody else's.
    fn find<'a>(&'a self, owner: &'a str, id: &'a str) -> Answered<'a, Option<Arc<KeptResponse>>>;

    /// Keeps an answer.
    fn keep(&self, kept: Arc<KeptResponse>) -> Answered<'_, ()>;

    /// Forgets it.
    fn forget<'a>(&'a self, owner: &'a str, id: &'a str) -> Answered<'a, ()>;
}

/// The answers that upstreams keep themselves.
pub trait Upstreams: Send + Sync + 'static {
    /// Asks a deployment's upstream about one: `tail` is what stands behind the path of all of them.
    fn ask<'a>(
        &'a self,
        deployment: &'a str,
        method: Method,
        tail: &'a str,
    ) -> Answered<'a, (StatusCode, Bytes)>;
}

/// What is kept of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptResponse {
    /// The answer's id.
    pub id: Arc<str>,
    /// Whose it is: nobody else finds it.
    pub owner: Arc<str>,
    /// The deployment that gave it.
    pub deployment: Arc<str>,
    /// The conversation; `None` where the deployment's upstream keeps it.
    pub conversation: Option<Conversation>,
}

/// A conversation up to an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Everything that the answer answers, as a JSON list of items.
    pub input: Bytes,
    /// The answer as its client got it.
    pub response: Bytes,
}

// === impl KeptResponse ===

impl KeptResponse {
    /// How much room it takes.
    pub fn size(&self) -> usize {
        let told = self.conversation.as_ref().map_or(0, |told| told.input.len() + told.response.len());
        told + self.id.len() + self.owner.len() + self.deployment.len()
    }
}

/// Whom a caller's answers belong to: its team, else its key.
pub(crate) fn owner(caller: &Caller) -> String {
    match &caller.team {
        Some(team) => format!("team:{team}"),
        None => format!("key:{}", caller.id),
    }
}

/// An answer that is nobody's, or somebody else's.
fn unknown(id: &str) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("Response with id '{id}' not found."))
        .with_status(StatusCode::NOT_FOUND)
}
