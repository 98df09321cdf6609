//! The calls that are open: a place on a shelf each, taken and given back in one short step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::About;

/// So many, so that calls of several cores seldom meet at one.
const SHELVES: usize = 16;

/// Places on a shelf. A call that finds none is not seen hanging.
const PLACES: usize = 4096;

/// All of them.
#[derive(Default)]
pub(super) struct Open {
    shelves: [Mutex<Shelf>; SHELVES],
    next: AtomicUsize,
}

#[derive(Default)]
struct Shelf {
    places: Vec<Option<Kept>>,
    free: Vec<usize>,
}

struct Kept {
    about: About,
    told: bool,
}

/// Where a call is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    shelf: usize,
    place: usize,
}

// === impl Open ===

impl Open {
    /// A call has begun. Nothing where there is no room for it.
    pub(super) fn enter(&self, about: About) -> Option<Place> {
        let shelf = self.next.fetch_add(1, Relaxed) % SHELVES;
        let place = self.shelves.get(shelf)?.lock().put(Kept { about, told: false })?;
        Some(Place { shelf, place })
    }

    /// It has ended.
    pub(super) fn leave(&self, Place { shelf, place }: Place) {
        if let Some(shelf) = self.shelves.get(shelf) {
            shelf.lock().clear(place);
        }
    }

    /// Those that are open for longer and were not answered here before: of each model one, and how many there are.
    pub(super) fn older_than(&self, age: Duration, now: Instant) -> Vec<(About, usize)> {
        let mut found: BTreeMap<Arc<str>, (About, usize)> = BTreeMap::new();
        for shelf in &self.shelves {
            let mut shelf = shelf.lock();
            let old = |kept: &&mut Kept| !kept.told && now.saturating_duration_since(kept.about.since) > age;
            for kept in shelf.places.iter_mut().flatten().filter(old) {
                kept.told = true;
                let of_model = found.entry(kept.about.model.clone());
                of_model.or_insert_with(|| (kept.about.clone(), 0)).1 += 1;
            }
        }
        found.into_values().collect()
    }
}

// === impl Shelf ===

impl Shelf {
    fn put(&mut self, kept: Kept) -> Option<usize> {
        if let Some(free) = self.free.pop() {
            *self.places.get_mut(free)? = Some(kept);
            return Some(free);
        }
        (self.places.len() < PLACES).then(|| {
            self.places.push(Some(kept));
            self.places.len() - 1
        })
    }

    fn clear(&mut self, place: usize) {
        if self.places.get_mut(place).and_then(Option::take).is_some() {
            self.free.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(model: &str, since: Instant) -> About {
        let id = "id".to_owned();
        About { model: model.into(), operation: "chat", id, key: None, team: None, since }
    }

    #[test]
    fn what_is_open_for_too_long_is_told_once_and_what_has_ended_is_not() {
        let (open, start) = (Open::default(), Instant::now());
        let found = |second: u64| {
            let found = open.older_than(Duration::from_secs(300), start + Duration::from_secs(second));
            found.into_iter().map(|(about, count)| (about.model.to_string(), count)).collect::<Vec<_>>()
        };
        let places: Vec<Place> = (0..20).filter_map(|_| open.enter(about("m", start))).collect();
        open.enter(about("n", start + Duration::from_secs(100))).unwrap();
        places.iter().take(17).for_each(|place| open.leave(*place));
        assert_eq!(found(300), []);
        assert_eq!(found(301), [("m".to_owned(), 3)]);
        assert_eq!(found(401), [("n".to_owned(), 1)]);
        assert_eq!(found(900), []);
    }

    #[test]
    fn places_are_used_again_and_bounded() {
        let (open, start) = (Open::default(), Instant::now());
        for _ in 0..3 * SHELVES * PLACES {
            let place = open.enter(about("m", start)).unwrap();
            open.leave(place);
        }
        assert!(open.shelves.iter().all(|shelf| shelf.lock().places.len() == 1));
        let entered = (0..2 * SHELVES * PLACES).filter(|_| open.enter(about("m", start)).is_some()).count();
        assert_eq!(entered, SHELVES * PLACES);
    }
}
