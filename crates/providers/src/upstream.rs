//! The innermost service: one attempt at one deployment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures_util::{StreamExt, stream};
use gatewright_core::{
    Call, CallService, Error, ErrorKind, Frame, Frames, Head, Notes, Operation, Reply, Result, Target,
};
use gatewright_telemetry::Tracer;
use gatewright_transport::{Response, Transport};
use http::Uri;
use http::header::{HeaderName, HeaderValue};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout_at};

use crate::batches::{self, Batches, Joined};
use crate::custom::{Next, Wire};
use crate::deployment::Answerer;
use crate::endpoint::Endpoint;
use crate::reply::Sent;
use crate::{Deployment, Links, Registry, fault, going_on, linked, reply, request};

/// Tells that tokens were counted here, and how.
const COUNTED: HeaderName = HeaderName::from_static("x-gatewright-token-count");

/// How long until an answer that is not there yet is asked for again; LiteLLM waits as long.
const BETWEEN: Duration = Duration::from_millis(500);

/// Limits on what an upstream may send.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The largest whole answer, in bytes.
    pub max_reply_bytes: usize,
    /// How much of an error answer is read, in bytes; of a compressed one, before and behind.
    pub max_error_bytes: usize,
    /// The largest event of a stream, in bytes.
    pub max_event_bytes: usize,
    /// How many events of more than 256 KB are gathered at the same time; the others wait.
    pub large_events: usize,
    /// How long one of them may get nothing more, in the way of others.
    pub large_event_idle: Duration,
}

/// The limits, and what is counted against them.
pub(crate) struct Bounds {
    pub(crate) settings: Settings,
    pub(crate) large_events: Arc<Semaphore>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_reply_bytes: 256 << 20,
            max_error_bytes: 1 << 20,
            max_event_bytes: 16 << 20,
            large_events: 2,
            large_event_idle: Duration::from_secs(10),
        }
    }
}

