//! The one seam between layers: a service of calls, and a policy that wraps one.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::{Call, Error, Reply, Result};

/// Anything that answers calls: a provider, a router, or a whole stack of policies.
///
/// Such a service is always ready; what has to wait, waits in its future.
pub trait CallService:
    Service<Call, Response = Reply, Error = Error, Future: Send> + Clone + Send + Sync + 'static
{
    /// Answers one call, leaving the service as it is.
    fn answer(&self, call: Call) -> impl Future<Output = Result<Reply>> + Send {
        let mut service = self.clone();
        service.call(call)
    }
}

impl<S> CallService for S where
    S: Service<Call, Response = Reply, Error = Error, Future: Send> + Clone + Send + Sync + 'static
{
}

/// A policy: one struct and one async function; [`layer`] makes it a tower layer.
pub trait Middleware: Clone + Send + Sync + 'static {
    /// Handles one call, usually by passing it on to `next`.
    fn handle(&self, call: Call, next: impl CallService) -> impl Future<Output = Result<Reply>> + Send;
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

impl<M: Middleware, S: CallService> Layer<S> for PolicyLayer<M> {
    type Service = Layered<M, S>;

    fn layer(&self, next: S) -> Self::Service {
        Layered { policy: self.0.clone(), next }
    }
}

impl<M: Middleware, S: CallService> Service<Call> for Layered<M, S> {
    type Response = Reply;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Reply>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let Self { policy, next } = self.clone();
        Box::pin(async move { policy.handle(call, next).await })
    }
}
