//! The gateway as a server: its settings, its ports, and the router made from the table of routes.

use std::net::Ipv6Addr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::middleware::{Next, from_fn, map_response};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use bytes::Bytes;
use gatewright_auth::{Asked, Authenticator, Credential, Peer, TrustedProxies};
use gatewright_core::{CallService, Caller, JsonLimits, Result};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Uri};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tower::Service;

use crate::admission::{Door, look_after};
use crate::leave::{Drains, OnLeave};
use crate::llm::{Streams, Way};
use crate::{
    Admission, Answers, Conversations, Directory, Health, MemoryLimits, ROUTES, Refusals, Route, Upstreams,
    Workers, accept, conversation, docs, google, health, info, llm, models, respond, routes, token_counter,
};

/// Limits of the HTTP surface.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Nesting and fields of a JSON body.
    pub json: JsonLimits,
    /// The longest that a request's head may take.
    pub header_deadline: Duration,
    /// The longest wait between two pieces of a request's body.
    pub body_idle: Duration,
    /// The longest that a client may take nothing of an answer that is there for it.
    pub write_idle: Duration,
    /// How long a connection without a request is kept.
    pub keep_alive: Duration,
    /// Connections at the same time; further ones wait.
    pub max_connections: usize,
    /// Calls at the same time, and how many wait for how long.
    pub admission: Admission,
    /// How long open answers may go on when the gateway stops.
    pub grace: Duration,
    /// The most retries that a client may ask for.
    pub max_retries: u32,
    /// The most tags that a client may give a call.
    pub max_tags: usize,
    /// Whether a client may ask for a canned answer (`mock_response`).
    pub client_mock_response: bool,
    /// Shows its usage to every stream of chat completions, asked for or not.
    pub always_usage: bool,
    /// What becomes of a call whose client leaves.
    pub on_leave: OnLeave,
    /// Whether the upstream's headers are shown (`llm_provider-*`).
    pub show_upstream_headers: bool,
    /// Whether pages of other origins may call from a browser. Never without a key: any page that somebody opens could
    /// spend the operator's money.
    pub cross_origin: bool,
    /// Who is believed about where a request comes from.
    pub trusted_proxies: TrustedProxies,
    /// Whether the figures for Prometheus are for holders of keys only.
    pub metrics_need_key: bool,
    /// How many answers are kept in memory that can be gone on from.
    pub kept_responses: MemoryLimits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_body_bytes: 100 << 20,
            json: JsonLimits::default(),
            header_deadline: Duration::from_secs(5),
            body_idle: Duration::from_secs(30),
            write_idle: Duration::from_secs(60),
            keep_alive: Duration::from_secs(75),
            max_connections: 16_384,
            admission: Admission::default(),
            grace: Duration::from_secs(30),
            max_retries: 10,
            max_tags: 20,
            client_mock_response: false,
            on_leave: OnLeave::Cancel,
            always_usage: false,
            show_upstream_headers: true,
            cross_origin: false,
            trusted_proxies: TrustedProxies::default(),
            metrics_need_key: true,
            kept_responses: MemoryLimits::default(),
        }
    }
}

/// What the gateway asks of the layers that it does not know.
pub struct Ports {
    /// Where a request carries its key.
    pub credentials: gatewright_auth::Settings,
    /// Whose key it is.
    pub authenticator: Authenticator,
    /// Which models there are.
    pub directory: Arc<dyn Directory>,
    /// How the deployments do.
    pub health: Arc<dyn Health>,
    /// Who counts requests that never become calls, if anybody does.
    pub refusals: Option<Arc<dyn Refusals>>,
    /// Answers that can be gone on from.
    pub conversations: Arc<dyn Conversations>,
    /// Those of them that upstreams keep.
    pub upstreams: Arc<dyn Upstreams>,
    /// The whole API as an OpenAPI document, written when somebody asks: few do, and it takes a megabyte on the way.
    pub document: LazyLock<Bytes>,
}

/// The public HTTP surface over a stack of policies.
pub struct Gateway<S> {
    pub(crate) stack: S,
    pub(crate) ports: Ports,
    pub(crate) settings: Settings,
    pub(crate) drains: Option<Drains>,
    pub(crate) door: Arc<Door>,
    /// Everything that must end before the gateway does.
    tasks: TaskTracker,
    /// Who answers; the runtime that serves where nobody else is named.
    workers: Option<Workers>,
    beside: Router,
}

/// What every connection asks.
pub(crate) struct Front<S> {
    gateway: Arc<Gateway<S>>,
    router: Router,
}

// === impl Front ===

impl<S> Clone for Front<S> {
    fn clone(&self) -> Self {
        Self { gateway: self.gateway.clone(), router: self.router.clone() }
    }
}

