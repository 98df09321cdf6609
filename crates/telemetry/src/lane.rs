//! Whose memory a thread counts in: two that add to the same place wait for each other's caches, and one that is alone there
//! need not lock it.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread::available_parallelism;

use parking_lot::Mutex;

/// There are no more that only one thread is in, and no more for all others: each has its own series in memory.
const MOST: usize = 8;

/// One of each that is asked for, for each lane. Made by the first thread that needs it, so that it lies among what only that
/// thread writes.
pub(crate) struct Lanes<T>(Box<[OnceLock<Arc<T>>]>);

/// The lane of the thread that asks, which takes it nowhere else.
#[derive(Clone, Copy)]
pub(crate) struct Lane {
    place: usize,
    alone: bool,
    of_thread: PhantomData<*const ()>,
}

/// A sum that the threads of one lane add to.
#[derive(Default)]
pub(crate) struct Sum(AtomicU64);

/// How many lanes there are.
struct Counts {
    alone: usize,
    shared: usize,
}

/// What a thread has until it ends.
struct Taken {
    place: usize,
    alone: bool,
}

/// Lanes for one thread that none is in.
static FREE: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// How many lanes there are.
pub(crate) fn count() -> usize {
    let Counts { alone, shared } = counts();
    alone + shared
}

/// Where there is one for each of the threads that answer calls, the others have one together.
fn counts() -> &'static Counts {
    static COUNTS: OnceLock<Counts> = OnceLock::new();
    COUNTS.get_or_init(|| {
        let threads = available_parallelism().map_or(1, usize::from);
        if threads > MOST {
            return Counts { alone: 0, shared: MOST };
        }
        FREE.lock().extend((0..threads).rev());
        Counts { alone: threads, shared: 1 }
    })
}

// === impl Lane ===

impl Lane {
    /// The one of this thread.
    pub(crate) fn own() -> Self {
        thread_local! {
            static OWN: Taken = Taken::new();
        }
        let own = OWN.try_with(|taken| (taken.place, taken.alone));
        // A thread that ends has given its own back.
        let (place, alone) = own.unwrap_or_else(|_| (counts().alone, false));
        Self { place, alone, of_thread: PhantomData }
    }

    /// Its number, below the count of all.
    pub(crate) fn place(self) -> usize {
        self.place
    }
}

// === impl Taken ===

impl Taken {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let Counts { alone, shared } = counts();
        match FREE.lock().pop() {
            Some(place) => Self { place, alone: true },
            None => Self { place: alone + NEXT.fetch_add(1, Relaxed) % shared, alone: false },
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.alone {
            FREE.lock().push(self.place);
        }
    }
}

// === impl Sum ===

impl Sum {
    /// So much more. The lane is the one that the sum is of.
    pub(crate) fn add(&self, lane: Lane, amount: u64) {
        match lane.alone {
            // Nobody else writes here: an addition that locks its place would wait for all that was written before.
            true => self.0.store(self.0.load(Relaxed).wrapping_add(amount), Relaxed),
            false => drop(self.0.fetch_add(amount, Relaxed)),
        }
    }

    /// What was added so far.
    pub(crate) fn total(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

// === impl Lanes ===

impl<T> Lanes<T> {
    pub(crate) fn new() -> Self {
        Self((0..count()).map(|_| OnceLock::new()).collect())
    }

    /// The one of a lane.
    pub(crate) fn of(&self, lane: Lane, make: impl FnOnce() -> T) -> Option<&Arc<T>> {
        self.0.get(lane.place).map(|place| place.get_or_init(|| Arc::new(make())))
    }

    /// All that were made.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(OnceLock::get).map(|one| &**one)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    /// More threads than there are lanes for one, some of which come when others have gone.
    #[test]
    fn nothing_is_lost_however_many_threads_add() {
        const THREADS: u64 = 3 * MOST as u64;
        const TIMES: u64 = 20_000;
        let (sums, together) = (Lanes::<Sum>::new(), Barrier::new(2 * MOST));
        let adds = |together: Option<&Barrier>| {
            together.map(Barrier::wait);
            let lane = Lane::own();
            let sum = sums.of(lane, Sum::default).unwrap();
            (0..TIMES).for_each(|_| sum.add(lane, 3));
            together.map(Barrier::wait);
        };
        thread::scope(|scope| {
            (0..2 * MOST).for_each(|_| drop(scope.spawn(|| adds(Some(&together)))));
            scope.spawn(|| {
                (0..MOST).for_each(|_| drop(thread::scope(|scope| scope.spawn(|| adds(None)).join())))
            });
        });
        assert_eq!(sums.all().map(Sum::total).sum::<u64>(), THREADS * TIMES * 3);
    }
}
