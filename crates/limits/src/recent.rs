//! How long recent answers were.

/// So many answers are remembered.
const KEPT: usize = 40;

/// From so few nothing is concluded.
const ENOUGH: usize = 20;

/// The lengths of recent answers, in tokens. Takes no memory until one is known.
#[derive(Default)]
pub(crate) struct Recent {
    lengths: Vec<u32>,
    next: usize,
}

impl Recent {
    /// One more answer, in place of the oldest.
    pub(crate) fn add(&mut self, tokens: u64) {
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        match self.lengths.get_mut(self.next) {
            Some(oldest) => *oldest = tokens,
            None => self.lengths.push(tokens),
        }
        self.next = (self.next + 1) % KEPT;
    }

    /// What 95 of 100 recent answers did not pass, once there are enough of them.
    pub(crate) fn high(&self) -> Option<u64> {
        if self.lengths.len() < ENOUGH {
            return None;
        }
        let mut sorted = self.lengths.clone();
        sorted.sort_unstable();
        sorted.get((sorted.len() * 95).div_ceil(100) - 1).map(|tokens| u64::from(*tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_mark_follows_recent_answers() {
        let mut recent = Recent::default();
        (1..20).for_each(|tokens| recent.add(tokens));
        assert_eq!(recent.high(), None, "too few");
        recent.add(20);
        assert_eq!(recent.high(), Some(19));
        (0..40).for_each(|n| recent.add(if n % 20 == 0 { 9_000 } else { 100 }));
        assert_eq!(recent.high(), Some(100), "one of twenty is longer");
        (0..40).for_each(|_| recent.add(7));
        assert_eq!(recent.high(), Some(7), "the older ones are forgotten");
    }
}
