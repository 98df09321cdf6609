//! Calls on their way, so that identical ones share one.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

use gatewright_core::frames::Sharing;
use gatewright_core::{Call, Error};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::entry::{Entry, EntryHead};
use crate::key::Key;

/// Calls on their way.
#[derive(Clone, Default)]
pub(crate) struct Flights(Arc<Mutex<HashMap<FlightName, watch::Receiver<Landing>>>>);

/// What calls must have in common to share one. More than the answer's key: those who share it share its fate too.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct FlightName {
    key: Key,
    output_cap: Option<u64>,
    timeouts: [Option<std::time::Duration>; 2],
    num_retries: Option<u32>,
}

/// Where a call takes its answer from.
pub(crate) enum Seat {
    /// It asks for all.
    Lead(Arc<Lead>),
    /// Another one asks.
    Follow(watch::Receiver<Landing>),
}

/// The one that asks. When it is dropped without a landing, the next one in line asks.
pub(crate) struct Lead {
    flights: Flights,
    name: FlightName,
    landing: watch::Sender<Landing>,
}

/// How a flight stands.
#[derive(Clone)]
pub(crate) enum Landing {
    /// Nothing is known yet.
    Away,
    /// The answer is whole.
    Whole(Arc<Entry>),
    /// The answer is a stream, which can be joined.
    Streams(EntryHead, Sharing),
    /// It failed.
    Failed(Error),
}

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
    pub(crate) fn board(&self, name: FlightName) -> Seat {
        match self.0.lock().entry(name) {
            Slot::Occupied(flight) => Seat::Follow(flight.get().clone()),
            Slot::Vacant(slot) => {
                let (landing, followers) = watch::channel(Landing::Away);
                let name = slot.key().clone();
                slot.insert(followers);
                Seat::Lead(Arc::new(Lead { flights: self.clone(), name, landing }))
            }
        }
    }
}

// === impl Lead ===

impl Lead {
    /// Tells those who follow, now and as long as the flight lasts.
    pub(crate) fn tell(&self, landing: Landing) {
        self.landing.send_replace(landing);
    }

    /// The flight is over: who comes now begins another one.
    pub(crate) fn end(&self) {
        self.flights.0.lock().remove(&self.name);
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        // Another flight of the name may have begun since this one ended.
        let mut flights = self.flights.0.lock();
        let own = |followers: &watch::Receiver<Landing>| followers.same_channel(&self.landing.subscribe());
        if flights.get(&self.name).is_some_and(own) {
            flights.remove(&self.name);
        }
    }
}
