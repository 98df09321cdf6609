//! The connections to one host.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HOST, HeaderValue, PROXY_AUTHORIZATION, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::body::Carrier;
use crate::dial::Dialler;
use crate::line::{Line, Lost};
use crate::proxy::Route;
use crate::request::Outgoing;
use crate::trunk::{STREAMS, Slot, Trunk};
use crate::{Body, Failure, FailureKind, Http2, Request, Response, Trust};

/// How often a request that was certainly not sent is tried on resting connections before all of those are given up:
/// a server that was restarted closed every one of them.
const TRIES: usize = 3;

/// What connections are shared by: those of untrusted URLs are never shared with the operator's.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) tls: bool,
    pub(crate) authority: Authority,
    pub(crate) trust: Trust,
}

/// The connections to one host.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) origin: Origin,
    pub(crate) route: Route,
    header: HeaderValue,
    dialler: Arc<Dialler>,
    limits: Limits,
    idle: Mutex<VecDeque<Box<Line>>>,
    trunks: Mutex<Vec<Arc<Trunk>>>,
    /// Held while a connection is opened that many requests may share.
    opening: tokio::sync::Mutex<()>,
    /// What the last handshake chose: whether a new connection is for one request.
    single: AtomicBool,
}

/// What a host may keep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) idle_timeout: Duration,
    pub(crate) max_idle: usize,
    pub(crate) http2: Http2,
}

/// A connection for one request.
enum Way {
    Line(Box<Line>),
    Slot(Slot),
}

/// What waits for a new connection.
type Opening<'a> = Pin<Box<dyn Future<Output = Result<Way, Failure>> + Send + 'a>>;

// === impl Origin ===

impl Origin {
    pub(crate) fn of(uri: &Uri, trust: Trust) -> Result<Self, Failure> {
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(Failure::unsent(FailureKind::Protocol, "the url is neither http nor https")),
        };
        match uri.authority() {
            Some(authority) if authority.as_str().contains('@') => {
                Err(Failure::unsent(FailureKind::Protocol, "the url carries a user name"))
            }
            Some(authority) => Ok(Self { tls, authority: authority.clone(), trust }),
            None => Err(Failure::unsent(FailureKind::Protocol, "the url names no host")),
        }
    }

    /// The host's name, or its address without brackets.
    pub(crate) fn name(&self) -> &str {
        let host = self.authority.host();
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    pub(crate) fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.tls { 443 } else { 80 })
    }

    pub(crate) fn scheme(&self) -> Scheme {
        if self.tls { Scheme::HTTPS } else { Scheme::HTTP }
    }
}

// Compared as it is spelled: `Authority` would fold the case byte by byte, on every request.
impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.tls == other.tls
            && self.trust == other.trust
            && self.authority.as_str() == other.authority.as_str()
    }
}

impl Eq for Origin {}

impl Hash for Origin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.authority.as_str().hash(state);
        state.write_u8(u8::from(self.tls) << 1 | u8::from(self.trust == Trust::Operator));
    }
}

// === impl Host ===

impl Host {
    pub(crate) fn new(origin: Origin, dialler: Arc<Dialler>, limits: Limits) -> Result<Self, Failure> {
        let header = HeaderValue::from_str(origin.authority.as_str())
            .map_err(|_| Failure::unsent(FailureKind::Protocol, "the host is not a header value"))?;
        let asks = (origin.tls && limits.http2 == Http2::Auto) || limits.http2 == Http2::PriorKnowledge;
        Ok(Self {
            route: dialler.route(&origin),
            header,
            dialler,
            limits,
            idle: Mutex::default(),
            trunks: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            single: AtomicBool::new(!asks),
            origin,
        })
    }

    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn send(self: &Arc<Self>, request: Request) -> Result<Response, Failure> {
        let mut outgoing = self.prepare(request);
        for tried in 0.. {
            if tried == TRIES {
                let closed = std::mem::take(&mut *self.idle.lock());
                drop(closed);
            }
            match self.way().await?.send(self, outgoing).await {
                Ok(response) => return Ok(response),
                Err(Lost::Unsent(request, _)) if tried < 2 * TRIES => outgoing = self.restore(*request),
                Err(Lost::Unsent(_, failure) | Lost::Gone(failure)) => return Err(failure),
            }
        }
        Err(Failure::unsent(FailureKind::Closed, "no connection lasted"))
    }

    /// Keeps a connection whose answer was read.
    pub(crate) fn keep(&self, line: Box<Line>) {
        let mut idle = self.idle.lock();
        let oldest = match idle.len() >= self.limits.max_idle {
            true => idle.pop_front(),
            false => None,
        };
        if self.limits.max_idle > 0 {
            idle.push_back(line);
        }
        drop(idle);
        // Closing is a system call: not under the lock.
        drop(oldest);
    }

    /// Closes what was unused for too long.
    pub(crate) fn sweep(&self, now: Instant) {
        let Some(then) = now.checked_sub(self.limits.idle_timeout) else {
            return;
        };
        let mut gone = Vec::new();
        let mut idle = self.idle.lock();
        while idle.front().is_some_and(|line| line.rested < then) {
            gone.extend(idle.pop_front());
        }
        drop(idle);
        drop(gone);
        self.trunks.lock().retain(|trunk| !trunk.is_closed() && !trunk.is_unused_since(then));
    }

