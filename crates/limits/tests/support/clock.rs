//! A clock that stands still until it is moved.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gatewright_core::Clock;

/// A clock that stands still until it is moved.
pub(crate) struct Hands(parking_lot::Mutex<Duration>, Instant);

impl Hands {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Default::default(), Instant::now()))
    }

    pub(crate) fn forward(&self, by: Duration) {
        *self.0.lock() += by;
    }
}

impl Clock for Hands {
    fn now(&self) -> Instant {
        self.1 + *self.0.lock()
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_763_682_622) + *self.0.lock()
    }
}
