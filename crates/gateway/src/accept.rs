//! The accept loop: connections within a limit, each with its deadlines, and an end that lets answers finish.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use gatewright_auth::Peer;
use gatewright_core::CallService;
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::connection::{BusyBody, Deadlines, Guarded, Phase};
use crate::gateway::Front;
use crate::pump::pumped;
use crate::{Settings, cors};

/// Serves until `shutdown`, then waits for open answers within the grace.
pub(crate) async fn serve<S: CallService>(
    front: Front<S>,
    listener: TcpListener,
    settings: Settings,
    shutdown: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    let tasks = TaskTracker::new();
    let places = Arc::new(Semaphore::new(settings.max_connections));
    let builder = connection_builder(&settings);
    let deadlines =
        Deadlines { head: settings.header_deadline, idle: settings.keep_alive, write: settings.write_idle };
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let place = tokio::select! {
            () = &mut shutdown => break,
            place = places.clone().acquire_owned() => place,
        };
        let (stream, peer) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accepted(&listener) => accepted,
        };
        let phase = Phase::default();
        let io = Guarded::new(stream, deadlines, phase.clone());
        let exchange = Exchange {
            front: front.clone(),
            phase,
            peer,
            cross_origin: settings.cross_origin,
            write_idle: settings.write_idle,
            tasks: tasks.clone(),
        };
        let service = service_fn(move |request| exchange.answer(request));
        let connection = builder.serve_connection(io, service).into_owned();
        let connection = graceful.watch(connection);
        tasks.spawn(async move {
            if let Err(err) = connection.await {
                debug!(%err, "connection ended");
            }
            drop(place);
        });
    }
    tasks.close();
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => tasks.wait().await,
        () = tokio::time::sleep(settings.grace) => warn!("the grace period is over; open answers are cut"),
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

fn connection_builder(settings: &Settings) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
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

/// The next connection. Errors of `accept` belong to one connection or pass by themselves (no descriptors left).
async fn accepted(listener: &TcpListener) -> (TcpStream, Peer) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                let _ = stream.set_nodelay(true);
                return (stream, Peer(address.ip().to_canonical()));
            }
            Err(err) => {
                warn!(%err, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