    /// Whether it has no connection that could be used again.
    pub(crate) fn is_empty(&self) -> bool {
        self.idle.lock().is_empty() && self.trunks.lock().is_empty()
    }

    /// A connection that rests, or a place on a shared one, or else a new connection.
    async fn way(self: &Arc<Self>) -> Result<Way, Failure> {
        if let Some(way) = self.ready_way() {
            return Ok(way);
        }
        if self.single.load(Ordering::Relaxed) {
            return self.open().await;
        }
        // Whoever comes while a connection is opened may find place on it.
        let _opening = self.opening.lock().await;
        match self.ready_way() {
            Some(way) => Ok(way),
            None => {
                let opened = self.open().await;
                opened.or_else(|failure| self.crowded_way().ok_or(failure))
            }
        }
    }

    fn ready_way(self: &Arc<Self>) -> Option<Way> {
        self.rested_line().map(Way::Line).or_else(|| self.slot(STREAMS).map(Way::Slot))
    }

    /// A place on a connection that is full by our measure, where no other can be had.
    fn crowded_way(&self) -> Option<Way> {
        self.slot(usize::MAX).map(Way::Slot)
    }

    /// The connection that was used last, if it still lives as far as is known; one of this thread's where there is one.
    fn rested_line(self: &Arc<Self>) -> Option<Box<Line>> {
        let now = Instant::now();
        let lives = |line: &Line| now.duration_since(line.rested) <= self.limits.idle_timeout;
        let mut idle = self.idle.lock();
        if !lives(idle.back()?) {
            // All that rest below it rest even longer.
            let stale = std::mem::take(&mut *idle);
            drop(idle);
            drop(stale);
            return None;
        }
        let at_home = idle.iter().rev().take_while(|line| lives(line)).position(|line| line.is_at_home());
        let place = idle.len() - 1 - at_home.unwrap_or_default();
        let mut line = idle.remove(place)?;
        drop(idle);
        line.wake(now, self.clone());
        Some(line)
    }

    /// A place on the connection with the fewest requests, if it has fewer than `below`.
    fn slot(&self, below: usize) -> Option<Slot> {
        let mut trunks = self.trunks.lock();
        if trunks.is_empty() {
            return None;
        }
        trunks.retain(|trunk| !trunk.is_closed());
        let least = trunks.iter().min_by_key(|trunk| trunk.load())?;
        (least.load() < below).then(|| least.slot())
    }

    /// A new connection. Its code, with HTTP/2 and the resolver in it, stands here: without the box it would be made anew in
    /// every crate that sends something.
    fn open(self: &Arc<Self>) -> Opening<'_> {
        Box::pin(async move {
            let dialled = self.dialler.dial(&self.origin, &self.route).await?;
            if !dialled.http2 {
                self.single.store(true, Ordering::Relaxed);
                return Ok(Way::Line(Line::open(dialled.stream, self.clone()).await?));
            }
            self.single.store(false, Ordering::Relaxed);
            let trunk = Trunk::open(dialled.stream, self.dialler.tasks()).await?;
            let slot = trunk.slot();
            self.trunks.lock().push(trunk);
            Ok(Way::Slot(slot))
        })
    }

    /// The request as every connection starts from it: path only, framing left to hyper.
    fn prepare(&self, request: Request) -> http::Request<Outgoing> {
        let path = request.uri.into_parts().path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let mut outgoing = http::Request::new(Outgoing::from(request.body));
        *outgoing.method_mut() = request.method;
        *outgoing.uri_mut() = Uri::from(path);
        *outgoing.headers_mut() = request.headers;
        let headers = outgoing.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.remove(TRANSFER_ENCODING);
        headers.remove(HOST);
        outgoing
    }

    /// Undoes what one way of sending added, for another one.
    fn restore(&self, mut request: http::Request<Outgoing>) -> http::Request<Outgoing> {
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
        request.headers_mut().remove(HOST);
        request
    }

    fn for_line(&self, mut request: http::Request<Outgoing>) -> http::Request<Outgoing> {
        request.headers_mut().insert(HOST, self.header.clone());
        match &self.route {
            Route::Direct | Route::Tunnel(_) => request,
            Route::Forward(proxy) => {
                if let Some(credential) = proxy.credential() {
                    request.headers_mut().insert(PROXY_AUTHORIZATION, credential.clone());
                }
                self.absolute(request)
            }
        }
    }

    fn absolute(&self, mut request: http::Request<Outgoing>) -> http::Request<Outgoing> {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(self.origin.scheme());
        parts.authority = Some(self.origin.authority.clone());
        // All three parts are there, which is all that can be wrong.
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        request
    }
}

// === impl Way ===

impl Way {
    async fn send(self, host: &Host, request: http::Request<Outgoing>) -> Result<Response, Lost> {
        let (answer, carrier) = match self {
            Self::Line(mut line) => {
                let answer = line.send(host.for_line(request)).await?;
                // A short body is already read: then the connection is free before its user has seen it.
                let carrier = match line.is_ready() {
                    true => {
                        line.release();
                        Carrier::None
                    }
                    false => Carrier::Line(line),
                };
                (answer, carrier)
            }
            Self::Slot(slot) => (slot.send(host.absolute(request)).await?, Carrier::Slot(slot)),
        };
        let (head, incoming) = answer.into_parts();
        Ok(Response { status: head.status, headers: head.headers, body: Body::new(incoming, carrier) })
    }
}
