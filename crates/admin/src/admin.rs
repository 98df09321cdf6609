//! The management API as a router, made from the table of routes.

use std::net::Ipv6Addr;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use gatewright_auth::{Asked, Authenticator, Credential, Peer};
use gatewright_core::{Clock, Money, Usage};
use gatewright_limits::{Calendar, Reset};
use gatewright_store::Store;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};

use crate::actor::Actor;
use crate::ask::Ask;
use crate::failure::{Result, answer};
use crate::routes::{ROUTES, Route};
use crate::{Answers, CostMap, Deployments, Services, Vault};

/// Names the fields of a body that nobody knows.
const IGNORED: HeaderName = HeaderName::from_static("x-gatewright-ignored-fields");

/// The management API and what it works with.
pub struct Admin {
    /// Where everything is kept.
    pub store: Store,
    /// Who calls.
    pub authenticator: Authenticator,
    /// Who hears of every change.
    pub reload: Arc<dyn Reload>,
    /// Where a request carries its key.
    pub credentials: gatewright_auth::Settings,
    /// What models cost.
    pub prices: Arc<dyn Prices>,
    /// Where that comes from.
    pub cost_map: Arc<dyn CostMap>,
    /// The cache of answers.
    pub answers: Arc<dyn Answers>,
    /// Whom the gateway tells of what goes on.
    pub services: Arc<dyn Services>,
    /// Which models there are.
    pub deployments: Arc<dyn Deployments>,
    /// What the secrets of providers are kept with; `None` where there is no secret to make a key of.
    pub vault: Option<Vault>,
    /// What is counted against budgets now.
    pub counts: Arc<dyn Counts>,
    /// Whether keys are replaced by themselves that ask for it.
    pub rotates: bool,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where and when days begin.
    pub calendar: Calendar,
}

/// Counts what is spent of budgets.
pub trait Counts: Send + Sync + 'static {
    /// Sets what is spent of the budgets of one thing, in the times that run. The database says so already.
    fn reset(&self, reset: Reset);
}

/// Knows what models cost.
pub trait Prices: Send + Sync + 'static {
    /// What this usage of a model costs, by its public name or by its provider's; `None` where nobody knows.
    fn cost(&self, model: &str, usage: &Usage) -> Option<Money>;
}

/// Remembers what is kept in the store.
pub trait Reload: Send + Sync + 'static {
    /// Ready when all that was changed until now is obeyed here. Other replicas follow by themselves.
    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

// === impl Admin ===

impl Admin {
    /// Its routes, to be served beside others.
    pub fn router(self) -> Router {
        let admin = Arc::new(self);
        let mut router = Router::new();
        for route in ROUTES {
            router = router.route(route.path, admin.clone().endpoint(route));
        }
        router
    }

    fn endpoint(self: Arc<Self>, route: &'static Route) -> MethodRouter {
        let method = match route.method {
            Method::POST => MethodFilter::POST,
            Method::PUT => MethodFilter::PUT,
            Method::PATCH => MethodFilter::PATCH,
            Method::DELETE => MethodFilter::DELETE,
            _ => MethodFilter::GET,
        };
        on(method, move |request: Request<Body>| {
            let admin = self.clone();
            Box::pin(
                async move { admin.answer(route, request).await.unwrap_or_else(IntoResponse::into_response) },
            )
        })
    }

    async fn answer(self: Arc<Self>, route: &'static Route, request: Request<Body>) -> Result<Response> {
        let (mut parts, body) = request.into_parts();
        let credential = Credential::from_parts(&parts.headers, parts.uri.query(), &self.credentials);
        let peer = parts.extensions.get().copied().unwrap_or(Peer(Ipv6Addr::UNSPECIFIED.into()));
        let asked = Asked { path: parts.uri.path(), address: Some(peer.0) };
        let caller = self.authenticator.authenticate(credential.as_ref(), &asked).await?;
        let claimed = match &credential {
            Some(credential) if !caller.admin => self.authenticator.claims(credential).await,
            _ => None,
        };
        let actor = match claimed {
            Some(claimed) => Actor::of_token(&self.store, caller, claimed).await?,
            None => Actor::new(&self.store, caller, credential.as_ref()).await?,
        };
        actor.enter(route.access, route.path)?;
        let ask = Ask::new(self, actor, (route.path, route.access));
        let ask = match RawPathParams::from_request_parts(&mut parts, &()).await {
            Ok(path) => ask.with_pairs(&parts, &path),
            Err(refusal) => return Ok(refusal.into_response()),
        };
        let mut ask = ask.with_body(body).await?;
        let told = (route.act)(&mut ask).await;
        // Also after a failure: it may have come after a change. While the database is away nothing can be heard of it.
        let away = told.as_ref().is_err_and(|failure| failure.status == StatusCode::SERVICE_UNAVAILABLE);
        if route.method != Method::GET && !away {
            ask.admin.reload.changed().await;
        }
        let told = told?;
        let mut response = answer(StatusCode::OK, &told);
        if !ask.ignored.is_empty()
            && let Ok(names) = HeaderValue::from_str(&ask.ignored.join(", "))
        {
            response.headers_mut().insert(IGNORED, names);
        }
        Ok(response)
    }
}
