//! Answers in a Redis that replicas share. It costs a call no more than a short wait, and nothing while it is away.

mod breaker;
mod line;
mod tell;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gatewright_core::Clock;
use redis::{Cmd, Pipeline, RedisError, RedisResult};
use tokio::time::timeout;
use tracing::{info, warn};

use crate::entry::Entry;
use crate::figures::Figures;
use crate::key::Key;
use crate::shelf::{Kept, Tier};
use crate::wire;
use breaker::Breaker;
pub use line::Server;
use line::{Line, Lines};
use writer::{Queue, Write};

/// How a Redis is used.
#[derive(Clone, Copy, Debug)]
pub struct RedisSettings {
    /// How long a call waits for it.
    pub deadline: Duration,
    /// How long it keeps what nobody says more of.
    pub ttl: Duration,
    /// The most bytes that wait to be written; what comes then is not kept there.
    pub queued_bytes: usize,
}

/// Answers in a Redis. Clones share its connections.
#[derive(Clone)]
pub struct Redis(Arc<Shared>);

struct Shared {
    lines: Lines,
    breaker: Breaker,
    settings: RedisSettings,
    queue: Queue,
    figures: Arc<Figures>,
    clock: Arc<dyn Clock>,
}

/// Stands before every key, so that what else is kept there is told apart.
const PREFIX: &str = "gatewright:answer:";

// === impl RedisSettings ===

impl Default for RedisSettings {
    fn default() -> Self {
        Self { deadline: Duration::from_millis(75), ttl: Duration::from_secs(600), queued_bytes: 32 << 20 }
    }
}

// === impl Redis ===

impl Redis {
    /// Uses what `server` says. What is kept is written by the future, as long as it runs.
    pub fn open(
        server: Server,
        settings: RedisSettings,
        figures: Arc<Figures>,
        clock: Arc<dyn Clock>,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (queue, waiting) = Queue::new(settings.queued_bytes);
        let breaker = Breaker::new(clock.now());
        let lines = Lines::new(server);
        let redis = Self(Arc::new(Shared { lines, breaker, settings, queue, figures, clock }));
        let writing = writer::run(redis.clone(), waiting);
        (redis, writing)
    }

    /// What is kept under the key.
    pub async fn find_one(&self, key: &Key) -> Option<Kept> {
        let ask = get(key);
        let bytes: Option<Vec<u8>> = self.in_time(async |line: Line| line.ask(&ask).await).await?;
        self.read(key, bytes?)
    }

    fn read(&self, key: &Key, bytes: Vec<u8>) -> Option<Kept> {
        let Some((entry, until)) = wire::decode(key, Bytes::from(bytes)) else {
            Figures::one_more(&self.0.figures.unreadable);
            return None;
        };
        let left = until.checked_sub(self.0.clock.unix_seconds()).filter(|left| *left > 0)?;
        Some(Kept { entry: Arc::new(entry), left: Duration::from_secs(left) })
    }

    /// Asks within the deadline. One failure is enough: nobody else waits for a while.
    async fn in_time<T>(&self, ask: impl AsyncFnOnce(Line) -> RedisResult<T>) -> Option<T> {
        let shared = &*self.0;
        if !shared.breaker.lets(shared.clock.now()) {
            Figures::one_more(&shared.figures.late);
            return None;
        }
        let answer = async {
            match shared.lines.here().await {
                Some(line) => ask(line).await.map_err(Some),
                None => Err(None),
            }
        };
        match timeout(shared.settings.deadline, answer).await {
            Ok(Ok(value)) => {
                self.answered();
                Some(value)
            }
            // It answers, though not what was asked for.
            Ok(Err(Some(err))) if !is_away(&err) => {
                self.answered();
                Figures::one_more(&shared.figures.unreadable);
                None
            }
            Ok(Err(err)) => {
                self.failed(err.map_or_else(|| "no connection".to_owned(), |err| err.to_string()));
                None
            }
            Err(_) => {
                self.failed("no answer in time".to_owned());
                None
            }
        }
    }

    fn answered(&self) {
        if self.0.breaker.answered() {
            info!("redis answers again; answers are kept there");
        }
    }

    fn failed(&self, why: String) {
        let shared = &*self.0;
        Figures::one_more(&shared.figures.late);
        shared.lines.drop_all();
        if shared.breaker.failed(shared.clock.now()) {
            warn!(error = why, "redis does not answer; no answers are looked up or kept there meanwhile");
        }
    }
}

impl Tier for Redis {
    async fn find(&self, keys: &[Key]) -> Vec<Option<Kept>> {
        let mut ask = Pipeline::with_capacity(keys.len());
        for key in keys {
            ask.add_command(get(key));
        }
        let answers: Option<Vec<Option<Vec<u8>>>> =
            self.in_time(async |line: Line| line.ask_all(&ask).await).await;
        let answers = answers.unwrap_or_default().into_iter().chain(std::iter::repeat(None));
        keys.iter().zip(answers).map(|(key, bytes)| self.read(key, bytes?)).collect()
    }

    fn keep(&self, key: &Key, entry: &Arc<Entry>, ttl: Option<Duration>) {
        let ttl = ttl.unwrap_or(self.0.settings.ttl);
        if !self.0.queue.put(Write { key: key.clone(), entry: Arc::clone(entry), ttl }) {
            Figures::one_more(&self.0.figures.unwritten);
        }
    }
}

fn get(key: &Key) -> Cmd {
    let mut command = redis::cmd("GET");
    command.arg(name(&key.text));
    command
}

fn name(key: &str) -> String {
    format!("{PREFIX}{key}")
}

/// Whether the server is not there, or not ready; else it refused this one command.
fn is_away(err: &RedisError) -> bool {
    err.is_io_error() || err.is_connection_dropped() || err.is_connection_refusal() || err.is_timeout()
}
