//! Calls on their way, so that identical ones share one.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gatewright_core::frames::Sharing;
use gatewright_core::{Call, Error, ErrorKind, Retry};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::entry::{Entry, EntryHead};
use crate::key::Key;

/// Calls on their way. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Flights(Arc<Mutex<HashMap<FlightName, Arc<Flight>>>>);

/// What calls must have in common to share one. More than the answer's key: those who share it share its fate too.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct FlightName {
    key: Key,
    output_cap: Option<u64>,
    timeouts: [Option<Duration>; 2],
    num_retries: Option<u32>,
}

/// One call on its way, and all who wait for it.
type Flight = watch::Sender<Stand>;

/// How a flight stands.
#[derive(Clone)]
enum Stand {
    /// One of them asks.
    Away,
    /// Nobody asks any more, and so many have failed: the first to see it asks next.
    Vacant(u32),
    /// There is something for all.
    Landed(Landing),
}

/// What all get.
#[derive(Clone)]
pub(crate) enum Landing {
    /// The answer is whole.
    Whole(Arc<Entry>),
    /// The answer is a stream, which can be joined.
    Streams(EntryHead, Sharing),
    /// It failed.
    Failed(Error),
}

/// What a call does next.
pub(crate) enum Seat {
    /// It asks, for all.
    Lead(Arc<Lead>),
    /// It waits for the one that asks.
    Follow(Follower),
}

/// The one that asks. When it is dropped before there is something for all, the next one asks.
pub(crate) struct Lead {
    at: Place,
    /// How many that asked before it failed.
    failed: u32,
    /// Whether there was something for all, or the flight is over.
    landed: AtomicBool,
}

/// One that waits.
pub(crate) struct Follower {
    at: Place,
    news: watch::Receiver<Stand>,
}

/// A flight, and where it is known.
#[derive(Clone)]
struct Place {
    flights: Flights,
    name: FlightName,
    flight: Arc<Flight>,
}

/// How many of those that ask may fail before all fail with them.
const PATIENCE: u32 = 2;

// === impl FlightName ===

impl FlightName {
    pub(crate) fn of(call: &Call, key: &Key) -> Self {
        let controls = &call.controls;
        Self {
            key: key.clone(),
            output_cap: call.output_cap,
            timeouts: [controls.timeout, controls.stream_timeout],
            num_retries: controls.num_retries,
        }
    }
}

// === impl Flights ===

impl Flights {
    /// A seat in the flight of this name; it begins with this call where there is none.
    pub(crate) fn board(&self, name: &FlightName) -> Seat {
        let mut known = self.0.lock();
        let at = |flight: &Arc<Flight>| Place {
            flights: self.clone(),
            name: name.clone(),
            flight: Arc::clone(flight),
        };
        match known.entry(name.clone()) {
            // Under the lock, so that a flight that nobody waits for can be told from one that is about to be joined.
            Slot::Occupied(slot) => {
                Seat::Follow(Follower { at: at(slot.get()), news: slot.get().subscribe() })
            }
            Slot::Vacant(slot) => {
                let flight = slot.insert(Arc::new(watch::Sender::new(Stand::Away)));
                Seat::Lead(Lead::of(at(flight), 0))
            }
        }
    }
}

// === impl Lead ===

impl Lead {
    fn of(at: Place, failed: u32) -> Arc<Self> {
        Arc::new(Self { at, failed, landed: AtomicBool::new(false) })
    }

    /// There is something for all, as long as the flight lasts. What they have already stays.
    pub(crate) fn land(&self, landing: Landing) {
        if !self.landed.swap(true, Ordering::Relaxed) {
            self.at.flight.send_replace(Stand::Landed(landing));
        }
    }

    /// The flight is over: who comes now begins another one. Where there was nothing for all, the next one asks.
    pub(crate) fn end(&self) {
        match self.landed.swap(true, Ordering::Relaxed) {
            true => self.at.forget(),
            false => self.at.vacate(self.failed),
        }
    }

    /// It failed. What may pass is tried once more for all; what is the caller's own says nothing to others.
    pub(crate) fn fail(&self, err: &Error) {
        self.landed.store(true, Ordering::Relaxed);
        let own = is_own(err);
        let failed = self.failed + u32::from(!own);
        if !own && (failed >= PATIENCE || err.kind().retry() == Retry::Never) {
            self.at.forget();
            self.at.flight.send_replace(Stand::Landed(Landing::Failed(err.clone())));
        } else {
            self.at.vacate(failed);
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if !self.landed.load(Ordering::Relaxed) {
            self.at.vacate(self.failed);
        }
    }
}

// === impl Follower ===

impl Follower {
    /// What there is for all; or its turn to ask.
    pub(crate) async fn wait(mut self) -> Result<Landing, Arc<Lead>> {
        loop {
            let stand = self.news.wait_for(|stand| !matches!(stand, Stand::Away)).await;
            match stand.map(|stand| stand.clone()) {
                Ok(Stand::Landed(landing)) => return Ok(landing),
                Ok(Stand::Vacant(failed)) => {
                    if self.at.take() {
                        return Err(Lead::of(self.at.clone(), failed));
                    }
                }
                // The flight is held here, so its news do not end.
                Ok(Stand::Away) | Err(_) => {}
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut known = self.at.flights.0.lock();
        // The last one leaves a flight that nobody would ever take up.
        let vacant = matches!(*self.at.flight.borrow(), Stand::Vacant(_));
        if vacant && self.at.flight.receiver_count() == 1 {
            self.at.forget_in(&mut known);
        }
    }
}

// === impl Place ===

impl Place {
    /// Nobody asks: one of those who wait does next. Where nobody waits, the flight is over.
    fn vacate(&self, failed: u32) {
        let mut known = self.flights.0.lock();
        match self.flight.receiver_count() {
            0 => self.forget_in(&mut known),
            _ => drop(self.flight.send_replace(Stand::Vacant(failed))),
        }
    }

    /// Whether this one is the first to see that nobody asks.
    fn take(&self) -> bool {
        self.flight.send_if_modified(|stand| {
            let vacant = matches!(stand, Stand::Vacant(_));
            if vacant {
                *stand = Stand::Away;
            }
            vacant
        })
    }

    fn forget(&self) {
        self.forget_in(&mut self.flights.0.lock());
    }

    /// Another flight of the name may have begun since.
    fn forget_in(&self, known: &mut HashMap<FlightName, Arc<Flight>>) {
        if known.get(&self.name).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight)) {
            known.remove(&self.name);
        }
    }
}

fn is_own(err: &Error) -> bool {
    matches!(err.kind(), ErrorKind::BudgetExceeded | ErrorKind::ClientGone)
}
