//! Counts that several replicas share, in Redis.

mod admission;
mod aside;
mod gate;
mod hold;
mod keeper;
mod link;
mod ours;
mod question;
mod rates;
mod server;
mod up;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gatewright_core::{Clock, Error, ErrorKind, Money};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::budget::Mode;
use crate::counters::{Counters, Grant, Refused, Reset, Used};
use crate::local::Local;
use crate::need::Need;
use crate::rule::{Rule, nano};
use crate::shard::{Key, Name, tagged};
pub use hold::SharedHold;
use link::Link;
pub use link::Place;
use ours::Books;
use up::Up;

/// How counts are shared.
#[derive(Clone, Debug)]
pub struct SharedSettings {
    /// What all keys in Redis begin with.
    pub namespace: String,
    /// This replica's name. One that is started again under the same name takes over what it held before.
    pub replica: String,
    /// How long an answer of Redis is waited for.
    pub deadline: Duration,
    /// What a replica holds comes back when it was not heard of for so long.
    pub lease: Duration,
    /// Refuses calls with limits of rates while Redis is away, in place of counting them in this process.
    pub fail_closed: bool,
    /// How much a budget holds for a call.
    pub mode: Mode,
}

/// Counts that several replicas share, in Redis: one round trip a call.
///
/// While Redis is away each replica lets in its share of rates, and money is spent only from what it has in reserve.
pub struct Shared(Arc<Replica>);

/// One replica among those that share the counts.
struct Replica {
    settings: SharedSettings,
    link: Link,
    books: Mutex<Books>,
    /// Rates while Redis is away.
    local: Local,
    /// There is something to tell.
    news: Notify,
    tasks: TaskTracker,
    stop: CancellationToken,
    clock: Arc<dyn Clock>,
    lives: AtomicU64,
    /// How many share the counts, as far as is known.
    replicas: AtomicU64,
}

/// How sharing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// Whether Redis answers.
    pub connected: bool,
    /// How often it did not answer any more.
    pub losses: u64,
    /// How many replicas it heard of.
    pub replicas: u64,
}

// === impl SharedSettings ===

impl Default for SharedSettings {
    fn default() -> Self {
        Self {
            namespace: "gatewright".to_owned(),
            replica: String::new(),
            deadline: Duration::from_secs(1),
            lease: Duration::from_secs(60),
            fail_closed: false,
            mode: Mode::Strict,
        }
    }
}

// === impl Shared ===

impl Shared {
    /// Begins to share counts through the server that is found at the first of these addresses that answers; where that
    /// is a node of a cluster, through the node of it that keeps them, and where it is a sentinel, through its master. Whether one answers already does not matter.
    pub fn start(
        places: impl IntoIterator<Item: Into<Place>>,
        settings: SharedSettings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let settings = SharedSettings { namespace: tagged(&settings.namespace), ..settings };
        let replica = Arc::new(Replica {
            link: Link::new(places.into_iter().map(Into::into).collect(), &settings),
            books: Mutex::default(),
            local: Local::new(Arc::clone(&clock)),
            news: Notify::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            lives: AtomicU64::new(0),
            replicas: AtomicU64::new(1),
            settings,
            clock,
        });
        replica.tasks.spawn(keeper::run(Arc::clone(&replica)));
        Self(replica)
    }

    /// How it goes.
    pub fn sharing(&self) -> Sharing {
        let Replica { link, replicas, .. } = &*self.0;
        let (connected, losses) = (link.up().is_some(), link.losses());
        Sharing { connected, losses, replicas: replicas.load(Ordering::Relaxed) }
    }

    /// What Redis answers to commands about something else that replicas share, each for itself; nothing while it is away.
    /// Their keys are those that [`Shared::key`] makes.
    pub async fn ask(&self, commands: &redis::Pipeline) -> Option<Vec<redis::Value>> {
        let up = self.0.link.up()?;
        self.0.link.ask_all(&up, commands).await
    }

    /// The key of something else that replicas share: in the slot of the counts, and never the key of one.
    pub fn key(&self, name: &str) -> String {
        format!("{}:beside:{name}", self.0.settings.namespace)
    }

    /// This replica's name.
    pub fn replica(&self) -> &str {
        &self.0.settings.replica
    }

    /// Tells Redis what is left to tell, and gives the reserves back.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl Counters for Shared {
    type Hold = SharedHold;

    async fn hold(
        &self,
        rules: &[Rule],
        need: &Need,
        wait: Duration,
    ) -> Result<(SharedHold, Grant), Refused> {
        self.0.admit(rules, need, wait).await
    }

    async fn fit(
        &self,
        hold: &SharedHold,
        rules: &[Rule],
        need: &Need,
        spent: Money,
    ) -> Result<u64, Refused> {
        self.0.fit(&hold.0, rules, need, nano(spent)).await
    }

    fn settle(&self, hold: &SharedHold, used: Used) {
        hold.0.end(Some(used));
    }

    fn reset(&self, reset: Reset) {
        self.0.books.lock().resets.push(reset);
        self.0.news.notify_one();
    }
}

// === impl Replica ===

impl Replica {
    /// The contact with Redis for a call, unless it is away. Of the calls of a runtime the first has a connection opened
    /// that those behind it use.
    fn up(self: &Arc<Self>) -> Option<Arc<Up>> {
        let up = self.link.up()?;
        if up.is_new_here() {
            self.tasks.spawn(keeper::keep_line(Arc::clone(self), Arc::clone(&up)));
        }
        Some(up)
    }

    /// A number that is higher than all that this replica used before, also in earlier processes.
    fn new_life(&self) -> u64 {
        let since = self.clock.wall().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        self.lives.fetch_max(now, Ordering::Relaxed);
        self.lives.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn name<'a>(&'a self, key: &'a Key) -> Name<'a> {
        key.name(&self.settings.namespace)
    }

    fn index<'a>(&'a self, key: &'a Key) -> Name<'a> {
        key.index(&self.settings.namespace)
    }
}

/// No count says whether this call may be let in.
fn away() -> Refused {
    let words = "The gateway cannot tell now whether this call is within its limits. Try again shortly.";
    let err = Error::new(ErrorKind::Unavailable, words).with_detail("redis does not answer");
    Refused::Away(err.with_retry_after(Duration::from_secs(1)))
}
