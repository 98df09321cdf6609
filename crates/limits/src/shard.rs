//! A part of all counts, behind one lock.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::budget::Budget;
use crate::count::Count;
use crate::rule::{Counter, Rule, Window};
use crate::time::Now;

/// A shard is swept when it has grown to twice what the last sweep left, but not below this.
const SWEEP_AT: usize = 64;

/// What rules count together.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) scope: &'static str,
    pub(crate) id: Arc<str>,
    pub(crate) counter: Counter,
    pub(crate) span: Span,
}

/// A key with its hash, which is made once for all that a call does with it. Whoever may choose ids must not be able to
/// choose hashes: they are made with a secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hashed {
    hash: u64,
    key: Key,
}

/// Hands on the hash that a key has.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ready(u64);

/// Counts of some keys.
type Map<T> = HashMap<Hashed, T, BuildHasherDefault<Ready>>;

/// A window without its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Span {
    Rolling(Duration),
    Period(Arc<str>),
    Forever,
}

/// What a count, or all counts of one thing, are called where they are shared.
#[derive(Clone, Copy)]
pub(crate) struct Name<'a> {
    namespace: &'a str,
    scope: &'a str,
    id: &'a str,
    of: Option<(Counter, &'a Span)>,
}

/// Counts of some scopes and ids.
pub(crate) struct Shard {
    counts: Map<Count>,
    budgets: Map<Budget>,
    sweep_at: usize,
}

// === impl Key ===

impl Key {
    pub(crate) fn of(rule: &Rule) -> Self {
        let span = match &rule.window {
            Window::Rolling(length) => Span::Rolling(*length),
            Window::Period { name, .. } => Span::Period(Arc::clone(name)),
            Window::Forever => Span::Forever,
        };
        Self { scope: rule.scope, id: Arc::clone(&rule.id), counter: rule.counter, span }
    }

    /// Its name where counts are shared.
    pub(crate) fn name<'a>(&'a self, namespace: &'a str) -> Name<'a> {
        Name { namespace, scope: self.scope, id: &self.id, of: Some((self.counter, &self.span)) }
    }

    /// What lists all counts of its thing there.
    pub(crate) fn index<'a>(&'a self, namespace: &'a str) -> Name<'a> {
        index(namespace, self.scope, &self.id)
    }
}

/// What all names of one thing begin with where counts are shared.
pub(crate) fn index<'a>(namespace: &'a str, scope: &'a str, id: &'a str) -> Name<'a> {
    Name { namespace, scope, id, of: None }
}

/// A namespace as the hash tag of all its names: a cluster keeps them in one node, where one script sees all of them.
pub(crate) fn tagged(namespace: &str) -> String {
    format!("{{{}}}", namespace.replace('}', "%7D"))
}

// === impl Hashed ===

impl Hashed {
    /// `thing` is the hash of scope and id. What is counted of one thing is told apart by the little that is hashed here,
    /// its windows by the key alone.
    pub(crate) fn new(thing: u64, rule: &Rule) -> Self {
        Self {
            hash: thing.wrapping_add((rule.counter as u64) << 56 | rule.counter as u64),
            key: Key::of(rule),
        }
    }
}

impl Deref for Hashed {
    type Target = Key;

    fn deref(&self) -> &Key {
        &self.key
    }
}

impl Hash for Hashed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Hasher for Ready {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

// === impl Name ===

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{{{}:", self.namespace, self.scope)?;
        for part in self.id.split_inclusive(['%', '}']) {
            match part.split_at_checked(part.len() - 1) {
                Some((before, "%")) => write!(f, "{before}%25")?,
                Some((before, "}")) => write!(f, "{before}%7D")?,
                _ => f.write_str(part)?,
            }
        }
        f.write_str("}")?;
        let Some((counter, span)) = self.of else { return Ok(()) };
        write!(f, ":{}", counter.name())?;
        match span {
            Span::Rolling(length) => write!(f, ":{}", length.as_secs()),
            Span::Period(name) => write!(f, ":{name}"),
            Span::Forever => Ok(()),
        }
    }
}

// === impl Span ===

impl Span {
    /// Whether a period of this name is it; nothing names all time.
    pub(crate) fn is_called(&self, period: Option<&str>) -> bool {
        match self {
            Self::Period(name) => period == Some(name),
            Self::Forever => period.is_none(),
            Self::Rolling(_) => false,
        }
    }

