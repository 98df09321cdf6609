//! The way to Redis: given up at its first failure, and found again beside the traffic.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use redis::sentinel::SentinelClient;
use redis::{Client, Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Script, ServerErrorKind, Value};
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::SharedSettings;
use super::question::millis;
use super::server::{CONNECT, Server, run};
use super::up::Up;

/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(100);

const FIRST_EPOCH: u64 = 1;

/// A wait counts only what this process saw of it, in so many looks: where it got no processor itself, nobody is late.
const LOOKS: u32 = 10;

/// Where Redis is, as whoever reads the configuration opened it.
#[derive(Clone)]
pub enum Place {
    /// One server.
    Server(Box<Client>),
    /// Sentinels, which are asked for the master whenever a connection is opened.
    Sentinels(Arc<AsyncMutex<SentinelClient>>),
}

/// The way to Redis.
pub(super) struct Link {
    /// Where to look for it.
    places: Vec<Place>,
    born: String,
    deadline: Duration,
    up: RwLock<Option<Arc<Up>>>,
    /// The server's time when it greeted last.
    greeted: RwLock<Option<(Instant, i64)>>,
    epoch: AtomicU64,
    lost: Notify,
}

// === impl Link ===

impl Link {
    pub(super) fn new(places: Vec<Place>, settings: &SharedSettings) -> Self {
        Self {
            places,
            born: format!("{}:born", settings.namespace),
            deadline: settings.deadline,
            up: RwLock::default(),
            greeted: RwLock::default(),
            epoch: AtomicU64::new(FIRST_EPOCH),
            lost: Notify::new(),
        }
    }

    /// The contact, unless Redis is away.
    pub(super) fn up(&self) -> Option<Arc<Up>> {
        self.up.read().clone()
    }

    pub(super) fn is_current(&self, up: &Up) -> bool {
        self.epoch.load(Ordering::Acquire) == up.epoch
    }

    /// How often contact was lost.
    pub(super) fn losses(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed) - FIRST_EPOCH
    }

    /// How far ahead a moment of the server is.
    pub(super) fn ahead(&self, moment: i64) -> Option<Duration> {
        let (then, time) = (*self.greeted.read())?;
        let now = time.saturating_add(millis(then.elapsed()));
        u64::try_from(moment.saturating_sub(now)).ok().filter(|ahead| *ahead > 0).map(Duration::from_millis)
    }

    /// Asks within the deadline. A server that fails once is away until it has greeted again: whoever calls meanwhile
    /// does not wait for it, nor does whoever works through a list on a connection that is lost by now.
    pub(super) async fn ask(&self, up: &Up, script: &Script, command: &Cmd) -> Option<Value> {
        if !self.is_current(up) {
            return None;
        }
        let mut connection = up.connection();
        self.in_time(up, run(&mut connection, script, command)).await
    }

    /// The same for commands that are no matter of counts. What the server refuses of them is among its answers, and says
    /// nothing about the counts, unless it keeps them no more.
    pub(super) async fn ask_all(&self, up: &Up, commands: &Pipeline) -> Option<Vec<Value>> {
        let mut connection = up.connection();
        let answers = async {
            let answers = connection.send_packed_commands(commands, 0, commands.len()).await?;
            match answers.iter().any(is_moved) {
                true => {
                    Err((ErrorKind::Server(ServerErrorKind::Moved), "another node keeps the counts").into())
                }
                false => Ok(answers),
            }
        };
        self.in_time(up, answers).await
    }

    async fn in_time<T>(&self, up: &Up, answer: impl Future<Output = RedisResult<T>>) -> Option<T> {
        let mut answer = pin!(answer);
        for _ in 0..LOOKS {
            match timeout(self.deadline / LOOKS, answer.as_mut()).await {
                Ok(Ok(value)) => return Some(value),
                Ok(Err(err)) => return self.lose(up, &err),
                Err(_) => {}
            }
        }
        self.lose(up, &"no answer in time")
    }

    fn lose<T>(&self, up: &Up, why: &dyn std::fmt::Display) -> Option<T> {
        let mut current = self.up.write();
        if current.as_ref().is_some_and(|current| current.epoch == up.epoch) {
            *current = None;
            up.lose();
            self.epoch.fetch_add(1, Ordering::Release);
            warn!(error = %why, "redis does not answer; rates are counted here, budgets spend what is in reserve");
            self.lost.notify_one();
        }
        None
    }

    /// Connects, now and after every loss: to the same server first, then to one after the other.
    pub(super) async fn keep(&self) {
        let mut told = false;
        let mut turns = self.places.iter().cycle();
        let mut turn = turns.next();
        while let Some(place) = turn {
            match timeout(CONNECT, self.connect(place)).await {
                Ok(Ok(up)) => {
                    info!("redis answers");
                    *self.up.write() = Some(Arc::new(up));
                    told = true;
                    self.lost.notified().await;
                }
                failed => {
                    if !std::mem::replace(&mut told, true) {
                        let why = failed.map_or_else(|_| "no answer in time".to_owned(), |up| why(up.err()));
                        warn!(error = %why, "redis does not answer");
                    }
                    turn = turns.next();
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn connect(&self, place: &Place) -> RedisResult<Up> {
        let client = match place {
            Place::Server(client) => Client::clone(client),
            Place::Sentinels(sentinels) => sentinels.lock().await.async_get_client().await?,
        };
        let (server, mut connection) = Server::find(&client, &self.born).await?;
        let greeting = server.greet(&mut connection, &self.born).await?;
        let epoch = self.epoch.load(Ordering::Acquire);
        *self.greeted.write() = Some((Instant::now(), greeting.now));
        Ok(Up::new(server, connection, epoch, greeting.ready))
    }
}

// === impl Place ===

impl From<Client> for Place {
    fn from(client: Client) -> Self {
        Self::Server(Box::new(client))
    }
}

fn is_moved(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(err) if err.kind() == Some(ServerErrorKind::Moved))
}

fn why(err: Option<RedisError>) -> String {
    err.map_or_else(String::new, |err| err.to_string())
}
