//! The innermost service: one attempt at one deployment.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use gatewright_core::{
    Call, CallService, Error, ErrorKind, Frame, Frames, Head, Notes, Operation, Reply, Result, Target,
};
use gatewright_telemetry::Tracer;
use gatewright_transport::{Failure, Request, Response, Transport};
use tokio::time::timeout_at;

use crate::deployment::Answerer;
use crate::endpoint::Endpoint;
use crate::reply::Sent;
use crate::{Deployment, Registry, fault, request};

/// Limits on what an upstream may send.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The largest whole answer, in bytes.
    pub max_reply_bytes: usize,
    /// How much of an error answer is read, in bytes.
    pub max_error_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_reply_bytes: 256 << 20, max_error_bytes: 1 << 20 }
    }
}

/// Answers an attempt by calling the deployment that the router chose.
#[derive(Clone)]
pub struct Upstream {
    registry: Arc<ArcSwap<Registry>>,
    transport: Transport,
    tracer: Tracer,
    settings: Settings,
}

// === impl Upstream ===

impl Upstream {
    /// Calls the deployments of `registry`, whichever stand there at the time.
    pub fn new(
        registry: Arc<ArcSwap<Registry>>,
        transport: Transport,
        tracer: Tracer,
        settings: Settings,
    ) -> Self {
        Self { registry, transport, tracer, settings }
    }

    /// The deployment of this id, if it is still there.
    pub(crate) fn deployment(&self, id: &str) -> Option<Arc<Deployment>> {
        self.registry.load().find(id).cloned()
    }

    /// Sends a request that is no attempt.
    pub(crate) async fn send(&self, request: Request) -> Result<Response, Failure> {
        self.transport.send(request).await
    }

    /// The largest whole answer, in bytes.
    pub(crate) fn most_reply_bytes(&self) -> usize {
        self.settings.max_reply_bytes
    }

    async fn exchange(
        &self,
        call: &Call,
        target: &Target,
        deployment: &Deployment,
        endpoint: Arc<Endpoint>,
    ) -> Result<Reply> {
        let Some(address) = endpoint.address(call.operation, call.stream) else {
            return unasked(call, deployment);
        };
        let (mut request, dropped) = request::build(call, &endpoint, &deployment.params, address)?;
        let mut span = self.tracer.upstream(call, &request.method, &request.uri);
        span.inject(&mut request.headers);
        if let Some(authorize) = &endpoint.authorize {
            if let Some(refreshed) = authorize.refresh() {
                refreshed.await?;
            }
            authorize.authorize(&mut request)?;
        }
        let at = Instant::now();
        let patience = match call.stream {
            true => (at + target.first_content).min(target.deadline),
            false => target.deadline,
        };
        let sent = timeout_at(patience.into(), self.transport.send(request)).await;
        let response = match sent {
            Ok(Ok(response)) => response,
            failed => {
                let err =
                    fault::unanswered(deployment.provider(), failed.ok().and_then(Result::err).as_ref());
                span.failed(err.kind());
                return Err(err);
            }
        };
        span.answered(response.status);
        let served_by = deployment.served_by(target);
        let settings = self.settings;
        let notes = span.is_recording().then(Notes::default);
        Sent { call, target, endpoint, served_by, dropped, settings, at, span, notes }.reply(response).await
    }
}

impl CallService for Upstream {
    async fn answer(&self, call: Call) -> Result<Reply> {
        let target = call.target()?;
        let Some(deployment) = self.registry.load().find(&target.deployment).cloned() else {
            return Err(Error::new(ErrorKind::Unavailable, "the deployment was removed"));
        };
        match deployment.answerer(target, call.codec.dialect())? {
            Answerer::Canned(canned) => canned.answer(&call, target, deployment.served_by(target)),
            Answerer::Endpoint(endpoint) => {
                // In a box: every layer above would carry it in its own future, and hand it on by value.
                let answer = Box::pin(self.exchange(&call, target, &deployment, endpoint)).await;
                answer.map_err(|err| err.with_served_by(deployment.served_by(target)))
            }
        }
    }
}

/// The answer where the provider has no such operation: tokens are estimated, all else is refused.
fn unasked(call: &Call, deployment: &Deployment) -> Result<Reply> {
    if call.operation != Operation::CountTokens {
        let (provider, operation) = (deployment.provider(), call.operation.as_str());
        let words = format!("provider '{provider}' has no {operation}");
        return Err(fault::worded(ErrorKind::Unsupported, provider, &words));
    }
    let tokens = gatewright_tokens::estimate(call.chat()?);
    let data = format!(r#"{{"input_tokens":{tokens}}}"#).into();
    let frames = Frames::one(Frame { data, ..Frame::default() });
    Ok(Reply { head: Head::default(), frames })
}
