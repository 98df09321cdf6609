//! Answers in a Redis that replicas share. It costs a call no more than a short wait, and nothing while it is away.

mod line;
mod link;
mod tell;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gatewright_core::Clock;
use redis::{Cmd, Pipeline, RedisResult};

use crate::entry::Entry;
use crate::figures::Figures;
use crate::key::Key;
use crate::shelf::{Kept, Tier};
use crate::wire;
pub(crate) use line::Line;
pub use line::Server;
pub use link::Link;
pub(crate) use link::Miss;
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

/// Answers in a Redis. Clones share them.
#[derive(Clone)]
pub struct Redis(Arc<Shared>);

struct Shared {
    link: Link,
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
    /// Keeps them where `link` leads. What is kept is written by the future, as long as it runs.
    pub fn open(
        link: Link,
        settings: RedisSettings,
        figures: Arc<Figures>,
        clock: Arc<dyn Clock>,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (queue, waiting) = Queue::new(settings.queued_bytes);
        let redis = Self(Arc::new(Shared { link, settings, queue, figures, clock }));
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

    async fn in_time<T>(&self, ask: impl AsyncFnOnce(Line) -> RedisResult<T>) -> Option<T> {
        let shared = &*self.0;
        let told = shared.link.ask(shared.settings.deadline, ask).await;
        let count = match &told {
            Ok(_) => return told.ok(),
            Err(Miss::Resting | Miss::Away(_)) => &shared.figures.late,
            // It answers, though not what was asked for.
            Err(Miss::Refused(_)) => &shared.figures.unreadable,
        };
        Figures::one_more(count);
        None
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
