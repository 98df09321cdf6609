//! Connections to Redis: one for each runtime that asks, opened beside the call that asks first.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::SentinelClient;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisResult, Value,
};
use tokio::runtime::{Handle, Id};
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// Where Redis is, as whoever reads the configuration opened it.
#[derive(Clone)]
pub enum Server {
    /// One server.
    One(Box<Client>),
    /// Nodes of a cluster.
    Cluster(Box<ClusterClient>),
    /// Sentinels, which are asked for the master whenever a connection is opened.
    Sentinels(Arc<AsyncMutex<SentinelClient>>),
}

/// One connection. Clones share it.
#[derive(Clone)]
pub(crate) enum Line {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// The connections. What one runtime asks another one to send wakes that one, and is woken by it: so each has its own.
pub(crate) struct Lines {
    server: Server,
    own: Arc<Mutex<Vec<(Id, Opening)>>>,
    tasks: TaskTracker,
}

/// A connection that is open, or will be, or cannot be.
type Opening = watch::Receiver<Option<RedisResult<Line>>>;

// === impl Lines ===

impl Lines {
    pub(crate) fn new(server: Server) -> Self {
        Self { server, own: Arc::default(), tasks: TaskTracker::new() }
    }

    /// That of the runtime that asks. It is opened beside, so that a call that gives up waiting does not give it up.
    pub(crate) async fn here(&self) -> RedisResult<Line> {
        let mut opening = self.opening();
        let open = opening.wait_for(Option::is_some).await.ok().and_then(|open| open.clone());
        open.unwrap_or_else(|| Err(RedisError::from((ErrorKind::Io, "no connection"))))
    }

    /// Lets go of all: what failed once is opened anew.
    pub(crate) fn drop_all(&self) {
        self.own.lock().clear();
    }

    fn opening(&self) -> Opening {
        let runtime = Handle::current();
        let mut own = self.own.lock();
        if let Some((_, opening)) = own.iter().find(|(id, _)| *id == runtime.id()) {
            return opening.clone();
        }
        let (opened, opening) = watch::channel(None);
        own.push((runtime.id(), opening.clone()));
        let (server, all) = (self.server.clone(), Arc::clone(&self.own));
        self.tasks.spawn_on(
            async move {
                let open = server.open().await;
                if open.is_err() {
                    // Those who wait hear that nothing comes, and the next one tries again.
                    all.lock().retain(|(_, opening)| !opening.same_channel(&opened.subscribe()));
                }
                opened.send_replace(Some(open));
            },
            &runtime,
        );
        opening
    }
}

// === impl Server ===

impl Server {
    /// Whether it answers within `patience`, asked on a connection of its own; else why not, in words.
    pub async fn try_out(&self, patience: Duration) -> Result<(), String> {
        let answer = async { self.open().await?.ask::<Value>(&redis::cmd("PING")).await };
        match timeout(patience, answer).await {
            Ok(answer) => answer.map(drop).map_err(|err| err.to_string()),
            Err(_) => Err(format!("no answer in {} s", patience.as_secs())),
        }
    }

    async fn open(&self) -> RedisResult<Line> {
        match self {
            Self::One(client) => one(client).await,
            Self::Sentinels(sentinels) => {
                let master = sentinels.lock().await.async_get_client().await?;
                one(&master).await
            }
            Self::Cluster(client) => client.get_async_connection().await.map(Line::Cluster),
        }
    }
}

/// One server's connection.
async fn one(client: &Client) -> RedisResult<Line> {
    // Deadlines are ours.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&config).await.map(Line::One)
}

// === impl Line ===

impl Line {
    /// Asks for one thing.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        match self.clone() {
            Self::One(mut line) => command.query_async(&mut line).await,
            Self::Cluster(mut line) => command.query_async(&mut line).await,
        }
    }

    /// Asks for several that are done all or not at all; a cluster takes them where their keys are of one slot.
    pub(crate) async fn ask_as_one(&self, commands: &Pipeline) -> RedisResult<()> {
        match self.clone() {
            Self::One(mut line) => {
                // With what is said of each before they are done together: there it stands why they are not.
                let answers = line.send_packed_commands(commands, 0, commands.len() + 2).await?;
                answers.into_iter().try_for_each(|answer| answer.extract_error().map(drop))
            }
            Self::Cluster(mut line) => commands.query_async(&mut line).await,
        }
    }

    /// Asks for several at once.
    pub(crate) async fn ask_all<T: FromRedisValue>(&self, commands: &Pipeline) -> RedisResult<Vec<T>> {
        let answers = match self.clone() {
            Self::One(mut line) => line.send_packed_commands(commands, 0, commands.len()).await?,
            // Their keys are on different nodes, and a cluster takes only those of one slot together.
            Self::Cluster(line) => {
                let each = commands.cmd_iter().map(|command| {
                    let mut line = line.clone();
                    async move { command.query_async::<Value>(&mut line).await }
                });
                join_all(each).await.into_iter().collect::<RedisResult<_>>()?
            }
        };
        answers.into_iter().map(|answer| Ok(T::from_redis_value(answer.extract_error()?)?)).collect()
    }
}
