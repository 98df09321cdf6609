//! The lines of waiting calls, one for each set of deployments that may serve them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use gatewright_core::{Error, Line, Spot, Tenant, Turn};
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::Notify;

use crate::Seen;

/// The lines that stand at one deployment. Calls that other deployments may serve stand in another line, so that none
/// waits behind what is not in its way. It outlives a reload, as all that was seen does.
#[derive(Default)]
pub(crate) struct Lines {
    /// Calls in all lines together.
    waiting: AtomicUsize,
    by_set: Mutex<HashMap<Set, Waiting>>,
}

/// Which deployments may serve a call, each by where it is kept: it is, for as long as a call waits for it.
type Set = SmallVec<[usize; 8]>;

/// Calls that wait for the same deployments.
struct Waiting {
    line: Line<Arc<Notify>>,
    /// Why the last attempt was refused.
    refusal: Error,
}

/// The place of a call in its line. It is given up when this is dropped.
pub(crate) struct Place {
    /// The deployments of the line.
    seen: SmallVec<[Arc<Seen>; 4]>,
    set: Set,
    spot: Spot,
    /// Rings when something changed for this call.
    pub(crate) bell: Arc<Notify>,
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is the one that may try.
    First,
    /// Others are before it.
    Behind,
    /// It yielded to another, or was let in.
    Gone,
}

// === impl Lines ===

impl Lines {
    /// Calls in all lines together.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed) as u64
    }

    /// Why the first one waits, where a newcomer of this priority stands behind somebody.
    pub(crate) fn before<'a>(
        &self,
        seen: impl Iterator<Item = &'a Arc<Seen>>,
        priority: i64,
    ) -> Option<Error> {
        if self.waiting.load(Relaxed) == 0 {
            return None;
        }
        let by_set = self.by_set.lock();
        let waiting = by_set.get(&set(seen))?;
        waiting.line.stands_before(priority).then(|| waiting.refusal.clone())
    }
}

#[cfg(test)]
impl Lines {
    /// Whether nothing is left of those that waited.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting() == 0 && self.by_set.lock().is_empty()
    }
}

// === impl Place ===

impl Place {
    /// Joins the line for these deployments; `None` where it is full.
    pub(crate) fn join(
        seen: SmallVec<[Arc<Seen>; 4]>,
        who: (i64, Tenant),
        length: usize,
        refusal: &Error,
    ) -> Option<Arc<Self>> {
        let (set, bell) = (set(seen.iter()), Arc::new(Notify::new()));
        let lines = &seen.first()?.lines;
        let mut by_set = lines.by_set.lock();
        let fresh = || Waiting { line: Line::default(), refusal: refusal.clone() };
        let waiting = by_set.entry(set.clone()).or_insert_with(fresh);
        let (spot, yielded) = waiting.line.join(who, length, bell.clone())?;
        match yielded {
            Some(yielded) => yielded.notify_one(),
            None => drop(lines.waiting.fetch_add(1, Relaxed)),
        }
        drop(by_set);
        Some(Arc::new(Self { seen, set, spot, bell }))
    }

    pub(crate) fn standing(&self) -> Standing {
        self.with_line(|waiting| match (waiting.line.has(&self.spot), waiting.line.is_head(&self.spot)) {
            (_, true) => Standing::First,
            (true, false) => Standing::Behind,
            (false, false) => Standing::Gone,
        })
        .unwrap_or(Standing::Gone)
    }

    /// Tells why the first one was refused.
    pub(crate) fn refused(&self, err: &Error) {
        self.with_line(|waiting| waiting.refusal = err.clone());
    }

    fn with_line<T>(&self, then: impl FnOnce(&mut Waiting) -> T) -> Option<T> {
        self.seen.first()?.lines.by_set.lock().get_mut(&self.set).map(then)
    }

    /// Leaves the line, if it stands in it, and wakes who is first then.
    fn leave(&self, served: bool) {
        let Some(lines) = self.seen.first().map(|seen| &seen.lines) else { return };
        let mut by_set = lines.by_set.lock();
        let Some(Waiting { line, .. }) = by_set.get_mut(&self.set) else { return };
        let was_first = line.is_head(&self.spot);
        if line.leave(&self.spot, served).is_none() {
            return;
        }
        lines.waiting.fetch_sub(1, Relaxed);
        if let Some(bell) = line.head().filter(|_| was_first) {
            bell.notify_one();
        }
        if line.is_empty() {
            by_set.remove(&self.set);
        }
    }
}

impl Turn for Place {
    fn taken(&self) {
        self.leave(true);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave(false);
    }
}

fn set<'a>(seen: impl Iterator<Item = &'a Arc<Seen>>) -> Set {
    seen.map(|seen| Arc::as_ptr(seen).addr()).collect()
}
