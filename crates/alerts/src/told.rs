//! What was told lately: the same alert is not told again before its time is over.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::{Alert, Kind};

/// What is remembered at most. Where there is more, whatever ends first is forgotten, and may be told again.
const MOST: usize = 4096;

/// What was told lately.
#[derive(Default)]
pub(crate) struct Told(HashMap<(Kind, String), Telling>);

struct Telling {
    until: Instant,
    /// How often the same was not told since.
    kept_back: u64,
}

// === impl Told ===

impl Told {
    /// How many alerts of the same kind and subject were kept back since the last one was told; `None` where this one is
    /// kept back too.
    pub(crate) fn tell(&mut self, alert: &Alert, now: Instant, ttl: Duration) -> Option<u64> {
        let key = (alert.kind, alert.subject.clone());
        let kept_back = match self.0.get_mut(&key) {
            Some(telling) if telling.until > now => {
                telling.kept_back += 1;
                return None;
            }
            Some(telling) => telling.kept_back,
            None => 0,
        };
        if self.0.len() >= MOST {
            self.make_room(now);
        }
        self.0.insert(key, Telling { until: now + ttl, kept_back: 0 });
        Some(kept_back)
    }

    fn make_room(&mut self, now: Instant) {
        self.0.retain(|_, telling| telling.until > now);
        if self.0.len() >= MOST {
            let mut ends: Vec<Instant> = self.0.values().map(|telling| telling.until).collect();
            let (_, half, _) = ends.select_nth_unstable(MOST / 2);
            let half = *half;
            self.0.retain(|_, telling| telling.until > half);
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Severity;

    const TTL: Duration = Duration::from_secs(60);

    fn alert(kind: Kind, subject: &str) -> Alert {
        Alert::new(kind, subject, Severity::Low, "x")
    }

    proptest! {
        #[test]
        fn of_equal_alerts_within_the_time_one_is_told(seconds in prop::collection::vec(0_u64..60, 1..50)) {
            let (mut told, start) = (Told::default(), Instant::now());
            let mut seconds = seconds;
            seconds.sort_unstable();
            let first = seconds[0];
            let tell = |told: &mut Told, second: u64| {
                told.tell(&alert(Kind::LlmTooSlow, "m"), start + Duration::from_secs(second), TTL)
            };
            let passed = seconds.iter().filter_map(|second| tell(&mut told, *second)).count();
            prop_assert_eq!(passed, 1);
            // The next one says how many were not.
            prop_assert_eq!(tell(&mut told, first + 60), Some(seconds.len() as u64 - 1));
        }
    }

    #[test]
    fn others_are_told() {
        let (mut told, now) = (Told::default(), Instant::now());
        for (kind, subject, passes) in [
            (Kind::LlmTooSlow, "m", true),
            (Kind::LlmTooSlow, "m", false),
            (Kind::LlmTooSlow, "n", true),
            (Kind::LlmExceptions, "m", true),
        ] {
            assert_eq!(told.tell(&alert(kind, subject), now, TTL).is_some(), passes, "{kind:?} {subject}");
        }
    }

    #[test]
    fn however_many_there_are_memory_is_bounded() {
        let (mut told, now) = (Told::default(), Instant::now());
        for n in 0..3 * MOST {
            told.tell(&alert(Kind::LlmTooSlow, &n.to_string()), now, TTL);
            assert!(told.len() <= MOST);
        }
        // Equal ends are all forgotten together, and nothing else is lost by it than that they may be told again.
        assert!(told.tell(&alert(Kind::LlmTooSlow, "another"), now, TTL).is_some());
    }
}
