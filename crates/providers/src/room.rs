//! Room for large events: few are gathered at a time, so that no upstream fills the memory.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// An event of which more is held needs room.
const LARGE: usize = 256 << 10;

/// Room for the large events of one stream, asked for when it meets one.
pub(crate) struct Room {
    places: Arc<Semaphore>,
    place: Option<Place>,
    asked: Option<Asked>,
}

/// Room that an event has.
struct Place {
    _permit: OwnedSemaphorePermit,
    /// How much of the event there was when it last grew, and when that was.
    held: usize,
    grew: Instant,
}

type Asked = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

// === impl Room ===

impl Room {
    pub(crate) fn new(places: Arc<Semaphore>) -> Self {
        Self { places, place: None, asked: None }
    }

    /// Ready when more may be gathered behind the `held` bytes of an event. Each event gets room for all of it or waits,
    /// so that none waits for another that waits too.
    pub(crate) fn poll(&mut self, held: usize, cx: &mut Context<'_>) -> Poll<()> {
        if held <= LARGE {
            self.leave();
            return Poll::Ready(());
        }
        match &mut self.place {
            Some(place) if place.held == held => {}
            Some(place) => (place.held, place.grew) = (held, Instant::now()),
            None => {
                let places = &self.places;
                let asked = self.asked.get_or_insert_with(|| Box::pin(places.clone().acquire_owned()));
                // It is never closed.
                let permit = ready!(asked.as_mut().poll(cx)).ok();
                self.place = permit.map(|permit| Place { _permit: permit, held, grew: Instant::now() });
                self.asked = None;
            }
        }
        Poll::Ready(())
    }

    /// When the event that has room must have grown again, others being kept waiting; `None` where none has any.
    pub(crate) fn until(&self, patience: Duration) -> Option<Instant> {
        self.place.as_ref().map(|place| place.grew + patience)
    }

    /// Gives back what was taken.
    pub(crate) fn leave(&mut self) {
        self.place = None;
        self.asked = None;
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn large_events_wait_for_each_other_and_small_ones_for_nobody() {
        let places = Arc::new(Semaphore::new(1));
        let mut cx = Context::from_waker(Waker::noop());
        let [mut first, mut second] = [(); 2].map(|()| Room::new(places.clone()));
        assert!(first.poll(LARGE, &mut cx).is_ready() && second.poll(LARGE, &mut cx).is_ready());
        assert!(first.poll(LARGE + 1, &mut cx).is_ready());
        assert!(second.poll(LARGE + 1, &mut cx).is_pending());
        assert!(first.poll(2 * LARGE, &mut cx).is_ready() && second.poll(2 * LARGE, &mut cx).is_pending());
        assert!(second.until(Duration::ZERO).is_none(), "who waits is in nobody's way");
        let grew = first.until(Duration::ZERO).unwrap();
        assert!(first.poll(2 * LARGE, &mut cx).is_ready());
        assert_eq!(first.until(Duration::from_secs(1)), Some(grew + Duration::from_secs(1)), "nothing came");
        assert!(first.poll(2 * LARGE + 1, &mut cx).is_ready() && first.until(Duration::ZERO) > Some(grew));
        assert!(
            first.poll(0, &mut cx).is_ready() && first.until(Duration::ZERO).is_none(),
            "its event is over"
        );
        assert!(second.poll(2 * LARGE, &mut cx).is_ready());
        drop(second);
        assert!(first.poll(2 * LARGE, &mut cx).is_ready(), "a stream that is dropped gives its room back");
    }
}
