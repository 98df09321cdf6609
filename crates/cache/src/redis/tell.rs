//! What an administrator asks of the Redis: whether it is there, what is in it, and to forget.

use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{Error, ErrorKind, Result};
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::{Cmd, FromRedisValue, Pipeline, RedisResult, Value};
use tokio::time::timeout;

use super::{Line, PREFIX, Redis, name};

/// Nobody waits behind these.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writing a batch takes longer than one look.
const WRITE: Duration = Duration::from_secs(2);

/// Keys that are looked through in one step.
const STEP: usize = 1000;

/// Forgets what begins with a name, in small steps, so that others get their turn.
const FORGET: &str = "local found = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
for _, key in ipairs(found[2]) do redis.call('UNLINK', key) end
return {found[1], #found[2]}";

/// The same for a node of a cluster, in one go: where one is in its keys says nothing to the others.
const FORGET_NODE: &str = "local at = '0'
repeat
  local found = redis.call('SCAN', at, 'MATCH', ARGV[1], 'COUNT', ARGV[2])
  for _, key in ipairs(found[2]) do redis.call('UNLINK', key) end
  at = found[1]
until at == '0'
return 1";

impl Redis {
    /// Whether it answers.
    pub async fn ping(&self) -> Result<()> {
        let answer: RedisResult<String> = self.patiently(&redis::cmd("PING")).await?;
        answer.map(drop).map_err(|err| away(&err.to_string()))
    }

    /// What it says of itself and of its clients.
    pub async fn info(&self) -> Result<(String, String)> {
        let mut clients = redis::cmd("CLIENT");
        clients.arg("LIST");
        let (info, clients) = (self.patiently(&redis::cmd("INFO")).await?, self.patiently(&clients).await?);
        let text = |said: RedisResult<String>| said.map_err(|err| away(&err.to_string()));
        Ok((text(info)?, text(clients)?))
    }

    /// Forgets what is kept under these keys. Answers how many there were.
    pub async fn forget(&self, keys: &[Arc<str>]) -> Result<u64> {
        let mut all = Pipeline::with_capacity(keys.len());
        for key in keys {
            all.cmd("UNLINK").arg(name(key));
        }
        let line = self.line().await?;
        let forgotten = timeout(PATIENCE, line.ask_all::<u64>(&all)).await;
        let forgotten = forgotten.map_err(|_| away("no answer in time"))?;
        Ok(forgotten.map_err(|err| away(&err.to_string()))?.iter().sum())
    }

    /// Forgets all answers, and nothing else that is kept there.
    pub async fn clear(&self) -> Result<()> {
        match self.line().await? {
            Line::One(_) => {
                let mut cursor = "0".to_owned();
                loop {
                    let answer: RedisResult<(String, u64)> = self.patiently(&forget(&cursor)).await?;
                    cursor = answer.map_err(|err| away(&err.to_string()))?.0;
                    if cursor == "0" {
                        return Ok(());
                    }
                }
            }
            Line::Cluster(mut line) => {
                let mut all = redis::cmd("EVAL");
                all.arg(FORGET_NODE).arg(0).arg(format!("{PREFIX}*")).arg(STEP);
                let nodes = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                let answer = timeout(PATIENCE, line.route_command(all, nodes)).await;
                let answer = answer.map_err(|_| away("no answer in time"))?;
                answer.map(drop).map_err(|err| away(&err.to_string()))
            }
        }
    }

    /// Writes a batch. Whether all of it was taken.
    pub(super) async fn write(&self, batch: &Pipeline) -> bool {
        let written = self.0.link.ask(WRITE, async |line: Line| line.ask_all::<Value>(batch).await).await;
        written.is_ok()
    }

    async fn line(&self) -> Result<Line> {
        let line = timeout(PATIENCE, self.0.link.line()).await.map_err(|_| away("no connection in time"))?;
        line.map_err(|err| away(&err.to_string()))
    }

    async fn patiently<T: FromRedisValue>(&self, command: &Cmd) -> Result<RedisResult<T>> {
        let line = self.line().await?;
        timeout(PATIENCE, line.ask(command)).await.map_err(|_| away("no answer in time"))
    }
}

fn forget(cursor: &str) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(FORGET).arg(0).arg(cursor).arg(format!("{PREFIX}*")).arg(STEP);
    command
}

fn away(why: &str) -> Error {
    Error::new(ErrorKind::Unavailable, "the cache's redis does not answer").with_detail(why)
}
