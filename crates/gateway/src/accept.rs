//! The accept loop: connections within a limit, each with its deadlines, and an end that lets answers finish.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use gatewright_auth::Peer;
use gatewright_core::CallService;
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::closing::{HANDSHAKES, close_to_newcomers};
use crate::connection::{BusyBody, Deadlines, Guarded, Phase};
use crate::gateway::Front;
use crate::probe::{self, Lookout};
use crate::pump::pumped;
use crate::workers::Spread;
use crate::{Settings, Workers, cors};

#[cfg(test)]
mod tests;

/// How long a connection that has not said anything yet may still begin, once the gateway stops.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Serves until `shutdown`, then waits for open answers within the grace.
pub(crate) async fn serve<S: CallService>(
    front: Front<S>,
    listener: TcpListener,
    (settings, tasks, workers): (Settings, TaskTracker, Workers),
    shutdown: impl Future<Output = ()>,
) {
    let stopping = CancellationToken::new();
    let places = Arc::new(Semaphore::new(settings.max_connections));
    let (grace, builder) = (settings.grace, connection_builder(&settings, &workers));
    let lookout = Lookout::new();
    let begin = |accepted: (TcpStream, Peer), place: Option<OwnedSemaphorePermit>| {
        let visit = Visit {
            front: front.clone(),
            settings: settings.clone(),
            tasks: tasks.clone(),
            builder: builder.clone(),
            stopping: stopping.clone(),
        };
        let (workers, room) = (workers.clone(), lookout.room());
        match room {
            None => visit.by_worker(accepted, &workers, place),
            Some(room) => drop(tasks.spawn(async move {
                match probe::is_first(&accepted.0).await {
                    // In a box: hardly any connection comes for that.
                    true => Box::pin(visit.once().serve(accepted)).await,
                    false => visit.by_worker(accepted, &workers, place),
                }
                drop(room);
            })),
        }
    };
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let place = tokio::select! {
            () = &mut shutdown => break,
            place = places.clone().acquire_owned() => place,
        };
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accepted(&listener) => accepted,
        };
        begin(accepted, place.ok());
    }
    // Their requests may be on the way already, and the end of the listener would reset them.
    close_to_newcomers(&listener);
    let complete = Instant::now() + HANDSHAKES;
    while let Ok(accepted) = timeout_at(complete, accepted(&listener)).await {
        begin(accepted, None);
    }
    waiting(listener).into_iter().for_each(|accepted| begin(accepted, None));
    tasks.close();
    stopping.cancel();
    if timeout(grace, tasks.wait()).await.is_err() {
        warn!("the grace period is over; open answers are cut");
    }
}

/// One connection and what it needs.
struct Visit<S> {
    front: Front<S>,
    settings: Settings,
    tasks: TaskTracker,
    builder: auto::Builder<Spread>,
    stopping: CancellationToken,
}

impl<S: CallService> Visit<S> {
    /// Gives the connection to a worker, with its place among all.
    fn by_worker(
        self,
        (stream, peer): (TcpStream, Peer),
        workers: &Workers,
        place: Option<OwnedSemaphorePermit>,
    ) {
        let (tasks, seat) = (self.tasks.clone(), workers.seat());
        let runtime = seat.runtime().clone();
        let stream = stream.into_std();
        let visited = async move {
            match stream.and_then(TcpStream::from_std) {
                Ok(stream) => self.serve((stream, peer)).await,
                Err(err) => warn!(%err, "cannot serve a connection"),
            }
            drop((place, seat));
        };
        tasks.spawn_on(visited, &runtime);
    }

    /// For one request only: who asks for something else next comes again, and to a worker.
    fn once(mut self) -> Self {
        self.builder.http1().keep_alive(false);
        self
    }

