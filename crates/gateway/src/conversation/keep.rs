//! After a call: its answer is kept before its client has all of it, so that the next call finds it wherever it goes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gatewright_core::{Frame, Frames, Framing, Reply, SoFar, frames};
use gatewright_dialects::Splitter;
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::warn;

use super::resume::Begun;
use super::{Conversation, Conversations, KeptResponse, items};

/// The longest that the end of an answer waits for its being kept.
const PATIENCE: Duration = Duration::from_secs(3);

/// The largest event that is looked into.
const MAX_EVENT: usize = 64 << 20;

/// What an answer is kept with.
struct Keeping {
    begun: Begun,
    deployment: Arc<str>,
    relayed: bool,
    so_far: Option<Arc<SoFar>>,
    streams: bool,
    kept: Arc<dyn Conversations>,
}

#[derive(Deserialize)]
struct Named<'a> {
    id: &'a str,
}

#[derive(Deserialize)]
struct Ending<'a> {
    #[serde(borrow)]
    response: &'a RawValue,
}

// === impl Begun ===

impl Begun {
    /// The same reply, which is kept when it is whole.
    pub(crate) async fn watch(self, reply: Reply, kept: &Arc<dyn Conversations>) -> Reply {
        let Reply { head, frames } = reply;
        let Some(by) = &head.served_by else { return Reply { head, frames } };
        let keeping = Keeping {
            begun: self,
            deployment: by.deployment.clone(),
            relayed: head.relayed,
            so_far: head.so_far.clone(),
            streams: head.streams,
            kept: kept.clone(),
        };
        let frames = match frames.peek_one().cloned() {
            Some(whole) => {
                keeping.keep(&whole).await;
                frames
            }
            None => keeping.follow(frames),
        };
        Reply { head, frames }
    }
}

// === impl Keeping ===

impl Keeping {
    fn follow(self, frames: Frames) -> Frames {
        frames::before_last(frames, |last| async move {
            self.keep(&last).await;
            last
        })
    }

    /// A failure costs the client what it could have gone on from, never its answer.
    async fn keep(self, last: &Frame) {
        let Some(response) = self.response(&last.data) else { return };
        let Ok(Named { id }) = serde_json::from_slice(&response) else { return };
        // An upstream that broke off keeps nothing, and the one that went on knows the answer by another name.
        let went_on = self.so_far.as_ref().is_some_and(|so_far| so_far.is_begun());
        let conversation = match self.relayed && !went_on {
            true => None,
            false => match items::listed(self.begun.asked.raw("input").unwrap_or_default()) {
                Ok(input) => Some(Conversation { input, response: response.clone() }),
                Err(_) => return,
            },
        };
        let Self { begun, deployment, kept, .. } = self;
        let whole = KeptResponse { id: id.into(), owner: begun.owner, deployment, conversation };
        match tokio::time::timeout(PATIENCE, kept.keep(Arc::new(whole))).await {
            Ok(Ok(())) => {}
            Ok(Err(err)) => warn!(detail = err.detail(), "an answer could not be kept: {}", err.message()),
            Err(_) => warn!("an answer could not be kept in time"),
        }
    }

    /// The whole response: the body, or what the last event of a stream carries.
    fn response(&self, data: &Bytes) -> Option<Bytes> {
        if !self.streams {
            return Some(data.clone());
        }
        let mut found = None;
        let mut splitter = Splitter::new(Framing::Sse, MAX_EVENT);
        let mut each = |event: gatewright_core::RawEvent<'_>| {
            if let "response.completed" | "response.incomplete" = event.name
                && let Ok(Ending { response }) = serde_json::from_slice(event.data)
            {
                found = Some(Bytes::copy_from_slice(response.get().as_bytes()));
            }
            Ok(())
        };
        splitter.feed(data, &mut each).and_then(|()| splitter.close(&mut each)).ok()?;
        found
    }
}