/// Answers an attempt by calling the deployment that the router chose.
#[derive(Clone)]
pub struct Upstream {
    registry: Arc<ArcSwap<Registry>>,
    transport: Transport,
    tracer: Tracer,
    bounds: Arc<Bounds>,
    links: Arc<Links>,
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
        let large_events = Arc::new(Semaphore::new(settings.large_events.clamp(1, Semaphore::MAX_PERMITS)));
        let bounds = Arc::new(Bounds { settings, large_events });
        Self { registry, transport, tracer, bounds, links: Arc::default() }
    }

    /// With these limits on what is fetched for providers that fetch nothing.
    #[must_use]
    pub fn with_links(self, links: Links) -> Self {
        Self { links: Arc::new(links), ..self }
    }

    async fn answer_from(
        &self,
        call: &Call,
        target: &Target,
        deployment: &Deployment,
        endpoint: Arc<Endpoint>,
    ) -> Result<Reply> {
        let Some(batches) = Batches::of(call, endpoint.codec, &endpoint.model)? else {
            return self.exchange(call, target, deployment, endpoint).await;
        };
        let style = reply::style(call, target, &endpoint.model);
        let ask = |call| self.exchange(call, target, deployment, endpoint.clone());
        let asked: Vec<_> = batches.calls.iter().map(ask).collect();
        let mut replies = stream::iter(asked).buffered(batches::AT_ONCE);
        let mut joined = Joined::default();
        while let Some(reply) = replies.next().await {
            batches.join(&mut joined, reply).await;
        }
        batches.reply(joined, &style)
    }

    /// The deployment of this id, if it is still there.
    pub(crate) fn deployment(&self, id: &str) -> Option<Arc<Deployment>> {
        self.registry.load().find(id).cloned()
    }

    /// What carries a request that is no attempt.
    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The largest whole answer, in bytes.
    pub(crate) fn most_reply_bytes(&self) -> usize {
        self.bounds.settings.max_reply_bytes
    }

    async fn exchange(
        &self,
        call: &Call,
        target: &Target,
        deployment: &Deployment,
        endpoint: Arc<Endpoint>,
    ) -> Result<Reply> {
        let Some(address) = endpoint.address(call.operation, call.stream) else {
            return unasked(call, deployment, &endpoint).await;
        };
        let fetched = linked::fetch(call, &endpoint, &self.transport, &self.links).await?;
        let from = (call, &fetched);
        let (mut request, dropped) = request::build(from, &endpoint, &deployment.params, address)?;
        let mut span = self.tracer.upstream(call, &request.method, &request.uri);
        span.inject(&mut request.headers);
        if let Some(authorize) = &endpoint.authorize {
            if let Some(refreshed) = authorize.refresh(&self.transport) {
                match timeout_at(target.deadline.into(), refreshed).await {
                    Ok(done) => done.map_err(|err| fault::inside(deployment.provider(), err))?,
                    Err(_) => return Err(fault::timed_out(deployment.provider(), "credentials")),
                }
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
        if let (false, Some(authorize)) = (response.status.is_success(), &endpoint.authorize) {
            authorize.heed(&response.headers);
        }
        let served_by = deployment.served_by(target);
        let bounds = &*self.bounds;
        let notes = span.is_recording().then(Notes::default);
        let sent =
            Sent { call, target, endpoint: endpoint.clone(), served_by, dropped, bounds, at, span, notes };
        match endpoint.lead().filter(|_| response.status.is_success()) {
            Some(wire) => self.follow(sent, wire, (response, address)).await,
            None => sent.reply(response).await,
        }
    }

    /// Asks on, as long as an answer leads to another and the call may take.
    async fn follow(
        &self,
        sent: Sent<'_>,
        wire: &dyn Wire,
        (mut response, at): (Response, &Uri),
    ) -> Result<Reply> {
        let provider = sent.served_by.provider.clone();
        loop {
            if !response.status.is_success() {
                return sent.reply(response).await;
            }
            let plain = response.plain().map_err(|failure| fault::broken(&provider, &failure))?;
            let Response { status, headers, body } = plain;
            let body = sent.whole(body.collect(self.bounds.settings.max_reply_bytes)).await?;
            let next = wire.next(&body, sent.call.stream, at).map_err(|err| fault::inside(&provider, err))?;
            let (uri, streams) = match next {
                None => return sent.told((status, headers), body),
                Some(Next::Again(uri)) => (uri, false),
                Some(Next::Stream(uri)) => (uri, true),
            };
            let pause = if streams { Duration::ZERO } else { BETWEEN };
            let asked = async {
                sleep(pause).await;
                self.transport
                    .send(sent.onward(uri, streams)?)
                    .await
                    .map_err(|err| fault::broken(&provider, &err))
            };
            response = timeout_at(sent.target.deadline.into(), asked)
                .await
                .map_err(|_| fault::timed_out(&provider, "the whole answer"))??;
            if streams {
                return sent.reply(response).await;
            }
        }
    }
}

impl CallService for Upstream {
    async fn answer(&self, call: Call) -> Result<Reply> {
        let target = call.target()?;
        let Some(deployment) = self.registry.load().find(&target.deployment).cloned() else {
            return Err(Error::new(ErrorKind::Unavailable, "the deployment was removed"));
        };
        match deployment.answerer(target, call.codec.dialect())? {
            Answerer::Canned(_) if going_on::is_begun(&call) => Err(going_on::refused()),
            Answerer::Canned(canned) => canned.answer(&call, target, deployment.served_by(target)),
            Answerer::Endpoint(endpoint) => {
                // In a box: every layer above would carry it in its own future, and hand it on by value.
                let answer = Box::pin(self.answer_from(&call, target, &deployment, endpoint)).await;
                answer.map_err(|err| err.with_served_by(deployment.served_by(target)))
            }
        }
    }
}

/// The answer where the provider has no such operation: tokens are counted here, all else is refused.
async fn unasked(call: &Call, deployment: &Deployment, endpoint: &Endpoint) -> Result<Reply> {
    if call.operation != Operation::CountTokens {
        let (provider, operation) = (deployment.provider(), call.operation.as_str());
        let words = format!("provider '{provider}' has no {operation}");
        return Err(fault::worded(ErrorKind::Unsupported, provider, &words));
    }
    let (counting, model) = (call.clone(), endpoint.model.clone());
    // A vocabulary is large and counting is slow: not for a thread that serves others.
    let exact = tokio::task::spawn_blocking(move || gatewright_tokens::exact(&model, counting.chat().ok()?));
    let exact = exact.await.ok().flatten();
    let tokens = match exact {
        Some(tokens) => tokens,
        None => gatewright_tokens::estimate(call.chat()?),
    };
    let data = call.codec.encode_count(tokens);
    let frames = Frames::one(Frame { data, ..Frame::default() });
    let served_by = call.target().ok().map(|target| deployment.served_by(target));
    let mut head = Head { served_by, ..Head::default() };
    let counted = HeaderValue::from_static(if exact.is_some() { "exact" } else { "estimate" });
    head.told.insert(COUNTED, counted);
    Ok(Reply { head: head.into(), frames })
}
