//! One contact with Redis, until it is lost: a connection for each runtime that asks.

use parking_lot::RwLock;
use redis::aio::MultiplexedConnection;
use tokio::runtime::{Handle, Id};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::server::Server;

/// A server that answered so far.
pub(super) struct Up {
    server: Server,
    lines: RwLock<Lines>,
    /// Grows with every loss of contact.
    pub(super) epoch: u64,
    pub(super) since: Instant,
    /// Before this moment of the server, replicas only tell what they know.
    pub(super) ready: i64,
    lost: CancellationToken,
}

/// The connections. What one runtime asks another one to send wakes that one, and is woken by it: so each has its own.
struct Lines {
    /// The one that greeted, which carries whoever has none.
    first: MultiplexedConnection,
    /// By runtime; nothing where it is not open yet.
    own: Vec<(Id, Option<MultiplexedConnection>)>,
}

// === impl Up ===

impl Up {
    /// A server that has greeted on this runtime.
    pub(super) fn new(server: Server, first: MultiplexedConnection, epoch: u64, ready: i64) -> Self {
        let own = vec![(Handle::current().id(), Some(first.clone()))];
        let (lines, lost) = (RwLock::new(Lines { first, own }), CancellationToken::new());
        Self { server, lines, epoch, since: Instant::now(), ready, lost }
    }

    /// That of the runtime that asks.
    pub(super) fn connection(&self) -> MultiplexedConnection {
        let lines = self.lines.read();
        lines.of(Handle::current().id()).cloned().flatten().unwrap_or_else(|| lines.first.clone())
    }

    /// Whether this runtime asks for the first time. Says so once.
    pub(super) fn is_new_here(&self) -> bool {
        let here = Handle::current().id();
        if self.lines.read().of(here).is_some() {
            return false;
        }
        let mut lines = self.lines.write();
        let new = lines.of(here).is_none();
        if new {
            lines.own.push((here, None));
        }
        new
    }

    /// Opens the connection of this runtime.
    pub(super) async fn open_here(&self) -> redis::RedisResult<()> {
        let (here, connection) = (Handle::current().id(), self.server.connect().await?);
        let mut lines = self.lines.write();
        if let Some((_, own)) = lines.own.iter_mut().find(|(id, _)| *id == here) {
            *own = Some(connection);
        }
        Ok(())
    }

    /// Says that it is no contact any more.
    pub(super) fn lose(&self) {
        self.lost.cancel();
    }

    /// Until it is none.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

// === impl Lines ===

impl Lines {
    /// What a runtime has; nothing where it never asked.
    fn of(&self, runtime: Id) -> Option<&Option<MultiplexedConnection>> {
        self.own.iter().find(|(id, _)| *id == runtime).map(|(_, own)| own)
    }
}
