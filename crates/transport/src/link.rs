//! The waker of one connection: whoever holds the connection is woken, and nobody wakes himself.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// A task waits: a wake-up is passed on to it.
const WAITING: u8 = 0;
/// Nobody waits, or the connection is being polled: a wake-up is only noted.
const QUIET: u8 = 1;
/// A wake-up was noted.
const NOTED: u8 = 2;

/// The waker of one connection.
///
/// Connection, response future and body are polled by one task, and each wakes the others through their channels: with
/// the task's own waker every such hand-over would schedule the task once more for nothing.
#[derive(Debug)]
pub(crate) struct Link {
    task: AtomicWaker,
    state: AtomicU8,
    probe: AtomicBool,
    written: AtomicBool,
}

// === impl Link ===

impl Link {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            task: AtomicWaker::new(),
            state: AtomicU8::new(QUIET),
            probe: AtomicBool::new(false),
            written: AtomicBool::new(false),
        })
    }

    /// The task that owns `waker` begins to poll. Answers whether anything was noted since it was last here.
    pub(crate) fn enter(&self, waker: &Waker) -> bool {
        self.task.register(waker);
        self.state.swap(QUIET, Ordering::SeqCst) == NOTED
    }

    /// The connection is about to be polled: what was noted up to now is thereby done.
    pub(crate) fn settle(&self) {
        self.state.store(QUIET, Ordering::SeqCst);
    }

    /// The polling task is about to wait. What was noted meanwhile is passed on.
    pub(crate) fn wait(&self, waker: &Waker) {
        let waits = self.state.compare_exchange(QUIET, WAITING, Ordering::SeqCst, Ordering::SeqCst);
        if waits.is_err() {
            waker.wake_by_ref();
        }
    }

    /// Nobody holds the connection any more: forgets the task, so that an idle connection keeps no memory of it.
    pub(crate) fn rest(&self) {
        self.state.store(QUIET, Ordering::SeqCst);
        drop(self.task.take());
    }

    /// Asks the next read to look into the socket itself.
    pub(crate) fn ask_probe(&self) {
        self.probe.store(true, Ordering::Relaxed);
    }

    /// Whether this read was asked to.
    pub(crate) fn take_probe(&self) -> bool {
        self.probe.load(Ordering::Relaxed) && self.probe.swap(false, Ordering::Relaxed)
    }

    /// A request begins, of which nothing is written yet.
    pub(crate) fn forget_writes(&self) {
        self.written.store(false, Ordering::Relaxed);
    }

    /// Takes note of a write, if anything came of it.
    pub(crate) fn note_write(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.written.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the peer may have seen any of the request.
    pub(crate) fn has_written(&self) -> bool {
        self.written.load(Ordering::Relaxed)
    }
}

impl Wake for Link {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(NOTED, Ordering::SeqCst) == WAITING {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn linked() -> (Arc<Link>, Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Link::new(), count.clone(), Waker::from(count))
    }

    #[test]
    fn a_wake_up_while_polling_is_passed_on_only_when_the_task_waits() {
        let (link, count, waker) = linked();
        link.enter(&waker);
        Waker::from(link.clone()).wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        link.wait(&waker);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_waiting_task_is_woken_once() {
        let (link, count, waker) = linked();
        link.enter(&waker);
        link.wait(&waker);
        Waker::from(link.clone()).wake();
        Waker::from(link.clone()).wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_resting_connection_wakes_nobody() {
        let (link, count, waker) = linked();
        link.enter(&waker);
        link.rest();
        Waker::from(link.clone()).wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
    }
}
