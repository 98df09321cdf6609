//! Connections: who is answered by whom.

use std::io::{Read, Write};
use std::net::TcpStream as Socket;
use std::num::NonZeroUsize;
use std::sync::{LazyLock, mpsc};
use std::thread;

use gatewright_auth::Authenticator;
use gatewright_core::{Call, Caller, Error, ErrorKind, Reply, Result};
use http::{Method, StatusCode};
use serde_json::Value;

use super::*;
use crate::conversation::Answered;
use crate::{
    Described, Directory, DoorFigures, Gateway, Health, LedgerHealth, MemoryLimits, ModelEntry, Ports,
    Remembered, Upstreams, WorkerThreads,
};

/// Everything that a gateway asks for, where there is nothing.
struct Nothing;

impl CallService for Nothing {
    async fn answer(&self, _: Call) -> Result<Reply> {
        Err(Error::new(ErrorKind::Unavailable, "there is nothing"))
    }
}

impl Directory for Nothing {
    fn models(&self, _: Option<&str>) -> Vec<ModelEntry> {
        Vec::new()
    }

    fn model(&self, _: Option<&str>, _: &str) -> Option<ModelEntry> {
        None
    }

    fn access_groups(&self, _: Option<&str>) -> Vec<String> {
        Vec::new()
    }

    fn permits(&self, _: &Caller, _: &str) -> bool {
        false
    }

    fn deployments(&self) -> Vec<Described> {
        Vec::new()
    }

    fn groups(&self, _: Option<&str>) -> Vec<Described> {
        Vec::new()
    }
}

impl Health for Nothing {
    fn healthy(&self) -> Vec<Value> {
        Vec::new()
    }

    fn unhealthy(&self) -> Vec<Value> {
        Vec::new()
    }

    fn ready(&self) -> std::result::Result<(), String> {
        Ok(())
    }

    fn ledger(&self) -> LedgerHealth {
        LedgerHealth::default()
    }

    fn redis(&self) -> Option<bool> {
        None
    }

    fn metrics(&self, _: DoorFigures, _: &str) -> (&'static str, String) {
        ("", String::new())
    }
}

impl Upstreams for Nothing {
    fn ask<'a>(&'a self, _: &'a str, _: Method, _: &'a str) -> Answered<'a, (StatusCode, bytes::Bytes)> {
        Box::pin(async { Err(Error::new(ErrorKind::NotFound, "there is nothing")) })
    }
}

fn nothing() -> Gateway<Nothing> {
    let auth = gatewright_auth::Settings::default();
    let clock = Arc::new(gatewright_core::SystemClock);
    let ports = Ports {
        authenticator: Authenticator::new(&auth),
        credentials: auth,
        directory: Arc::new(Nothing),
        refusals: None,
        health: Arc::new(Nothing),
        conversations: Arc::new(Remembered::new(MemoryLimits::default(), clock)),
        upstreams: Arc::new(Nothing),
        document: LazyLock::new(bytes::Bytes::new),
    };
    Gateway::new(Nothing, ports, Settings::default())
}

/// What comes until the connection is closed, within some seconds.
fn answer(address: SocketAddr, head: &str) -> String {
    let mut socket = Socket::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.write_all(head.as_bytes()).unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    text
}

/// The only worker is busy for as long as the clients have questions.
#[test]
fn a_probe_is_answered_while_no_worker_does_anything() {
    let threads = WorkerThreads::start(NonZeroUsize::MIN).unwrap();
    let (let_go, busy) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let worker = threads.workers().runtimes().next().unwrap().clone();
    drop(worker.spawn(async move {
        tell.send(()).unwrap();
        let _ = busy.recv();
    }));
    told.recv().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let clients = thread::spawn(move || {
            // Who says nothing, or not all of it, is not waited for.
            let mut silent = Socket::connect(address).unwrap();
            silent.write_all(b"GET /health/live").unwrap();
            for path in ["/health/liveliness", "/health/liveness", "/health/readiness"] {
                // A client that would ask more over this connection is told to come again.
                let told = answer(address, &format!("GET {path} HTTP/1.1\r\nhost: here\r\n\r\n"));
                assert!(told.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {told}");
                assert!(told.contains("connection: close\r\n"), "{path}: {told}");
            }
            let ask = "GET /health HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n";
            let mut other = Socket::connect(address).unwrap();
            other.write_all(ask.as_bytes()).unwrap();
            other.set_read_timeout(Some(2 * probe::PATIENCE)).unwrap();
            assert!(other.read(&mut [0; 1]).is_err(), "whatever else is asked is the workers' business");
            drop(let_go);
            assert!(answer(address, ask).starts_with("HTTP/1.1 200 OK\r\n"));
            stopped.cancel();
        });
        nothing().by(threads.workers().clone()).serve(listener, stop.cancelled()).await;
        clients.join().unwrap();
    });
}
