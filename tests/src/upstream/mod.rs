//! A fake provider that speaks real wire formats, does what a script says, records every request and keeps its own bill.

mod anthropic;
mod cohere;
mod completions;
mod converse;
mod gemini;
mod guise;
mod media;
mod ollama;
mod openai;
mod pictures;
mod ranking;
mod responses;
mod script;
mod serve;
mod vectors;
mod words;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

pub use cohere::UNBILLED;
pub use converse::message as aws_message;
pub use guise::Guise;
pub use script::{Answer, Chunks, Ends, Gate, Pause, Said, Script, Stop, ToolUse, UsageForm, Used};

/// The longest that a test waits for something that should happen within a moment.
pub const MOMENT: Duration = Duration::from_secs(20);

/// A running fake provider; stops when dropped.
pub struct Upstream {
    addr: SocketAddr,
    state: Arc<State>,
    runtime: Option<tokio::runtime::Runtime>,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its place in the order of arrival, from zero.
    pub number: usize,
    /// `POST`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body's bytes.
    pub body: Bytes,
}

/// What one request would cost its sender.
#[derive(Clone, Debug)]
pub struct Bill {
    /// The request's number.
    pub number: usize,
    /// The id in the answer.
    pub id: String,
    /// The status that was answered; zero where no head was sent.
    pub status: u16,
    /// Tokens read.
    pub input: u64,
    /// Tokens written, as far as they were sent.
    pub output: u64,
    /// How it ended.
    pub end: End,
}

/// How an answer of the fake provider ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It still runs.
    Running,
    /// All of it was handed to the connection.
    Sent,
    /// The script cut it.
    Cut,
    /// The other side went away before the end.
    Left,
}

/// Chooses what a request gets; `None` leaves it to the words of the prompt.
type Chooser = Box<dyn Fn(&Seen) -> Option<Script> + Send + Sync>;

#[derive(Default)]
struct State {
    inner: Mutex<Inner>,
    changed: Condvar,
    chooser: Mutex<Option<Arc<Chooser>>>,
}

#[derive(Default)]
struct Inner {
    seen: Vec<Seen>,
    bills: Vec<Bill>,
    scripts: VecDeque<Script>,
}

// === impl Upstream ===

impl Upstream {
    /// Starts one on a free port.
    pub fn start() -> Self {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Starts one at an address.
    pub fn start_on(addr: SocketAddr) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let state = Arc::new(State::default());
        let listener = runtime.block_on(tokio::net::TcpListener::bind(addr)).unwrap();
        let addr = listener.local_addr().unwrap();
        runtime.spawn(serve::accept(listener, state.clone()));
        Self { addr, state, runtime: Some(runtime) }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its base URL without a path.
    pub fn base(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The next request that no chooser takes gets this.
    pub fn push(&self, script: Script) {
        self.state.inner.lock().unwrap().scripts.push_back(script);
    }

    /// Every request is shown to `choose` first.
    pub fn choose(&self, choose: impl Fn(&Seen) -> Option<Script> + Send + Sync + 'static) {
        *self.state.chooser.lock().unwrap() = Some(Arc::new(Box::new(choose)));
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen_from(0)
    }

    /// All but the first so many requests.
    pub fn seen_from(&self, first: usize) -> Vec<Seen> {
        self.state.inner.lock().unwrap().seen[first..].to_vec()
    }

    /// How many requests there were so far.
    pub fn count(&self) -> usize {
        self.state.inner.lock().unwrap().seen.len()
    }

    /// The last request.
    pub fn last(&self) -> Seen {
        self.state.inner.lock().unwrap().seen.last().expect("the upstream saw no request").clone()
    }

    /// The bill so far, one a request.
    pub fn bills(&self) -> Vec<Bill> {
        self.state.inner.lock().unwrap().bills.clone()
    }

    /// Waits until `enough` holds of the bills.
    pub fn wait(&self, what: &str, enough: impl Fn(&[Bill]) -> bool) {
        let deadline = Instant::now() + MOMENT;
        let mut inner = self.state.inner.lock().unwrap();
        while !enough(&inner.bills) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for the upstream: {what}; it has {:?}", inner.bills);
            inner = self.state.changed.wait_timeout(inner, left).unwrap().0;
        }
    }

    /// Waits for `count` requests.
    pub fn wait_for_requests(&self, count: usize) {
        self.wait(&format!("{count} requests"), |bills| bills.len() >= count);
    }

    /// Waits until nothing runs any more.
    pub fn wait_until_idle(&self) {
        self.wait("nothing running", |bills| bills.iter().all(|bill| bill.end != End::Running));
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

// === impl Seen ===

impl Seen {
    /// The body as JSON; `null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header as text; empty where it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

// === impl State ===

impl State {
    /// Writes a request down and finds what it gets.
    fn arrive(&self, mut seen: Seen) -> (Seen, Script) {
        let chooser = self.chooser.lock().unwrap().clone();
        let mut inner = self.inner.lock().unwrap();
        seen.number = inner.seen.len();
        inner.seen.push(seen.clone());
        let bill = Bill {
            number: seen.number,
            id: String::new(),
            status: 0,
            input: 0,
            output: 0,
            end: End::Running,
        };
        inner.bills.push(bill);
        let queued = inner.scripts.pop_front();
        drop(inner);
        self.changed.notify_all();
        let script = match (queued, chooser) {
            (Some(script), _) => script,
            (None, Some(choose)) => choose(&seen).unwrap_or_else(|| words::script(&seen)),
            (None, None) => words::script(&seen),
        };
        (seen, script)
    }

    fn note(&self, number: usize, change: impl FnOnce(&mut Bill)) {
        change(&mut self.inner.lock().unwrap().bills[number]);
        self.changed.notify_all();
    }
}
