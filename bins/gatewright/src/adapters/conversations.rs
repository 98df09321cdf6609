//! Answers that can be gone on from, in the database or in memory; and those that upstreams keep.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gatewright_core::{Error, ErrorKind, Result};
use gatewright_gateway::{Answered, Conversation, Conversations, KeptResponse, Remembered, Upstreams};
use gatewright_providers::Upstream;
use gatewright_store::{Error as StoreError, Store, StoredResponse};
use http::{Method, StatusCode};

/// The database's answers; in memory stands what it could not be given.
pub(crate) struct StoredConversations {
    pub(crate) store: Store,
    pub(crate) lifetime: Duration,
    pub(crate) memory: Remembered,
}

/// Upstreams that keep answers.
pub(crate) struct Keepers(pub(crate) Upstream);

// === impl StoredConversations ===

impl Conversations for StoredConversations {
    fn find<'a>(&'a self, owner: &'a str, id: &'a str) -> Answered<'a, Option<Arc<KeptResponse>>> {
        Box::pin(async move {
            if let Some(kept) = self.memory.get(owner, id) {
                return Ok(Some(kept));
            }
            let stored = self.store.response(owner, id).await.map_err(|err| away(&err))?;
            Ok(stored.map(|stored| Arc::new(read(stored))))
        })
    }

    fn keep(&self, kept: Arc<KeptResponse>) -> Answered<'_, ()> {
        Box::pin(async move {
            let stored = written(&kept)?;
            match self.store.keep_response(&stored, self.lifetime).await {
                Ok(()) => Ok(()),
                Err(err) => {
                    self.memory.put(kept);
                    Err(away(&err))
                }
            }
        })
    }

    fn forget<'a>(&'a self, owner: &'a str, id: &'a str) -> Answered<'a, ()> {
        Box::pin(async move {
            self.memory.remove(owner, id);
            self.store.forget_response(owner, id).await.map_err(|err| away(&err))
        })
    }
}

// === impl Keepers ===

impl Upstreams for Keepers {
    fn ask<'a>(
        &'a self,
        deployment: &'a str,
        method: Method,
        tail: &'a str,
    ) -> Answered<'a, (StatusCode, Bytes)> {
        Box::pin(self.0.ask(deployment, method, tail))
    }
}

fn read(stored: StoredResponse) -> KeptResponse {
    let StoredResponse { owner, id, deployment, conversation } = stored;
    let conversation =
        conversation.map(|(input, response)| Conversation { input: input.into(), response: response.into() });
    KeptResponse { id: id.into(), owner: owner.into(), deployment: deployment.into(), conversation }
}

fn written(kept: &KeptResponse) -> Result<StoredResponse> {
    let text = |bytes: &Bytes| {
        let words = "an answer is no text";
        String::from_utf8(bytes.to_vec()).map_err(|_| Error::new(ErrorKind::Internal, words))
    };
    let told = kept.conversation.as_ref().map(|told| Ok((text(&told.input)?, text(&told.response)?)));
    Ok(StoredResponse {
        owner: (*kept.owner).to_owned(),
        id: (*kept.id).to_owned(),
        deployment: (*kept.deployment).to_owned(),
        conversation: told.transpose()?,
    })
}

fn away(err: &StoreError) -> Error {
    let kind = if err.is_away() { ErrorKind::Unavailable } else { ErrorKind::Internal };
    Error::new(kind, "answers that were kept cannot be looked up now").with_detail(err.to_string())
}
