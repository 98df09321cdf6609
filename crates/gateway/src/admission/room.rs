//! How many calls are let in while the cores are behind: fewer, until what is inside is answered in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Door;

/// How often a worker's delay is looked at. Of so many looks the least delay counts: one that passes by itself is no reason to
/// keep anybody waiting.
const LOOK: Duration = Duration::from_millis(25);
const LOOKS: u32 = 4;

/// As many calls a worker are always let in: fewer might leave it without work.
const LEAST_A_WORKER: u32 = 32;

/// Places that there are for now, within what is configured.
pub(super) struct Room {
    most: u32,
    /// The longest delay of a worker that nobody is kept waiting for; zero, where delays do not matter.
    bearable: Duration,
    places: AtomicU32,
}

// === impl Room ===

impl Room {
    pub(super) fn new(most: u32, bearable: Duration) -> Self {
        Self { most, bearable, places: AtomicU32::new(most) }
    }

    pub(super) fn places(&self) -> u64 {
        u64::from(self.places.load(Ordering::Relaxed))
    }

    /// What a worker's delay says: a fifth fewer than are inside, or half as many where it is twice too long; else a quarter
    /// more than there were.
    fn felt(&self, delay: Duration, inside: u64, workers: u32) {
        let least = LEAST_A_WORKER.saturating_mul(workers).min(self.most);
        let next = |places: u32| {
            Some(match delay > self.bearable {
                true => {
                    let taken = u32::try_from(inside).unwrap_or(u32::MAX).min(places);
                    let fewer = if delay > self.bearable * 2 { taken / 2 } else { taken / 5 };
                    (taken - fewer).max(least)
                }
                false => places.saturating_add(places / 4).saturating_add(1).min(self.most),
            })
        };
        let _ = self.places.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }
}

/// Looks at one of so many workers, on its own runtime, for as long as it is asked to.
pub(crate) async fn look_after(door: Arc<Door>, workers: u32) {
    while !door.room.bearable.is_zero() {
        let mut least = Duration::MAX;
        for _ in 0..LOOKS {
            let due = Instant::now() + LOOK;
            sleep_until(due).await;
            least = least.min(due.elapsed());
        }
        door.room.felt(least, door.figures().inside, workers);
        door.let_in();
    }
}

#[cfg(test)]
mod tests {
    use gatewright_core::Tenant;
    use tokio::sync::oneshot;
    use tokio::task::yield_now;
    use tokio::time::advance;

    use super::*;
    use crate::admission::Admission;

    const BEARABLE: Duration = Duration::from_millis(20);
    const BEHIND: Duration = Duration::from_millis(21);

    #[test]
    fn workers_that_are_behind_let_in_fewer_and_more_again_when_they_are_not() {
        let room = Room::new(4096, BEARABLE);
        let felt = |delay, inside| {
            room.felt(delay, inside, 2);
            room.places()
        };
        assert_eq!(felt(BEARABLE, 4000), 4096);
        // From what is inside, however much more there might be; what leaves is not replaced.
        assert_eq!([1000, 1000, 800, 640].map(|inside| felt(BEHIND, inside)), [800, 640, 512, 410]);
        assert_eq!([300, 100].map(|inside| felt(BEHIND, inside)), [240, 80]);
        assert_eq!(felt(Duration::from_secs(1), 80), 64);
        assert_eq!(felt(BEARABLE * 40, 64), 64);
        assert_eq!([64, 81, 0].map(|inside| felt(BEARABLE, inside)), [81, 102, 128]);
        let long = Room::new(4096, BEARABLE);
        long.felt(BEHIND * 2, 900, 2);
        assert_eq!(long.places(), 450);
        let rounds = std::iter::repeat_with(|| felt(Duration::ZERO, 0)).take_while(|places| *places < 4096);
        assert!(rounds.count() < 20, "two seconds later all is as before");
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_is_behind_when_every_look_is_late_and_one_that_is_not_lets_in_who_waits() {
        let settings = Admission { calls: 100, bearable: BEARABLE, ..Admission::default() };
        let door = Arc::new(Door::new(settings));
        let mut inside: Vec<_> = std::iter::from_fn(|| door.try_enter()).collect();
        let rounds = async {
            for (delay, places) in [(BEHIND, 80), (BEARABLE, 100), (BEHIND, 80), (Duration::ZERO, 100)] {
                for late in [BEHIND, BEHIND, BEHIND, delay] {
                    advance(LOOK + late).await;
                    yield_now().await;
                }
                assert_eq!(door.figures().places, places, "{delay:?}");
            }
            for _ in 0..LOOKS {
                advance(LOOK + BEHIND).await;
                yield_now().await;
            }
            let (call, place) = oneshot::channel();
            door.join(Tenant::Key("a".into()), call).unwrap();
            inside.truncate(90);
            assert_eq!((door.figures().places, door.figures().waiting), (80, 1));
            drop(place.await.unwrap());
            assert_eq!((door.figures().inside, door.figures().waiting), (90, 0));
        };
        tokio::select! {
            // It looks at the clock before that moves.
            biased;
            () = look_after(door.clone(), 2) => unreachable!("it looks for ever"),
            () = rounds => {}
        }
    }

    #[test]
    fn a_bound_that_is_small_already_is_left_alone() {
        let room = Room::new(10, BEARABLE);
        room.felt(BEHIND, 10, 2);
        assert_eq!(room.places(), 10);
    }
}
