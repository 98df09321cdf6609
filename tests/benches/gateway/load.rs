//! The clients: as many as are asked for, in a closed loop or at a fixed rate.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

use crate::answers;

/// The key that the gateway's configuration names; the bare proxy passes it on.
pub(crate) const KEY: &str = "sk-bench-5b1f0c83";

/// What to send, where, with which key, and how fast.
#[derive(Args, Clone)]
pub(crate) struct Load {
    /// Who is asked.
    #[arg(long)]
    pub(crate) address: String,
    /// Where.
    #[arg(long)]
    pub(crate) path: String,
    /// The model that is asked for.
    #[arg(long)]
    pub(crate) model: String,
    /// The key that is sent.
    #[arg(long, default_value = KEY)]
    pub(crate) key: String,
    /// Bytes of a request.
    #[arg(long)]
    pub(crate) size: usize,
    /// Whether a stream is asked for.
    #[arg(long)]
    pub(crate) stream: bool,
    /// How long requests are begun; whatever has begun is finished.
    #[arg(long)]
    pub(crate) seconds: f64,
    /// Clients that each wait for their answer before they ask again.
    #[arg(long)]
    pub(crate) clients: usize,
    /// Requests a second in place of the closed loop, whether or not answers keep up.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Came {
    /// Answers that were whole.
    pub(crate) answers: usize,
    /// Calls that were refused as the gateway refuses what it has no room for.
    pub(crate) refused: usize,
    /// What each refusal took, in microseconds.
    pub(crate) refused_micros: Vec<f64>,
    /// Answers that were not, or neither.
    pub(crate) failures: usize,
    /// From the first request to the last answer.
    pub(crate) seconds: f64,
    /// What each answer took to be whole, in microseconds.
    pub(crate) micros: Vec<f64>,
}

/// The same request over and over, and connections that wait for work.
struct Clients {
    load: Load,
    body: Bytes,
    idle: RefCell<Vec<SendRequest<Full<Bytes>>>>,
    came: RefCell<Came>,
}

// === impl Load ===

impl Load {
    /// Prints what came, as one line of JSON.
    #[tokio::main(flavor = "current_thread")]
    pub(crate) async fn run(self) {
        let body = answers::request(&self.model, self.size, self.stream);
        let clients = Clients { load: self, body, idle: RefCell::default(), came: RefCell::default() };
        let clients = Rc::new(clients);
        LocalSet::new().run_until(clients.clone().all()).await;
        println!("{}", serde_json::to_string(&*clients.came.borrow()).unwrap());
    }
}

// === impl Clients ===

impl Clients {
    async fn all(self: Rc<Self>) {
        for _ in 0..self.load.clients {
            let connection = self.connect().await;
            self.idle.borrow_mut().push(connection);
        }
        let start = Instant::now();
        match self.load.rate {
            Some(rate) => self.clone().paced(rate).await,
            None => self.clone().looped().await,
        }
        self.came.borrow_mut().seconds = start.elapsed().as_secs_f64();
    }

    async fn looped(self: Rc<Self>) {
        let end = Instant::now() + Duration::from_secs_f64(self.load.seconds);
        let mut tasks = JoinSet::new();
        for _ in 0..self.load.clients {
            let clients = self.clone();
            tasks.spawn_local(async move {
                while Instant::now() < end {
                    clients.ask().await;
                }
            });
        }
        tasks.join_all().await;
    }

    /// Requests start on time even where answers are late: a slow gateway must not slow its own load.
    async fn paced(self: Rc<Self>, rate: f64) {
        let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
        let mut tasks = JoinSet::new();
        for _ in 0..(self.load.seconds * rate).ceil() as usize {
            ticks.tick().await;
            let clients = self.clone();
            tasks.spawn_local(async move { clients.ask().await });
        }
        tasks.join_all().await;
    }

    async fn ask(&self) {
        let idle = self.idle.borrow_mut().pop();
        let mut connection = match idle {
            Some(connection) if !connection.is_closed() => connection,
            _ => self.connect().await,
        };
        let start = Instant::now();
        let served = self.exchange(&mut connection).await;
        let micros = start.elapsed().as_secs_f64() * 1e6;
        let mut came = self.came.borrow_mut();
        if served.is_some() {
            self.idle.borrow_mut().push(connection);
        }
        match served {
            Some(true) => {
                came.answers += 1;
                came.micros.push(micros);
            }
            Some(false) => {
                came.refused += 1;
                came.refused_micros.push(micros);
            }
            None => came.failures += 1,
        }
    }

    /// Whether the call was answered or refused; nothing where it was neither.
    async fn exchange(&self, connection: &mut SendRequest<Full<Bytes>>) -> Option<bool> {
        connection.ready().await.ok()?;
        let mut answer = connection.send_request(self.request()).await.ok()?;
        let mut length = 0;
        while let Some(frame) = answer.body_mut().frame().await {
            length += frame.ok()?.data_ref().map_or(0, Bytes::len);
        }
        match answer.status() {
            StatusCode::OK => (length > 500).then_some(true),
            StatusCode::SERVICE_UNAVAILABLE => {
                answer.headers().contains_key(header::RETRY_AFTER).then_some(false)
            }
            _ => None,
        }
    }

    fn request(&self) -> Request<Full<Bytes>> {
        Request::post(&self.load.path)
            .header(header::HOST, &self.load.address)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.load.key))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(self.body.clone()))
            .unwrap()
    }

    async fn connect(&self) -> SendRequest<Full<Bytes>> {
        let socket = TcpStream::connect(&self.load.address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let (connection, driver) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
        drop(tokio::task::spawn_local(driver));
        connection
    }
}