    /// How long a window of it rolls.
    pub(crate) fn length(&self) -> Option<Duration> {
        match self {
            Self::Rolling(length) => Some(*length),
            Self::Period(_) | Self::Forever => None,
        }
    }
}

// === impl Shard ===

impl Shard {
    pub(crate) fn new() -> Self {
        Self { counts: Map::default(), budgets: Map::default(), sweep_at: SWEEP_AT }
    }

    /// How many counts are kept.
    pub(crate) fn len(&self) -> usize {
        self.counts.len() + self.budgets.len()
    }

    /// The count of a rule, in a window that has not ended.
    pub(crate) fn count(&mut self, key: &Hashed, window: &Window, now: Now) -> &mut Count {
        self.sweep(now);
        let count = self.counts.entry(key.clone()).or_insert_with(|| Count::new(window, now));
        count.turn(window, now);
        count
    }

    /// The budget of a rule, in a period that has not ended.
    pub(crate) fn budget(&mut self, key: &Hashed, rule: &Rule, now: Now) -> &mut Budget {
        self.sweep(now);
        let budget = self.budgets.entry(key.clone()).or_insert_with(|| Budget::new(rule, now));
        budget.turn(rule, now);
        budget
    }

    /// A budget that somebody holds of, or waits for.
    pub(crate) fn known_budget(&mut self, key: &Hashed) -> Option<&mut Budget> {
        self.budgets.get_mut(key)
    }

    /// A count that somebody holds of. A window of the calendar is not turned: only a rule knows the next end.
    pub(crate) fn known_count(&mut self, key: &Hashed, now: Now) -> Option<&mut Count> {
        if let Span::Rolling(length) = key.span {
            return Some(self.count(key, &Window::Rolling(length), now));
        }
        self.counts.get_mut(key)
    }

    /// All budgets of one thing, with the names of their windows.
    pub(crate) fn budgets_of<'a>(
        &'a mut self,
        scope: &'a str,
        id: &'a str,
    ) -> impl Iterator<Item = (&'a Span, &'a mut Budget)> {
        let ours = move |(key, _): &(&Hashed, &mut Budget)| key.scope == scope && &*key.id == id;
        self.budgets.iter_mut().filter(ours).map(|(key, budget)| (&key.span, budget))
    }

    fn sweep(&mut self, now: Now) {
        if self.len() < self.sweep_at {
            return;
        }
        self.counts.retain(|key, count| count.matters(key.counter, now));
        self.budgets.retain(|_, budget| budget.matters(now));
        self.sweep_at = SWEEP_AT.max(self.len() * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_names_have_one_hash_tag_and_no_two_counts_have_one_name() {
        let name = |namespace: &str, id: &str, window| {
            let rule = Rule::new("api_key", id.into(), Counter::Tokens, 1, window);
            Key::of(&rule).name(&tagged(namespace)).to_string()
        };
        let minute = || Window::Rolling(Duration::from_secs(60));
        assert_eq!(name("gatewright", "k", minute()), "{gatewright}:{api_key:k}:tokens:60");
        assert_eq!(name("gatewright", "k", Window::Forever), "{gatewright}:{api_key:k}:tokens");
        assert_eq!(name("a}b", "ü", Window::Forever), "{a%7Db}:{api_key:ü}:tokens");
        // An id cannot pretend to be a window of another.
        assert_eq!(name("n", "k}:tokens:60%7D", Window::Forever), "{n}:{api_key:k%7D:tokens:60%257D}:tokens");
        assert_eq!(index(&tagged("n"), "team", "%").to_string(), "{n}:{team:%25}");
    }
}
