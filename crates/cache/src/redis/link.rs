//! The way to a Redis, shared by all that is kept there: its connections, and whether it is asked at all.

use std::sync::Arc;
use std::time::Duration;

use gatewright_core::Clock;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};
use tokio::time::timeout;
use tracing::{info, warn};

use super::line::{Line, Lines, Server};
use crate::breaker::Breaker;

/// The way to a Redis. Clones share its connections and what is known of it: whoever finds it away spares the others the wait.
#[derive(Clone)]
pub struct Link(Arc<Shared>);

struct Shared {
    lines: Lines,
    breaker: Breaker,
    clock: Arc<dyn Clock>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Miss {
    /// It was away a moment ago, and is not asked.
    Resting,
    /// It is away: there is no connection, no answer in time, or it is not what it should be.
    Away(String),
    /// It is there, and does not do this.
    Refused(RedisError),
}

/// One failure is enough: nobody else waits for it.
const MOST_FAILURES: u32 = 1;

/// For so long nobody asks after a failure.
const REST: Duration = Duration::from_secs(1);

// === impl Link ===

impl Link {
    /// Asks nothing yet.
    pub fn new(server: Server, clock: Arc<dyn Clock>) -> Self {
        let breaker = Breaker::new(MOST_FAILURES, REST, clock.now());
        Self(Arc::new(Shared { lines: Lines::new(server), breaker, clock }))
    }

    /// Asks, and waits for no longer than `patience`.
    pub(crate) async fn ask<T>(
        &self,
        patience: Duration,
        ask: impl AsyncFnOnce(Line) -> RedisResult<T>,
    ) -> Result<T, Miss> {
        if !self.0.breaker.lets(self.0.clock.now()) {
            return Err(Miss::Resting);
        }
        let answer = async {
            // Whatever keeps a connection from being opened, nothing can be asked.
            let line = self.0.lines.here().await.map_err(|err| Miss::Away(err.to_string()))?;
            ask(line).await.map_err(Miss::of)
        };
        let told = timeout(patience, answer).await;
        let told = told.unwrap_or_else(|_| Err(Miss::Away("no answer in time".to_owned())));
        match &told {
            Ok(_) | Err(Miss::Refused(_)) => self.answered(),
            Err(miss) => self.failed(miss),
        }
        told
    }

    /// A connection for whoever waits for it in any case.
    pub(super) async fn line(&self) -> RedisResult<Line> {
        self.0.lines.here().await
    }

    fn answered(&self) {
        if self.0.breaker.answered() {
            info!("redis answers again; answers are kept there");
        }
    }

    fn failed(&self, why: &Miss) {
        self.0.lines.drop_all();
        if self.0.breaker.failed(self.0.clock.now()) {
            warn!(error = %why, "redis does not answer; no answers are looked up or kept there meanwhile");
        }
    }
}

// === impl Miss ===

impl Miss {
    fn of(err: RedisError) -> Self {
        match is_away(&err) {
            true => Self::Away(err.to_string()),
            false => Self::Refused(err),
        }
    }
}

impl std::fmt::Display for Miss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Resting => f.write_str("redis is let alone for a moment"),
            Self::Away(why) => f.write_str(why),
            // Only its code and what kind of error it is: the words of a server may repeat what it was sent.
            Self::Refused(err) => write!(f, "{} {}", err.category(), err.code().unwrap_or_default()),
        }
    }
}

/// Whether the server is not there, not ready, or the copy of another one; else it refused this one command. One that was
/// the master before a failover refuses what is to be kept, and is to be left.
fn is_away(err: &RedisError) -> bool {
    let is_lost = err.is_io_error()
        || err.is_connection_dropped()
        || err.is_connection_refusal()
        || err.is_timeout()
        || err.is_unrecoverable_error();
    let is_another = matches!(
        err.kind(),
        ErrorKind::Server(
            ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading
        )
    );
    is_lost || is_another
}
