//! Calls that are asked once more elsewhere, in the background, for whoever compares models.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use gatewright_core::{Call, CallService, Result, Shared};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use crate::trip::{Aides, Trip};
use crate::{Dice, Table};

/// The mirrored calls on their way. Clones share them.
#[derive(Clone, Default)]
pub struct Mirrors(Arc<Kept>);

/// How mirrored calls do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MirrorCounts {
    /// Those that are on their way.
    pub running: u64,
    /// Those that were answered to the end.
    pub answered: u64,
    /// Those that were not.
    pub failed: u64,
    /// Those that were not begun because too many were on their way.
    pub dropped: u64,
}

#[derive(Default)]
struct Kept {
    tasks: TaskTracker,
    stop: CancellationToken,
    running: AtomicUsize,
    answered: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

/// Where mirrored calls are answered. It has the service below the router for itself: they outlive the calls.
#[derive(Clone)]
pub(crate) struct Mirroring {
    mirrors: Mirrors,
    below: Arc<dyn Below>,
}

/// What a mirrored call is routed with.
pub(crate) struct Means {
    pub(crate) table: Arc<Table>,
    pub(crate) dice: Arc<dyn Dice>,
}

/// A service that answers attempts, whichever it is.
trait Below: Send + Sync {
    fn ask(self: Arc<Self>, means: Means, call: Call) -> Pin<Box<dyn Future<Output = Result<()>> + Send>>;
}

/// One of those that are on their way.
struct Running(Mirrors);

// === impl Mirrors ===

impl Mirrors {
    /// How they do.
    pub fn counts(&self) -> MirrorCounts {
        let Kept { running, answered, failed, dropped, .. } = &*self.0;
        MirrorCounts {
            running: running.load(Relaxed) as u64,
            answered: answered.load(Relaxed),
            failed: failed.load(Relaxed),
            dropped: dropped.load(Relaxed),
        }
    }

    /// Ends those that are on their way, and begins no more.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// A place among `most`; `None` where there is none, which is counted.
    fn admit(&self, most: usize) -> Option<Running> {
        let free = |running: usize| (running < most).then_some(running + 1);
        let admitted =
            !self.0.stop.is_cancelled() && self.0.running.fetch_update(Relaxed, Relaxed, free).is_ok();
        if !admitted {
            self.0.dropped.fetch_add(1, Relaxed);
        }
        admitted.then(|| Running(self.clone()))
    }
}

// === impl Mirroring ===

impl Mirroring {
    pub(crate) fn new<S: CallService>(mirrors: Mirrors, below: Shared<S>) -> Self {
        Self { mirrors, below: Arc::new(below) }
    }

    /// Asks `model` the same in the background, where not too many are asked already.
    pub(crate) fn begin(&self, call: &Call, model: &Arc<str>, means: impl FnOnce() -> Means) {
        let means = means();
        let Some(running) = self.mirrors.admit(means.table.settings.max_mirrors) else {
            debug!(%model, "too many calls are mirrored; this one is not");
            return;
        };
        let Kept { tasks, stop, .. } = &*self.mirrors.0;
        let asked = self.below.clone().ask(means, call.mirrored(model.clone()));
        let model = model.clone();
        tasks.spawn(stop.clone().run_until_cancelled_owned(async move {
            let result = asked.await;
            if let Err(err) = &result {
                debug!(%model, kind = ?err.kind(), "a mirrored call failed");
            }
            running.ended(result.is_ok());
        }));
    }
}

// === impl Below ===

impl<S: CallService> Below for Shared<S> {
    fn ask(self: Arc<Self>, means: Means, call: Call) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(async move {
            let (mut trip, route) = Trip::plan(means.table, call)?;
            let aides = Aides { dice: &*means.dice, mirror: None };
            let mut frames = trip.run(route, &*self, aides).await?.frames;
            while let Some(frame) = frames.next().await {
                frame?;
            }
            Ok(())
        })
    }
}

// === impl Running ===

impl Running {
    fn ended(self, answered: bool) {
        let Kept { answered: whole, failed, .. } = &*self.0.0;
        if answered { whole } else { failed }.fetch_add(1, Relaxed);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.running.fetch_sub(1, Relaxed);
    }
}