impl<S: CallService> Front<S> {
    /// Answers one request. Calls at a fixed path do not go through axum, which boxes a request and moves it several
    /// times: 2 µs of 48.
    pub(crate) async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response {
        let peer = self.gateway.settings.trusted_proxies.client(peer, request.headers());
        if let Some((operation, dialect)) = routes::call_at(request.method(), request.uri().path()) {
            let way = Way { operation, dialect, model: None, streams: Streams::AsBodySays, peer };
            return llm::answer(&self.gateway, way, request).await;
        }
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        match self.router.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

// === impl Ports ===

impl Ports {
    /// Who sent a request with these headers to this address.
    pub(crate) async fn caller(&self, headers: &HeaderMap, uri: &Uri, peer: Peer) -> Result<Arc<Caller>> {
        let credential = Credential::from_parts(headers, uri.query(), &self.credentials);
        let asked = Asked { path: uri.path(), address: Some(peer.0) };
        self.authenticator.authenticate(credential.as_ref(), &asked).await
    }

    /// The caller as a member of another team of its token's, in which it may use the model that it asks for.
    pub(crate) async fn in_another_team(
        &self,
        parts: &Parts,
        peer: Peer,
        model: &str,
    ) -> Option<Arc<Caller>> {
        let credential = Credential::from_parts(&parts.headers, parts.uri.query(), &self.credentials);
        let asked = Asked { path: parts.uri.path(), address: Some(peer.0) };
        let suits = |caller: &Caller| {
            let model = caller.meant_by(model).map_or(model, |meant| meant);
            self.permits(caller, model)
        };
        self.authenticator.in_another_team(credential.as_ref(), &asked, suits).await
    }

    /// Whether a caller may use this model. Most name it themselves; only others are looked for in the directory.
    pub(crate) fn permits(&self, caller: &Caller, model: &str) -> bool {
        caller.may_use(model) || self.directory.permits(caller, model)
    }
}

// === impl Gateway ===

impl<S: CallService> Gateway<S> {
    /// A gateway that hands its calls to `stack`.
    pub fn new(stack: S, ports: Ports, settings: Settings) -> Self {
        let tasks = TaskTracker::new();
        let drains = Drains::new(settings.on_leave, &tasks);
        let door = Arc::new(Door::new(settings.admission));
        Self { stack, ports, settings, drains, door, tasks, workers: None, beside: Router::new() }
    }

    /// Lets these answer what comes, in place of the runtime that serves.
    pub fn by(self, workers: Workers) -> Self {
        Self { workers: Some(workers), ..self }
    }

    /// Answers these routes too, on the same listener. They run on the runtime that serves, whoever else answers calls: a
    /// long report keeps no call waiting.
    pub fn beside(self, routes: Router) -> Self {
        Self { beside: self.beside.merge(routes), ..self }
    }

    /// Serves until `shutdown` is ready; then takes no more requests and lets open answers end within the grace.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let (settings, tasks) = (self.settings.clone(), self.tasks.clone());
        let workers = self.workers.clone().unwrap_or_else(Workers::here);
        let gateway = Arc::new(self);
        let _looks = gateway.look_after(&workers);
        let front = Front { router: gateway.clone().router(), gateway };
        accept::serve(front, listener, (settings, tasks, workers), shutdown).await;
    }

    /// Notices workers that are behind, as long as somebody holds this.
    fn look_after(&self, workers: &Workers) -> Vec<AbortOnDropHandle<()>> {
        let all = workers.runtimes();
        let count = u32::try_from(all.len()).unwrap_or(u32::MAX);
        let look = |runtime: &Handle| runtime.spawn(look_after(self.door.clone(), count));
        all.map(|runtime| AbortOnDropHandle::new(look(runtime))).collect()
    }

    fn router(self: Arc<Self>) -> Router {
        let here = Handle::current();
        let aside = from_fn(move |request, next: Next| aside(here.clone(), next.run(request)));
        let mut router = self.beside.clone().layer(map_response(respond::secured)).layer(aside);
        for route in ROUTES {
            router = router.route(route.path, self.clone().endpoint(route));
        }
        router
            .fallback(|| async { respond::not_found() })
            .method_not_allowed_fallback(|| async { respond::method_not_allowed() })
    }

    fn endpoint(self: Arc<Self>, route: &'static Route) -> MethodRouter {
        let method = match route.method {
            Method::POST => MethodFilter::POST,
            Method::DELETE => MethodFilter::DELETE,
            _ => MethodFilter::GET,
        };
        on(method, move |request: Request<Body>| {
            // In a box from the start: axum moves the future several times before it is polled.
            Box::pin(self.clone().answer(route, request))
        })
    }

    async fn answer(self: Arc<Self>, route: &'static Route, request: Request<Body>) -> Response {
        let (parts, body) = request.into_parts();
        match route.answers {
            Answers::Call(operation, dialect) => {
                let peer = peer(&parts);
                let (model, request) = llm::name_in_path(parts, body).await;
                let way = Way { operation, dialect, model, streams: Streams::AsBodySays, peer };
                llm::answer(&self, way, request).await
            }
            Answers::TokenCounter => {
                let peer = peer(&parts);
                token_counter::answer(&self, peer, Request::from_parts(parts, body)).await
            }
            Answers::Google => google::answer(&self, parts, body).await,
            Answers::Response(about) => {
                let (id, request) = llm::name_in_path(parts, body).await;
                let (parts, _) = request.into_parts();
                conversation::answer(&self.ports, about, &id.unwrap_or_default(), &parts).await
            }
            Answers::Models => models::list(&self.ports, &parts).await,
            Answers::Model => models::one(&self.ports, &parts).await,
            Answers::Deployments => info::deployments(&self.ports, &parts).await,
            Answers::DeploymentPages => info::pages(&self.ports, &parts).await,
            Answers::Groups => info::groups(&self.ports, &parts).await,
            Answers::Liveliness => health::liveliness(),
            Answers::Readiness => health::readiness(&self.ports),
            Answers::Health => health::deployments(&self.ports, &parts).await,
            Answers::Metrics => health::metrics(&self, &parts).await,
            Answers::About => health::about(),
            Answers::Document => docs::document(&self.ports.document),
            Answers::Page(page) => docs::asset(&page),
        }
    }
}

/// Answers on another runtime. Dropped, it is not answered.
async fn aside(runtime: Handle, answer: impl Future<Output = Response> + Send + 'static) -> Response {
    match AbortOnDropHandle::new(runtime.spawn(answer)).await {
        Ok(response) => response,
        Err(err) => match err.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this connection with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Where a request came from: whoever cannot tell counts as a stranger.
pub(crate) fn peer(parts: &Parts) -> Peer {
    parts.extensions.get().copied().unwrap_or(Peer(Ipv6Addr::UNSPECIFIED.into()))
}
