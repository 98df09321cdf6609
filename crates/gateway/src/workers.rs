//! The threads that answer: one a core, each with a runtime of its own.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};

use hyper::rt::Executor;
use tokio::runtime::{self, Handle, Runtime};
use tokio_util::sync::CancellationToken;

/// Threads that answer for as long as this lives. Whoever holds it must not be one of them.
pub struct WorkerThreads {
    workers: Workers,
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

/// Runtimes that connections are given to. A connection stays with its own: on a runtime of several threads whatever comes
/// from a socket wakes one thread, which wakes a second one to look after the sockets meanwhile.
#[derive(Clone)]
pub struct Workers(Arc<[Worker]>);

struct Worker {
    runtime: Handle,
    /// Connections that it has now.
    connections: AtomicUsize,
}

/// One connection with one worker.
pub(crate) struct Seat {
    workers: Workers,
    number: usize,
}

/// Spreads the requests of an HTTP/2 connection, which may be all that a proxy ever opens.
#[derive(Clone)]
pub(crate) struct Spread {
    workers: Workers,
    next: Arc<AtomicUsize>,
}

// === impl WorkerThreads ===

impl WorkerThreads {
    /// Starts so many.
    pub fn start(count: NonZeroUsize) -> io::Result<Self> {
        let runtime = |_| runtime::Builder::new_current_thread().enable_all().build();
        let runtimes: Vec<Runtime> = (0..count.get()).map(runtime).collect::<io::Result<_>>()?;
        let workers = Workers::of(runtimes.iter().map(|runtime| runtime.handle().clone()).collect());
        // Those that run already end with this, where a later one cannot be started.
        let mut started = Self { workers, stop: CancellationToken::new(), threads: Vec::new() };
        for runtime in runtimes {
            let stopped = started.stop.clone().cancelled_owned();
            let thread = Builder::new().name("worker".into()).spawn(move || runtime.block_on(stopped))?;
            started.threads.push(thread);
        }
        Ok(started)
    }

    /// What connections are given to.
    pub fn workers(&self) -> &Workers {
        &self.workers
    }
}

impl Drop for WorkerThreads {
    fn drop(&mut self) {
        self.stop.cancel();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

// === impl Workers ===

impl Workers {
    /// The runtime of whoever asks.
    pub(crate) fn here() -> Self {
        Self::of(vec![Handle::current()])
    }

    fn of(runtimes: Vec<Handle>) -> Self {
        let worker = |runtime| Worker { runtime, connections: AtomicUsize::new(0) };
        Self(runtimes.into_iter().map(worker).collect())
    }

    /// A place with whoever has the fewest connections.
    pub(crate) fn seat(&self) -> Seat {
        let load = |number: &usize| self.worker(*number).connections.load(Ordering::Relaxed);
        let number = (0..self.0.len()).min_by_key(load).unwrap_or_default();
        self.worker(number).connections.fetch_add(1, Ordering::Relaxed);
        Seat { workers: self.clone(), number }
    }

    /// All of their runtimes.
    pub(crate) fn runtimes(&self) -> impl ExactSizeIterator<Item = &Handle> {
        self.0.iter().map(|worker| &worker.runtime)
    }

    pub(crate) fn spread(&self) -> Spread {
        Spread { workers: self.clone(), next: Arc::default() }
    }

    #[expect(clippy::indexing_slicing, reason = "there is at least one, and nobody counts beyond the last")]
    fn worker(&self, number: usize) -> &Worker {
        &self.0[number % self.0.len()]
    }
}

// === impl Seat ===

impl Seat {
    pub(crate) fn runtime(&self) -> &Handle {
        &self.workers.worker(self.number).runtime
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.workers.worker(self.number).connections.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Spread ===

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Spread {
    fn execute(&self, future: F) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        drop(self.workers.worker(number).runtime.spawn(future));
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn connections_go_to_whoever_has_the_fewest_and_stay_there() {
        let threads = WorkerThreads::start(NonZeroUsize::new(3).unwrap()).unwrap();
        let workers = threads.workers();
        let mut seats: Vec<Seat> = (0..7).map(|_| workers.seat()).collect();
        let numbers: Vec<_> = seats.iter().map(|seat| seat.number).collect();
        assert_eq!(numbers, [0, 1, 2, 0, 1, 2, 0]);
        seats.retain(|seat| seat.number != 1);
        assert_eq!(workers.seat().number, 1);
        let thread_of = |seat: &Seat| {
            let (tell, told) = std::sync::mpsc::channel();
            drop(seat.runtime().spawn(async move { tell.send(thread::current().id()) }));
            told.recv().unwrap()
        };
        let [first, second] = [thread_of(&seats[0]), thread_of(&seats[1])];
        assert!(first != second && first == thread_of(&seats[0]) && first != thread::current().id());
    }

    #[test]
    fn requests_of_one_connection_go_round() {
        let threads = WorkerThreads::start(NonZeroUsize::new(2).unwrap()).unwrap();
        let spread = threads.workers().spread();
        let (tell, told) = std::sync::mpsc::channel();
        for _ in 0..4 {
            let tell = tell.clone();
            spread.execute(async move { tell.send(thread::current().id()).unwrap() });
        }
        let mut ids: Vec<_> = (0..4).map(|_| told.recv().unwrap()).collect();
        ids.sort_by_key(|id| format!("{id:?}"));
        assert!(ids[0] == ids[1] && ids[1] != ids[2] && ids[2] == ids[3], "{ids:?}");
    }
}
