//! Who waits at the door: a line a tenant, and the tenants take turns.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Tenant;

/// Waiting calls, at most so many.
pub(super) struct Lines<T> {
    most: usize,
    waiting: usize,
    lines: HashMap<Tenant, Line<T>>,
    /// Whose turn comes when: whoever was served goes behind all others.
    turns: BTreeMap<u64, Tenant>,
    /// How long the line of each turn is.
    lengths: BTreeSet<(usize, u64)>,
    /// What the next turn or call is numbered with.
    next: u64,
}

/// One tenant's calls in the order in which they came.
struct Line<T> {
    turn: u64,
    calls: BTreeMap<u64, T>,
}

/// What became of a call that came to wait.
pub(super) enum Joined<T> {
    /// It waits under this number.
    Waits(u64),
    /// The same, in place of another tenant's.
    InsteadOf(T, u64),
    /// There is no room for it.
    Full,
}

// === impl Lines ===

impl<T> Lines<T> {
    pub(super) fn new(most: usize) -> Self {
        let (lines, turns, lengths) = (HashMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { most, waiting: 0, lines, turns, lengths, next: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Lets a call wait behind its tenant's others. Where all room is taken, the newest call of the longest line makes
    /// room, as long as that line stays no shorter than the newcomer's: else the two would drive out each other's calls.
    pub(super) fn join(&mut self, tenant: &Tenant, call: T) -> Joined<T> {
        let mut gone = None;
        if self.waiting >= self.most {
            let own = self.lines.get(tenant).map_or(0, |line| line.calls.len());
            gone = match self.lengths.last() {
                Some((longest, turn)) if *longest > own + 1 => self.newest(*turn),
                _ => None,
            };
            if gone.is_none() {
                return Joined::Full;
            }
        }
        let number = self.number();
        self.waiting += 1;
        self.change(tenant, false, |calls| calls.insert(number, call));
        match gone {
            Some(gone) => Joined::InsteadOf(gone, number),
            None => Joined::Waits(number),
        }
    }

    /// The oldest call of the tenant whose turn it is.
    pub(super) fn serve(&mut self) -> Option<T> {
        let tenant = self.turns.first_key_value().map(|(_, tenant)| tenant.clone())?;
        let served = self.change(&tenant, true, |calls| calls.pop_first());
        self.less(served.map(|(_, call)| call))
    }

    /// A call that does not wait any longer; nothing where it is not there any more.
    pub(super) fn leave(&mut self, tenant: &Tenant, number: u64) -> Option<T> {
        let left = self.change(tenant, false, |calls| calls.remove(&number));
        self.less(left)
    }

    fn newest(&mut self, turn: u64) -> Option<T> {
        let tenant = self.turns.get(&turn).cloned()?;
        let newest = self.change(&tenant, false, |calls| calls.pop_last());
        self.less(newest.map(|(_, call)| call))
    }

    fn less(&mut self, gone: Option<T>) -> Option<T> {
        self.waiting -= usize::from(gone.is_some());
        gone
    }

    /// Changes one line and keeps its place among the others, unless its tenant has had its turn.
    fn change<R>(
        &mut self,
        tenant: &Tenant,
        had_its_turn: bool,
        change: impl FnOnce(&mut BTreeMap<u64, T>) -> R,
    ) -> R {
        let mut line = match self.lines.remove(tenant) {
            Some(line) => line,
            None => Line { turn: self.number(), calls: BTreeMap::new() },
        };
        self.turns.remove(&line.turn);
        self.lengths.remove(&(line.calls.len(), line.turn));
        let changed = change(&mut line.calls);
        if !line.calls.is_empty() {
            if had_its_turn {
                line.turn = self.number();
            }
            self.turns.insert(line.turn, tenant.clone());
            self.lengths.insert((line.calls.len(), line.turn));
            self.lines.insert(tenant.clone(), line);
        }
        changed
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tenant(name: &str) -> Tenant {
        Tenant::Key(name.into())
    }

    /// The calls that would be served next, by what they are called.
    fn all<T>(lines: &mut Lines<T>) -> Vec<T> {
        std::iter::from_fn(|| lines.serve()).collect()
    }

    #[test]
    fn tenants_take_turns_and_their_calls_keep_their_order() {
        let mut lines = Lines::new(100);
        for call in ["a1", "a2", "a3", "a4", "b1", "a5", "c1", "b2"] {
            lines.join(&tenant(&call[..1]), call);
        }
        assert_eq!(all(&mut lines), ["a1", "b1", "c1", "a2", "b2", "a3", "a4", "a5"]);
        assert!(lines.is_empty());
    }

    #[test]
    fn a_full_queue_drops_the_newest_call_of_whoever_has_most() {
        let mut lines = Lines::new(4);
        let mut join = |call: &'static str| match lines.join(&tenant(&call[..1]), call) {
            Joined::Waits(_) => "waits",
            Joined::InsteadOf(other, _) => other,
            Joined::Full => "full",
        };
        for (call, came) in [
            ("a1", "waits"),
            ("a2", "waits"),
            ("a3", "waits"),
            ("a4", "waits"),
            ("a5", "full"),
            ("b1", "a4"),
            // Two against two is fair already, and a swap would only cost somebody a wait.
            ("b2", "a3"),
            ("b3", "full"),
            ("a6", "full"),
            ("c1", "b2"),
            ("d1", "a2"),
            ("e1", "full"),
        ] {
            assert_eq!(join(call), came, "{call}");
        }
        assert_eq!(all(&mut lines), ["a1", "b1", "c1", "d1"]);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Join(usize),
        Serve,
        Leave(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..4_usize).prop_map(Step::Join),
            2 => Just(Step::Serve),
            1 => (0..64_usize).prop_map(Step::Leave),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        /// Against a plain list: nobody is served twice or lost, the bound holds, and of two tenants that both wait none is
        /// served twice before the other.
        #[test]
        fn whatever_comes_and_goes_the_bound_and_the_turns_hold(most in 0..8_usize, steps in steps()) {
            let mut lines = Lines::new(most);
            let mut waiting: Vec<(usize, u64)> = Vec::new();
            let mut last_served: Vec<u64> = vec![0; 4];
            let tenants: Vec<Tenant> = (0..4).map(|n| tenant(&n.to_string())).collect();
            for (time, step) in (1_u64..).zip(steps) {
                match step {
                    Step::Join(who) => {
                        let id = time;
                        let fewer = |n: usize| waiting.iter().filter(|(other, _)| *other == n).count();
                        let longest = (0..4).map(fewer).max().unwrap_or_default();
                        let own = fewer(who);
                        match lines.join(&tenants[who], (who, id)) {
                            Joined::Waits(_) => prop_assert!(waiting.len() < most),
                            Joined::InsteadOf(gone, _) => {
                                prop_assert!(waiting.len() == most && longest > own + 1);
                                prop_assert_eq!(fewer(gone.0), longest);
                                let newest = waiting.iter().rfind(|(other, _)| *other == gone.0);
                                prop_assert_eq!(newest, Some(&gone));
                                waiting.retain(|call| *call != gone);
                            }
                            Joined::Full => {
                                prop_assert!(waiting.len() == most && longest <= own + 1);
                                continue;
                            }
                        }
                        if own == 0 {
                            // Whoever comes anew waits for a whole round.
                            last_served[who] = time;
                        }
                        waiting.push((who, id));
                    }
                    Step::Serve => match lines.serve() {
                        None => prop_assert!(waiting.is_empty()),
                        Some(served) => {
                            let first = waiting.iter().find(|(other, _)| *other == served.0);
                            prop_assert_eq!(first, Some(&served));
                            let whose = waiting.iter().map(|(who, _)| *who).min_by_key(|who| last_served[*who]);
                            prop_assert_eq!(whose, Some(served.0));
                            last_served[served.0] = time;
                            waiting.retain(|call| *call != served);
                        }
                    },
                    Step::Leave(which) => {
                        let number = lines.lines.values().flat_map(|line| line.calls.iter());
                        let mut numbers: Vec<(u64, (usize, u64))> = number.map(|(n, call)| (*n, *call)).collect();
                        numbers.sort_unstable();
                        let Some((number, call)) = numbers.get(which).copied() else { continue };
                        prop_assert_eq!(lines.leave(&tenants[call.0], number), Some(call));
                        prop_assert_eq!(lines.leave(&tenants[call.0], number), None);
                        waiting.retain(|other| *other != call);
                    }
                }
                prop_assert!(lines.waiting == waiting.len() && waiting.len() <= most);
                let lengths: usize = lines.lengths.iter().map(|(length, _)| length).sum();
                prop_assert_eq!((lengths, lines.turns.len()), (waiting.len(), lines.lines.len()));
            }
        }
    }
}
