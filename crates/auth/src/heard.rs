//! Which changes were heard of lately, so that what was read before one of them is not taken for what is now.

use std::collections::VecDeque;

use crate::Part;

/// Changes that are told apart; of older ones it is only known that there were some.
const RECENT: usize = 1024;

/// The changes, each with the number of those before it.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    count: u64,
    recent: VecDeque<Part>,
}

// === impl Heard ===

impl Heard {
    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// One more.
    pub(crate) fn push(&mut self, part: Part) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(part);
        self.count += 1;
    }

    /// Anything may have been changed.
    pub(crate) fn push_anything(&mut self) {
        self.recent.clear();
        self.count += 1;
    }

    /// Whether one of these was changed since there were so many changes, or may have been.
    pub(crate) fn touched<'a>(&self, since: u64, mut parts: impl Iterator<Item = &'a Part>) -> bool {
        let fresh = usize::try_from(self.count - since).unwrap_or(usize::MAX);
        match self.recent.len().checked_sub(fresh) {
            None => true,
            Some(old) => {
                let fresh = self.recent.range(old..);
                fresh.len() > 0 && parts.any(|part| fresh.clone().any(|changed| changed == part))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(id: usize) -> Part {
        Part { kind: "team", id: id.to_string().into() }
    }

    #[test]
    fn only_what_was_changed_since_counts_and_what_is_forgotten_counts_as_all() {
        let mut heard = Heard::default();
        (0..3).for_each(|id| heard.push(part(id)));
        for (since, id, touched) in [(0, 0, true), (1, 0, false), (1, 2, true), (3, 2, false), (0, 7, false)]
        {
            assert_eq!(heard.touched(since, [part(id)].iter()), touched, "{since} {id}");
        }
        (3..RECENT + 2).for_each(|id| heard.push(part(id)));
        assert!(heard.touched(1, [].iter()), "one of those is forgotten");
        assert!(!heard.touched(2, [part(0)].iter()));
        let before = heard.count();
        heard.push_anything();
        assert!(heard.touched(before, [].iter()) && !heard.touched(heard.count(), [part(4)].iter()));
    }
}
