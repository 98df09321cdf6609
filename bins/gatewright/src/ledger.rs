//! The database beside the traffic: entries are shipped to it, old ones removed, and whether it answers is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gatewright_auth::Authenticator;
use gatewright_core::Clock;
use gatewright_gateway::LedgerHealth;
use gatewright_spend::{Journal, Shipper, Shipping, ShippingHealth};
use gatewright_store::Store;
use gatewright_telemetry::LedgerFigures;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::adapters::Seeds;
use crate::changes::{ChangeFeed, Follow};
use crate::seal::SealedKeys;

/// How often the database is asked whether it answers.
const PROBE: Duration = Duration::from_secs(5);

/// Probes between two looks for entries whose time is over.
const PROBES_AN_EXPIRY: u32 = 720;

/// The longest that a starting gateway waits for what the last one left.
const SETTLE_IN: Duration = Duration::from_secs(5);

/// The tasks that work on the database. Calls never wait for them.
pub(crate) struct LiveLedger {
    store: Store,
    tasks: TaskTracker,
    stop: CancellationToken,
    watched: Watched,
    caught_up: watch::Receiver<bool>,
}

/// How the ledger does, for whoever asks.
#[derive(Clone)]
pub(crate) struct Watched {
    connected: Arc<AtomicBool>,
    /// Keys are known from a sealed file, and the database did not answer since.
    recalled: Arc<AtomicBool>,
    shipping: Arc<Mutex<ShippingHealth>>,
}

// === impl LiveLedger ===

impl LiveLedger {
    /// Begins to ship what is in the journal.
    pub(crate) fn start(journal: Journal, store: Store, clock: Arc<dyn Clock>) -> Self {
        let shipper = Shipper::new(journal, store.clone(), Shipping::default(), clock);
        let watched =
            Watched { connected: Arc::default(), recalled: Arc::default(), shipping: shipper.health() };
        let caught_up = shipper.caught_up();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(shipper.run(stop.clone().cancelled_owned()));
        tasks.spawn(stop.clone().run_until_cancelled_owned(keep(store.clone(), watched.clone())));
        Self { store, tasks, stop, watched, caught_up }
    }

    /// How it does, now and later.
    pub(crate) fn watched(&self) -> Watched {
        self.watched.clone()
    }

    /// Tells these of every change in the database, as long as it goes on.
    pub(crate) fn follow(&self, followers: Vec<Arc<dyn Follow>>) -> ChangeFeed {
        ChangeFeed::start(&self.store, followers, &self.tasks, self.stop.clone())
    }

    /// Knows keys from a sealed file, and keeps the file as long as the gateway runs.
    pub(crate) fn seal(&self, sealed: SealedKeys, authenticator: Authenticator) {
        let recalled = sealed.recall(&authenticator);
        self.watched.recalled.store(recalled > 0, Ordering::Relaxed);
        self.tasks.spawn(sealed.keep(authenticator, self.stop.clone()));
    }

    /// Waits until the database has what the last process left in the journal, so that no call is let in against a
    /// balance without it; but not long for a database that is away. Then reads what was spent of the file's budgets,
    /// and does so again from time to time.
    pub(crate) async fn settle_in(&mut self, seeds: Seeds) {
        let ready = async {
            let _ = self.caught_up.wait_for(|done| *done).await;
            seeds.read().await;
        };
        if tokio::time::timeout(SETTLE_IN, ready).await.is_err() {
            warn!(
                "the database does not have all that was spent yet; calls are let in against what is known"
            );
        }
        self.tasks.spawn(self.stop.clone().run_until_cancelled_owned(seeds.keep()));
    }

    /// Lets something else that works on the database run as long as it goes on.
    pub(crate) fn beside(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(self.stop.clone().run_until_cancelled_owned(task));
    }

    /// Ships what is left, in the time that there is for it.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.store.close().await;
    }
}

// === impl Watched ===

impl Watched {
    /// How it does now.
    pub(crate) fn health(&self) -> LedgerHealth {
        let connected = self.connected.load(Ordering::Relaxed);
        let ShippingHealth { backlog, backlog_bytes, oldest, refused, set_aside, .. } = *self.shipping.lock();
        let keys = match self.recalled.load(Ordering::Relaxed) {
            _ if connected => "database",
            true => "sealed file",
            false => "memory",
        };
        LedgerHealth { connected, keys, backlog, backlog_bytes, oldest, refused, set_aside }
    }

    /// The same with what the journal tells, for Prometheus.
    pub(crate) fn figures(&self, journal: &Journal) -> LedgerFigures {
        let (shipping, journal) = (self.shipping.lock().clone(), journal.health());
        LedgerFigures {
            connected: self.connected.load(Ordering::Relaxed),
            backlog: shipping.backlog,
            backlog_bytes: shipping.backlog_bytes,
            oldest_seconds: shipping.oldest.as_secs_f64(),
            shipped: shipping.shipped,
            refused: shipping.refused,
            set_aside: shipping.set_aside,
            damaged: shipping.damaged,
            unjournalled: journal.unjournalled,
            unjournalled_dollars: journal.unjournalled_cost.0 as f64 / 1e9,
            lost: journal.lost,
            sync_failures: journal.sync_failures,
            full: journal.full.is_some(),
            failing: journal.failing.is_some(),
        }
    }
}

/// Asks whether the database answers, and removes old entries now and then.
async fn keep(store: Store, watched: Watched) {
    for probe in 0_u32.. {
        let answer = store.ready().await;
        let was = watched.connected.swap(answer.is_ok(), Ordering::Relaxed);
        watched.recalled.fetch_and(answer.is_err(), Ordering::Relaxed);
        match &answer {
            Ok(()) if !was => info!("the database answers"),
            Err(err) if was || probe == 0 => warn!(error = %err, "the database does not answer; calls go on"),
            Ok(()) | Err(_) => {}
        }
        if answer.is_ok() && probe % PROBES_AN_EXPIRY == 0 {
            match store.expire().await {
                Ok(0) => {}
                Ok(entries) => info!(entries, "removed entries whose time is over"),
                Err(err) => warn!(error = %err, "cannot remove entries whose time is over"),
            }
        }
        tokio::time::sleep(PROBE).await;
    }
}
