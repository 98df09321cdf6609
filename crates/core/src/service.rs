//! The one seam between layers: a service of calls, and a policy that wraps one.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::{Call, Error, Reply, Result};

/// Anything that answers calls: a provider, a router, or a whole stack of policies.
///
/// Every tower service of calls is one. The stack's own layers implement it directly: their futures borrow the stack,
/// so that a call passes through all of them without an allocation or a reference count. [`Tower`] makes any of them
/// a tower service again.
pub trait CallService: Send + Sync + 'static {
    /// Answers one call. What has to wait, waits in the future.
    fn answer(&self, call: Call) -> impl Future<Output = Result<Reply>> + Send;
}

impl<S> CallService for S
where
    S: Service<Call, Response = Reply, Error = Error, Future: Send> + Clone + Send + Sync + 'static,
{
    async fn answer(&self, call: Call) -> Result<Reply> {
        let mut service = self.clone();
        std::future::poll_fn(|cx| service.poll_ready(cx)).await?;
        service.call(call).await
    }
}

/// A policy: one struct and one async function; [`layer`] makes it a tower layer.
pub trait Middleware: Send + Sync + 'static {
    /// Handles one call, usually by passing it on to `next`.
    fn handle(&self, call: Call, next: &impl CallService) -> impl Future<Output = Result<Reply>> + Send;
}

/// Makes a policy a tower layer.
pub fn layer<M: Middleware>(policy: M) -> PolicyLayer<M> {
    PolicyLayer(policy)
}

/// A policy that waits for the service it will wrap.
#[derive(Clone)]
pub struct PolicyLayer<M>(M);

/// A service behind a policy.
#[derive(Clone)]
pub struct Layered<M, S> {
    policy: M,
    next: S,
}

/// A service that several have. What they ask of it, it answers without being counted again.
pub struct Shared<S>(Arc<S>);

/// Any service of calls as a tower service, for tower's own middleware.
pub struct Tower<S>(Arc<S>);

// === impl PolicyLayer ===

impl<M: Middleware + Clone, S: CallService> Layer<S> for PolicyLayer<M> {
    type Service = Layered<M, S>;

    fn layer(&self, next: S) -> Self::Service {
        Layered { policy: self.0.clone(), next }
    }
}

// === impl Layered ===

impl<M: Middleware, S: CallService> CallService for Layered<M, S> {
    fn answer(&self, call: Call) -> impl Future<Output = Result<Reply>> + Send {
        self.policy.handle(call, &self.next)
    }
}

// === impl Shared ===

impl<S: CallService> Shared<S> {
    /// The first of those who have it.
    pub fn new(service: S) -> Self {
        Self(Arc::new(service))
    }
}

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: CallService> CallService for Shared<S> {
    fn answer(&self, call: Call) -> impl Future<Output = Result<Reply>> + Send {
        self.0.answer(call)
    }
}

// === impl Tower ===

impl<S: CallService> Tower<S> {
    /// Shares `service` among all clones.
    pub fn new(service: S) -> Self {
        Self(Arc::new(service))
    }
}

impl<S> Clone for Tower<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: CallService> Service<Call> for Tower<S> {
    type Response = Reply;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Reply>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let service = self.0.clone();
        Box::pin(async move { service.answer(call).await })
    }
}