    async fn serve(self, (stream, peer): (TcpStream, Peer)) {
        let Self { front, settings, tasks, builder, stopping } = self;
        // hyper closes a connection that is to end before its first byte was read, whatever is on its way.
        if !speaks(&stream, settings.header_deadline, &stopping).await {
            return;
        }
        let deadlines = Deadlines {
            head: settings.header_deadline,
            idle: settings.keep_alive,
            write: settings.write_idle,
        };
        let phase = Phase::default();
        let io = Guarded::new(stream, deadlines, phase.clone());
        let (cross_origin, write_idle) = (settings.cross_origin, settings.write_idle);
        let exchange = Exchange { front, phase, peer, cross_origin, write_idle, tasks };
        let service = service_fn(move |request| exchange.answer(request));
        let mut connection = std::pin::pin!(builder.serve_connection(io, service));
        let ended = tokio::select! {
            // What has come is read before the end is looked at.
            biased;
            ended = connection.as_mut() => ended,
            () = stopping.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(err) = ended {
            debug!(%err, "connection ended");
        }
    }
}

/// What one connection's requests have in common.
struct Exchange<S> {
    front: Front<S>,
    phase: Phase,
    peer: Peer,
    cross_origin: bool,
    write_idle: Duration,
    tasks: TaskTracker,
}

/// In a box, because hyper moves the future before it polls it.
type Answer = Pin<Box<dyn Future<Output = Result<Response<BusyBody>, Infallible>> + Send>>;

// === impl Exchange ===

impl<S: CallService> Exchange<S> {
    fn answer(&self, request: Request<Incoming>) -> Answer {
        let (front, peer, busy) = (self.front.clone(), self.peer, self.phase.busy());
        let from_page = self.cross_origin && cors::is_from_page(request.headers());
        let preflight = from_page.then(|| cors::preflight(&request)).flatten();
        let write_idle = self.write_idle;
        let streams = (request.version() == Version::HTTP_2).then(|| self.tasks.clone());
        Box::pin(async move {
            let mut response = match preflight {
                Some(response) => *response,
                None => front.answer(request, peer).await,
            };
            if from_page {
                cors::open(response.headers_mut());
            }
            Ok(response.map(|body| match streams {
                None => busy.until_end_of(body),
                Some(tasks) => busy.until_end_of(pumped(body, write_idle, &tasks)),
            }))
        })
    }
}

fn connection_builder(settings: &Settings, workers: &Workers) -> auto::Builder<Spread> {
    let mut builder = auto::Builder::new(workers.spread());
    // Head and idle deadlines are kept by `Guarded`: hyper's own timer cannot tell a slow head from an idle connection.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(settings.header_deadline)
        .max_concurrent_streams(256);
    builder
}

/// Whether the peer says anything in time.
async fn speaks(stream: &TcpStream, patience: Duration, stopping: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        readable = stream.readable() => readable.is_ok(),
        () = sleep(patience) => false,
        () = async { stopping.cancelled().await; sleep(LAST_WORD).await } => false,
    }
}

/// Connections that nobody has accepted yet. The listener ends with that.
fn waiting(listener: TcpListener) -> Vec<(TcpStream, Peer)> {
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    let mut accepted = Vec::new();
    while let Ok(next) = listener.accept() {
        accepted.push(next);
    }
    drop(listener);
    let served = |(stream, address): (std::net::TcpStream, SocketAddr)| {
        stream.set_nonblocking(true).ok()?;
        Some(begun(TcpStream::from_std(stream).ok()?, address))
    };
    accepted.into_iter().filter_map(served).collect()
}

fn begun(stream: TcpStream, address: SocketAddr) -> (TcpStream, Peer) {
    let _ = stream.set_nodelay(true);
    (stream, Peer(address.ip().to_canonical()))
}

/// The next connection. Errors of `accept` belong to one connection or pass by themselves (no descriptors left).
async fn accepted(listener: &TcpListener) -> (TcpStream, Peer) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return begun(stream, address),
            Err(err) => {
                warn!(%err, "cannot accept a connection");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
