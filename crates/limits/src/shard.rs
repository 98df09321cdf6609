//! A part of all counts, behind one lock.

use std::collections::HashMap;
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

/// A window without its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Span {
    Rolling(Duration),
    Period(Arc<str>),
    Forever,
}

/// Counts of some scopes and ids.
pub(crate) struct Shard {
    counts: HashMap<Key, Count>,
    budgets: HashMap<Key, Budget>,
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
    pub(crate) fn name(&self, namespace: &str) -> String {
        let (counter, index) = (self.counter.name(), index(namespace, self.scope, &self.id));
        match &self.span {
            Span::Rolling(length) => format!("{index}:{counter}:{}", length.as_secs()),
            Span::Period(name) => format!("{index}:{counter}:{name}"),
            Span::Forever => format!("{index}:{counter}"),
        }
    }
}

/// What all names of one thing begin with where counts are shared.
pub(crate) fn index(namespace: &str, scope: &str, id: &str) -> String {
    format!("{namespace}:{{{scope}:{}}}", id.replace('%', "%25").replace('}', "%7D"))
}

/// A namespace as the hash tag of all its names: a cluster keeps them in one node, where one script sees all of them.
pub(crate) fn tagged(namespace: &str) -> String {
    format!("{{{}}}", namespace.replace('}', "%7D"))
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
        Self { counts: HashMap::new(), budgets: HashMap::new(), sweep_at: SWEEP_AT }
    }

    /// How many counts are kept.
    pub(crate) fn len(&self) -> usize {
        self.counts.len() + self.budgets.len()
    }

    /// The count of a rule, in a window that has not ended.
    pub(crate) fn count(&mut self, key: &Key, window: &Window, now: Now) -> &mut Count {
        self.sweep(now);
        let count = self.counts.entry(key.clone()).or_insert_with(|| Count::new(window, now));
        count.turn(window, now);
        count
    }

    /// The budget of a rule, in a period that has not ended.
    pub(crate) fn budget(&mut self, key: &Key, rule: &Rule, now: Now) -> &mut Budget {
        self.sweep(now);
        let budget = self.budgets.entry(key.clone()).or_insert_with(|| Budget::new(rule, now));
        budget.turn(rule, now);
        budget
    }

    /// A budget that somebody holds of, or waits for.
    pub(crate) fn known_budget(&mut self, key: &Key) -> Option<&mut Budget> {
        self.budgets.get_mut(key)
    }

    /// A count that somebody holds of. A window of the calendar is not turned: only a rule knows the next end.
    pub(crate) fn known_count(&mut self, key: &Key, now: Now) -> Option<&mut Count> {
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
        let ours = move |(key, _): &(&Key, &mut Budget)| key.scope == scope && &*key.id == id;
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
