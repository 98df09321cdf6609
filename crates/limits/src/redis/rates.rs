//! How far rates were used when Redis told last, and what a replica may let in of them by itself.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::rule::{Counter, Rule};
use crate::shard::Key;

/// What Redis told last of each rate.
#[derive(Default)]
pub(super) struct Rates(HashMap<Key, Seen>);

/// A window of one rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    used: u64,
    /// Its end, in milliseconds of the server; nothing where it was not told.
    ends: i64,
    until: Option<Instant>,
}

// === impl Rates ===

impl Rates {
    pub(super) fn see(&mut self, key: &Key, seen: Seen) {
        if !matches!(key.counter, Counter::Requests | Counter::Tokens) {
            return;
        }
        match self.0.get_mut(key) {
            Some(known) => {
                *known = Seen { ends: if seen.ends == 0 { known.ends } else { seen.ends }, ..seen }
            }
            None => drop(self.0.insert(key.clone(), seen)),
        }
    }

    /// What one of so many replicas may let in of a rate without asking: its part of what was left, so that all of them
    /// together do not pass the limit; but no less than what one call needs, if that is left.
    pub(super) fn share(&self, rule: &Rule, takes: u64, replicas: u64) -> u64 {
        let used = self.running(&Key::of(rule)).map_or(0, |seen| seen.used);
        let left = rule.limit.saturating_sub(used);
        (left / replicas.max(1)).max(takes.min(left))
    }

    /// The end of the window that runs, as the server says it.
    pub(super) fn ends(&self, key: &Key) -> Option<i64> {
        self.running(key).map(|seen| seen.ends).filter(|ends| *ends > 0)
    }

    pub(super) fn sweep(&mut self) {
        self.0.retain(|_, seen| seen.runs());
    }

    fn running(&self, key: &Key) -> Option<&Seen> {
        self.0.get(key).filter(|seen| seen.runs())
    }
}

// === impl Seen ===

impl Seen {
    /// So much was used of a window that ends then, which is so far ahead.
    pub(super) fn until(used: u64, ends: i64, ahead: Option<Duration>) -> Self {
        Self { used, ends, until: ahead.map(|ahead| Instant::now() + ahead) }
    }

    fn runs(&self) -> bool {
        self.until.is_some_and(|until| until > Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_share_what_was_left() {
        let minute = Some(Duration::from_secs(60));
        for (limit, used, ahead, takes, replicas, want) in [
            (60, 0, minute, 1, 3, 20),
            (60, 31, minute, 1, 3, 9),
            (60, 60, minute, 1, 3, 0),
            (60, 70, minute, 1, 3, 0),
            // Nobody knows of the window that runs now.
            (60, 60, None, 1, 3, 20),
            // No less than one call needs.
            (2, 0, minute, 1, 3, 1),
            (900, 0, minute, 500, 3, 500),
            (900, 500, minute, 500, 3, 400),
            (60, 0, minute, 1, 0, 60),
        ] {
            let rule = Rule::requests("api_key", "k".into(), limit);
            let mut rates = Rates::default();
            rates.see(&Key::of(&rule), Seen::until(used, 0, ahead));
            let case = format!("{used} of {limit} by {replicas}");
            assert_eq!(rates.share(&rule, takes, replicas), want, "{case}");
        }
    }
}
