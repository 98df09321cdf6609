//! Room for large events: few are gathered at a time, so that no upstream fills the memory.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// An event of which more is held needs room.
const LARGE: usize = 256 << 10;

/// Room for the large events of one stream, asked for when it meets one.
pub(crate) struct Room {
    places: Arc<Semaphore>,
    place: Option<OwnedSemaphorePermit>,
    asked: Option<Asked>,
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
        if self.place.is_none() {
            let places = &self.places;
            let asked = self.asked.get_or_insert_with(|| Box::pin(places.clone().acquire_owned()));
            // It is never closed.
            self.place = ready!(asked.as_mut().poll(cx)).ok();
            self.asked = None;
        }
        Poll::Ready(())
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
        assert!(first.poll(0, &mut cx).is_ready(), "its event is over");
        assert!(second.poll(2 * LARGE, &mut cx).is_ready());
        drop(second);
        assert!(first.poll(2 * LARGE, &mut cx).is_ready(), "a stream that is dropped gives its room back");
    }
}
