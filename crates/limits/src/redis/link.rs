//! The connection to Redis: one for all calls, given up at its first failure and opened again beside the traffic.

use std::pin::pin;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, InfoDict, RedisError, RedisResult, Script, Value};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

use super::SharedSettings;
use super::question::millis;

const COUNTS: &str = include_str!("counts.lua");

/// What Redis runs in one step.
pub(super) static HOLD: LazyLock<Script> = LazyLock::new(|| script(include_str!("hold.lua")));
pub(super) static TELL: LazyLock<Script> = LazyLock::new(|| script(include_str!("tell.lua")));
pub(super) static AMEND: LazyLock<Script> = LazyLock::new(|| script(include_str!("amend.lua")));
pub(super) static RESET: LazyLock<Script> = LazyLock::new(|| script(include_str!("reset.lua")));
pub(super) static ALIVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("alive.lua")));
static GREET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("greet.lua")));

/// A call's rules lie in several slots.
const CLUSTER: &str = "it is part of a cluster, and counts are kept in one server only";

/// For so long after a server was started anew, replicas only tell it what they know.
const GRACE: Duration = Duration::from_secs(2);

/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(100);

const FIRST_EPOCH: u64 = 1;

/// Connecting takes some round trips, and names may have to be resolved.
const CONNECT: Duration = Duration::from_secs(2);

/// A wait counts only what this process saw of it, in so many looks: where it got no processor itself, nobody is late.
const LOOKS: u32 = 10;

/// The way to Redis.
pub(super) struct Link {
    client: Client,
    born: String,
    deadline: Duration,
    up: RwLock<Option<Up>>,
    /// The server's time when it greeted last.
    greeted: RwLock<Option<(Instant, i64)>>,
    epoch: AtomicU64,
    lost: Notify,
}

/// A connection that answered so far.
#[derive(Clone)]
pub(super) struct Up {
    connection: MultiplexedConnection,
    /// Grows with every loss of contact.
    pub(super) epoch: u64,
    pub(super) since: Instant,
    /// Before this moment of the server, replicas only tell what they know.
    pub(super) ready: i64,
}

// === impl Link ===

impl Link {
    pub(super) fn new(client: Client, settings: &SharedSettings) -> Self {
        Self {
            client,
            born: format!("{}:born", settings.namespace),
            deadline: settings.deadline,
            up: RwLock::default(),
            greeted: RwLock::default(),
            epoch: AtomicU64::new(FIRST_EPOCH),
            lost: Notify::new(),
        }
    }

    /// The connection, unless Redis is away.
    pub(super) fn up(&self) -> Option<Up> {
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
        let mut connection = up.connection.clone();
        let mut answer = pin!(run(&mut connection, script, command));
        for _ in 0..LOOKS {
            match timeout(self.deadline / LOOKS, answer.as_mut()).await {
                Ok(Ok(value)) => return Some(value),
                Ok(Err(err)) => return self.lose(up, &err),
                Err(_) => {}
            }
        }
        self.lose(up, &"no answer in time")
    }

    fn lose(&self, up: &Up, why: &dyn std::fmt::Display) -> Option<Value> {
        let mut current = self.up.write();
        if current.as_ref().is_some_and(|current| current.epoch == up.epoch) {
            *current = None;
            self.epoch.fetch_add(1, Ordering::Release);
            warn!(error = %why, "redis does not answer; rates are counted here, budgets spend what is in reserve");
            self.lost.notify_one();
        }
        None
    }

    /// Connects, now and after every loss.
    pub(super) async fn keep(&self) {
        let mut told = false;
        loop {
            match timeout(CONNECT, self.connect()).await {
                Ok(Ok(up)) => {
                    info!("redis answers");
                    *self.up.write() = Some(up);
                    told = true;
                    self.lost.notified().await;
                }
                failed => {
                    if !std::mem::replace(&mut told, true) {
                        let why = failed.map_or_else(|_| "no answer in time".to_owned(), |up| why(up.err()));
                        warn!(error = %why, "redis does not answer");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn connect(&self) -> RedisResult<Up> {
        // Deadlines are ours: a reply that is late means more than that one question failed.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(None);
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        let server = server(&mut connection).await?;
        if is_of_a_cluster(&server) {
            return Err((redis::ErrorKind::InvalidClientConfig, CLUSTER).into());
        }
        let run: String = server.get("run_id").unwrap_or_default();
        for script in [&*HOLD, &*TELL, &*AMEND, &*RESET, &*ALIVE] {
            script.load_async(&mut connection).await?;
        }
        let mut greeting = GREET.key(&self.born);
        let greeting = greeting.arg(run).arg(i64::try_from(GRACE.as_millis()).unwrap_or(i64::MAX));
        let (now, ready): (i64, i64) = greeting.invoke_async(&mut connection).await?;
        let (epoch, since) = (self.epoch.load(Ordering::Acquire), Instant::now());
        *self.greeted.write() = Some((since, now));
        Ok(Up { connection, epoch, since, ready })
    }
}

/// Why this server can never be used; nothing where it can, or does not answer now.
pub(super) async fn unfit(client: &Client) -> Option<&'static str> {
    let asked = async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        server(&mut connection).await
    };
    let server = timeout(CONNECT, asked).await.ok()?.ok()?;
    is_of_a_cluster(&server).then_some(CLUSTER)
}

/// What a server says of itself.
async fn server(connection: &mut MultiplexedConnection) -> RedisResult<InfoDict> {
    redis::cmd("INFO").arg("server").query_async(connection).await
}

fn is_of_a_cluster(server: &InfoDict) -> bool {
    server.get::<String>("redis_mode").is_some_and(|mode| mode == "cluster")
}

/// Scripts that a server has forgotten are loaded again.
async fn run(connection: &mut MultiplexedConnection, script: &Script, command: &Cmd) -> RedisResult<Value> {
    match connection.send_packed_command(command).await.and_then(Value::extract_error) {
        Err(err) if err.kind() == redis::ErrorKind::Server(redis::ServerErrorKind::NoScript) => {
            script.load_async(connection).await?;
            connection.send_packed_command(command).await.and_then(Value::extract_error)
        }
        answer => answer,
    }
}

fn script(own: &str) -> Script {
    Script::new(&[COUNTS, own].concat())
}

fn why(err: Option<RedisError>) -> String {
    err.map_or_else(String::new, |err| err.to_string())
}
