//! The door: so many calls at the same time, so many that wait for a place, and no more.
//!
//! How many are inside and how many wait is one number, so that a free door costs a step and nobody can miss the place that
//! another one leaves. What waits stands in lines behind a lock, which only a full door is locked with.

mod room;
pub(crate) use room::look_after;
mod waiting;
pub(crate) use waiting::{BegunBody, enter};

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gatewright_core::{Error, ErrorKind, Line, Spot, Tenant};
use room::Room;
use tokio::sync::oneshot;

/// How many calls there are at the same time, and what becomes of more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Calls at the same time, a stream until its end.
    pub calls: u32,
    /// Calls that wait for a place; further ones are refused at once.
    pub waiting: usize,
    /// How long each of them waits before it is refused.
    pub patience: Duration,
    /// Fewer are let in while a worker is later than this to what it has to do; zero, where that does not matter.
    pub bearable: Duration,
}

/// What goes on at the door.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DoorFigures {
    /// Calls that are inside.
    pub inside: u64,
    /// Calls that there are places for, while the cores are no less busy.
    pub places: u64,
    /// Calls that wait.
    pub waiting: u64,
    /// Calls that had to wait and were let in.
    pub waited: u64,
    /// Calls that found no room to wait.
    pub full: u64,
    /// Calls that made room for another tenant's.
    pub displaced: u64,
    /// Calls that waited in vain.
    pub late: u64,
}

/// What every call comes through.
pub(crate) struct Door {
    patience: Duration,
    room: Room,
    /// Calls inside in the lower half, those that wait in the upper.
    state: AtomicU64,
    /// How many may wait.
    most: usize,
    line: Mutex<Line<oneshot::Sender<Place>>>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    waited: AtomicU64,
    full: AtomicU64,
    displaced: AtomicU64,
    late: AtomicU64,
}

/// A call's place inside. Dropped, it goes to whoever waits.
pub(crate) struct Place(Arc<Door>);

/// Why a call was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// There was no room to wait.
    Full,
    /// It made room for another tenant's.
    Displaced,
    /// It waited in vain.
    Late,
}

/// One call that waits.
const WAITING: u64 = 1 << 32;

/// When a client may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

// === impl Admission ===

impl Default for Admission {
    /// More than anybody uses a process for, and less than it dies of.
    fn default() -> Self {
        Self {
            calls: 4_096,
            waiting: 1_024,
            patience: Duration::from_secs(1),
            bearable: Duration::from_millis(20),
        }
    }
}

// === impl Door ===

impl Door {
    pub(crate) fn new(settings: Admission) -> Self {
        let room = Room::new(settings.calls, settings.bearable);
        let (patience, most) = (settings.patience, settings.waiting);
        let (state, line, counts) = Default::default();
        Self { patience, room, state, most, line, counts }
    }

    pub(crate) fn figures(&self) -> DoorFigures {
        let state = self.state.load(Ordering::Relaxed);
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        DoorFigures {
            inside: inside(state),
            places: self.room.places(),
            waiting: state / WAITING,
            waited: count(&self.counts.waited),
            full: count(&self.counts.full),
            displaced: count(&self.counts.displaced),
            late: count(&self.counts.late),
        }
    }

    /// A place, where one is free and nobody waits for it.
    fn try_enter(self: &Arc<Self>) -> Option<Place> {
        self.step(|state| (state < self.room.places()).then_some(state + 1))
    }

    /// Stands in line, and lets in whoever is to come in.
    fn join(self: &Arc<Self>, tenant: Tenant, call: oneshot::Sender<Place>) -> Result<Spot, Refusal> {
        let (spot, displaced) = {
            let mut line = self.line();
            // All are alike here: no body was read that says which is more urgent.
            let joined = line.join((0, tenant), self.most, call).ok_or(Refusal::Full)?;
            if joined.1.is_none() {
                self.state.fetch_add(WAITING, Ordering::AcqRel);
            }
            joined
        };
        drop(displaced);
        self.let_in();
        Ok(spot)
    }

    /// Stands in line no longer, if it still does.
    fn leave(&self, spot: &Spot) {
        let mut line = self.line();
        if line.leave(spot, false).is_some() {
            self.state.fetch_sub(WAITING, Ordering::AcqRel);
        }
    }

    /// Lets in as many of those that wait as there are places for.
    fn let_in(self: &Arc<Self>) {
        while let Some((call, place)) = self.next() {
            // Where it has just left, the place comes back and goes to the next one.
            let _ = call.send(place);
        }
    }

    fn next(self: &Arc<Self>) -> Option<(oneshot::Sender<Place>, Place)> {
        let mut line = self.line();
        if line.is_empty() {
            return None;
        }
        let places = self.room.places();
        let place = self.step(|state| (inside(state) < places).then_some(state + 1 - WAITING))?;
        // Its place in the line is given up above, under the same lock.
        line.serve().map(|call| (call, place))
    }

    fn step(self: &Arc<Self>, next: impl Fn(u64) -> Option<u64>) -> Option<Place> {
        let stepped = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        stepped.ok().map(|_| Place(self.clone()))
    }

    fn refuse(&self, refusal: Refusal) -> Error {
        let (count, words) = match refusal {
            Refusal::Full => (&self.counts.full, "the gateway has no room for more calls"),
            Refusal::Displaced => (&self.counts.displaced, "the gateway has no room for more of your calls"),
            Refusal::Late => (&self.counts.late, "the gateway had no place for the call in time"),
        };
        count.fetch_add(1, Ordering::Relaxed);
        Error::new(ErrorKind::Unavailable, words).with_retry_after(RETRY_AFTER)
    }

    fn line(&self) -> MutexGuard<'_, Line<oneshot::Sender<Place>>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn inside(state: u64) -> u64 {
    state % WAITING
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        let before = self.0.state.fetch_sub(1, Ordering::AcqRel);
        if before >= WAITING {
            self.0.let_in();
        }
    }
}
