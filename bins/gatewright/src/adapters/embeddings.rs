//! The embedding model of the cache: one of the gateway's own, asked as anybody would, on the account of whoever calls.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gatewright_cache::similar::{Asking, Embed, Fault};
use gatewright_core::{
    Body, Call, CallService, Controls, Dialect, Error, ErrorKind, Json, JsonLimits, Middleware, Operation,
    Origin, Reply, Result, Retry, Shared,
};
use gatewright_routing::Router;
use serde_json::json;

/// Asks a group of deployments.
pub(crate) struct Embeddings {
    /// The group.
    model: Arc<str>,
    /// How long whoever asks waits.
    patience: Duration,
    below: Embedder,
}

/// What embedding models are asked through. The cache stands above it, so that it is there only later. Clones are of the same.
#[derive(Clone, Default)]
pub(crate) struct Embedder(Arc<OnceLock<Box<dyn Below>>>);

/// A router, and the attempts that it makes.
struct Routed<S>(Router, Shared<S>);

/// What answers calls, whatever it is.
trait Below: Send + Sync {
    fn ask(&self, call: Call) -> Pin<Box<dyn Future<Output = Result<Reply>> + Send + '_>>;
}

impl<S: CallService> Below for Routed<S> {
    fn ask(&self, call: Call) -> Pin<Box<dyn Future<Output = Result<Reply>> + Send + '_>> {
        Box::pin(self.0.handle(call, &self.1))
    }
}

// === impl Embedder ===

impl Embedder {
    /// From now on they are asked through these: `router` chooses among a group's deployments, as for any call, and every
    /// attempt is limited, journalled and billed.
    pub(crate) fn ask_through<S: CallService>(&self, router: Router, attempts: Shared<S>) {
        let _ = self.0.set(Box::new(Routed(router, attempts)));
    }
}

// === impl Embeddings ===

impl Embed for Embeddings {
    fn embed<'a>(&'a self, text: Arc<str>, call: &'a Call) -> Asking<'a, Vec<f32>> {
        Box::pin(async move { self.ask(&text, call).await.map_err(|err| fault(&err)) })
    }
}

impl Embeddings {
    /// Asks this group, for so long.
    pub(crate) fn new(model: Arc<str>, patience: Duration, below: Embedder) -> Self {
        Self { model, patience, below }
    }

    async fn ask(&self, text: &str, asker: &Call) -> Result<Vec<f32>> {
        let call = self.call(text, asker)?;
        let codec = call.codec.embeddings().ok_or_else(unread)?;
        let below =
            self.below.0.get().ok_or_else(|| Error::new(ErrorKind::Unavailable, "it is not there yet"))?;
        let mut reply = below.ask(call).await?;
        let mut body = Vec::new();
        while let Some(frame) = reply.frames.next().await {
            body.extend_from_slice(&frame?.data);
        }
        codec.decode_reply(&body)?.vectors.into_iter().next().ok_or_else(unread)
    }

    /// The same caller, the same account and the same trace; nothing is held for it, for what it costs is fitted into what is
    /// held for the call.
    fn call(&self, text: &str, asker: &Call) -> Result<Call> {
        let body = json!({"model": &*self.model, "input": [text]}).to_string();
        let body = Body::Json(Json::parse(body.into(), JsonLimits::default())?);
        let controls = Controls {
            // There is no time for a second try: whoever asks goes on without.
            num_retries: Some(0),
            timeout: Some(self.patience),
            tags: asker.controls.tags.clone(),
            end_user: asker.controls.end_user.clone(),
            ..Controls::default()
        };
        let origin = Origin { caller: Arc::clone(&asker.caller), controls, ..Origin::default() };
        let codec = gatewright_dialects::of(Dialect::OpenAiChat);
        let mut call = Call::by(origin, Operation::Embeddings, codec, Arc::clone(&self.model), body);
        call.tab.clone_from(&asker.tab);
        call.trace.clone_from(&asker.trace);
        Ok(call)
    }
}

fn unread() -> Error {
    Error::new(ErrorKind::BadGateway, "no vector in the answer")
}

/// Only what kind of error it is: its words may repeat the text.
fn fault(err: &Error) -> Fault {
    let kind = err.kind();
    let of_the_text =
        matches!(kind, ErrorKind::ContextWindow | ErrorKind::ContentPolicy | ErrorKind::Unsupported);
    // A model that nobody serves is none for the next text either.
    match of_the_text || (kind.retry() == Retry::Never && kind != ErrorKind::UnknownModel) {
        true => Fault::refused(kind.word()),
        false => Fault::away(kind.word()),
    }
}
