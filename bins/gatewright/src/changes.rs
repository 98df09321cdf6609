//! What administrators change, here or on another replica, told to everybody who remembers something of it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use gatewright_admin::Reload;
use gatewright_store::{Changes, News, Store};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

/// How often the database is asked for changes. A notice of PostgreSQL's would not pass a pooler.
const EVERY: Duration = Duration::from_secs(1);

/// Those that wait for the same answer; further ones wait in line.
const WAITING: usize = 64;

/// Remembers what is in the database, and forgets or reads it anew when it is changed.
pub(crate) trait Follow: Send + Sync + 'static {
    /// Has happened; [`News::Anything`] at the start too. The next news come when this is done. Answers whether it was
    /// taken in: who could not is told of anything the next time.
    fn hear<'a>(&'a self, news: &'a News) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>>;
}

/// The task that follows the changes. Clones are of the same.
#[derive(Clone)]
pub(crate) struct ChangeFeed {
    asks: mpsc::Sender<oneshot::Sender<()>>,
}

/// What the task works with.
struct Feed {
    changes: Changes,
    followers: Vec<Follower>,
    asked: mpsc::Receiver<oneshot::Sender<()>>,
    /// As long as somebody may ask, waiting for it takes time.
    _asks: mpsc::Sender<oneshot::Sender<()>>,
    answers: bool,
}

struct Follower {
    who: Arc<dyn Follow>,
    /// Could not take in what it heard last.
    missed: bool,
}

// === impl ChangeFeed ===

impl ChangeFeed {
    /// Begins to follow, until it is stopped.
    pub(crate) fn start(
        store: &Store,
        followers: Vec<Arc<dyn Follow>>,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let (asks, asked) = mpsc::channel(WAITING);
        let followers = followers.into_iter().map(|who| Follower { who, missed: false }).collect();
        let feed = Feed { changes: store.changes(), followers, asked, _asks: asks.clone(), answers: true };
        tasks.spawn(stop.run_until_cancelled_owned(feed.follow()));
        Self { asks }
    }

    /// Ready when everybody has heard of all that was changed until now, or nothing can be heard for now.
    pub(crate) async fn caught_up(&self) {
        let (ask, answer) = oneshot::channel();
        if self.asks.send(ask).await.is_ok() {
            let _ = answer.await;
        }
    }
}

// === impl Feed ===

impl Feed {
    async fn follow(mut self) {
        // The first news wait for nobody.
        let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
        loop {
            self.tell().await;
            for ask in waiting.drain(..) {
                // Whoever does not wait any more needs no answer.
                let _ = ask.send(());
            }
            if let Ok(Some(ask)) = tokio::time::timeout(EVERY, self.asked.recv()).await {
                waiting.push(ask);
            }
            while let Ok(ask) = self.asked.try_recv() {
                waiting.push(ask);
            }
        }
    }

    async fn tell(&mut self) {
        match self.changes.next().await {
            Ok(news) => {
                self.answers = true;
                if news != News::Changes(Vec::new()) {
                    debug!(?news, "changes");
                }
                for follower in &mut self.followers {
                    follower.hear(&news).await;
                }
            }
            Err(err) => {
                if std::mem::replace(&mut self.answers, false) {
                    warn!(error = %err, "cannot follow changes; they are caught up with later");
                }
            }
        }
    }
}

// === impl Follower ===

impl Follower {
    async fn hear(&mut self, news: &News) {
        let news = if self.missed { &News::Anything } else { news };
        if *news != News::Changes(Vec::new()) {
            self.missed = !self.who.hear(news).await;
        }
    }
}

impl Reload for ChangeFeed {
    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.caught_up())
    }
}
