//! A line of waiting calls: lower priorities first, then tenant by tenant, then as they came.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::Caller;

#[cfg(test)]
mod tests;

/// Whose calls take turns with those of others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Tenant {
    /// A team's.
    Team(Arc<str>),
    /// Those of a key without a team.
    Key(Arc<str>),
}

/// Waiting calls, each with what it is told by. Nothing takes longer than the logarithm of their number.
pub struct Line<T> {
    classes: BTreeMap<i64, Class<T>>,
    waiting: usize,
    /// The number of the last call, or of the last turn.
    last: u64,
}

/// Where a call stands in its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    priority: i64,
    tenant: Tenant,
    number: u64,
}

/// Waiting calls of one priority. No tenant is in it without a call.
struct Class<T> {
    of: HashMap<Tenant, Own<T>>,
    /// Whose turn comes when: whoever was served goes behind all others.
    turns: BTreeMap<u64, Tenant>,
    /// How many calls the tenant of each turn has.
    lengths: BTreeSet<(usize, u64)>,
}

/// One tenant's calls in the order in which they came.
struct Own<T> {
    turn: u64,
    calls: BTreeMap<u64, T>,
}

// === impl Tenant ===

impl Tenant {
    /// Whom a caller's calls are for.
    pub fn of(caller: &Caller) -> Self {
        match &caller.team {
            Some(team) => Self::Team(team.clone()),
            None => Self::Key(caller.id.clone()),
        }
    }
}

// === impl Line ===

impl<T> Line<T> {
    /// Takes a call in, where fewer than `most` wait or another one yields to it: that one is answered too. `None` where
    /// there is no room for it. The newest call of the tenant that has most of the last priority yields, to one of a better
    /// priority, or of a tenant that has fewer even with it: else the two would drive out each other's calls.
    pub fn join(
        &mut self,
        (priority, tenant): (i64, Tenant),
        most: usize,
        call: T,
    ) -> Option<(Spot, Option<T>)> {
        let yielded = match self.waiting < most {
            true => None,
            false => Some(self.make_room(priority, &tenant)?),
        };
        let number = self.number();
        let spot = Spot { priority, tenant, number };
        self.change(&spot, false, |calls| calls.insert(number, call));
        self.waiting += 1;
        Some((spot, yielded))
    }

    /// Lets a call go; nothing where it is not there any more. Where it was `served`, its tenant had its turn.
    pub fn leave(&mut self, spot: &Spot, served: bool) -> Option<T> {
        // A look first: a tenant has no turn for nothing.
        if !self.has(spot) {
            return None;
        }
        let left = self.change(spot, served, |calls| calls.remove(&spot.number));
        self.waiting -= usize::from(left.is_some());
        left
    }

    /// Lets the first one go.
    pub fn serve(&mut self) -> Option<T> {
        let (priority, class) = self.classes.first_key_value()?;
        let (tenant, number, _) = class.head()?;
        let spot = Spot { priority: *priority, tenant: tenant.clone(), number };
        self.leave(&spot, true)
    }

    /// Whether this call still waits.
    pub fn has(&self, spot: &Spot) -> bool {
        let own = self.classes.get(&spot.priority).and_then(|class| class.of.get(&spot.tenant));
        own.is_some_and(|own| own.calls.contains_key(&spot.number))
    }

    /// The first one.
    pub fn head(&self) -> Option<&T> {
        let (_, class) = self.classes.first_key_value()?;
        class.head().map(|(_, _, call)| call)
    }

    /// Whether this call is the first one.
    pub fn is_head(&self, spot: &Spot) -> bool {
        let first = self.classes.first_key_value().and_then(|(_, class)| class.head());
        first.is_some_and(|(_, number, _)| number == spot.number)
    }

    /// Whether somebody stands before a newcomer of this priority.
    pub fn stands_before(&self, priority: i64) -> bool {
        self.classes.first_key_value().is_some_and(|(first, _)| *first <= priority)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    fn make_room(&mut self, priority: i64, tenant: &Tenant) -> Option<T> {
        let (last, class) = self.classes.last_key_value()?;
        // Of several the one whose turn comes last.
        let (most, turn) = class.lengths.last()?;
        let own = class.of.get(tenant).map_or(0, |own| own.calls.len());
        let better = priority < *last || (priority == *last && own + 1 < *most);
        let longest = class.turns.get(turn).filter(|_| better)?;
        let (number, _) = class.of.get(longest)?.calls.last_key_value()?;
        let spot = Spot { priority: *last, tenant: longest.clone(), number: *number };
        self.leave(&spot, false)
    }

    /// Changes the calls of one tenant, and keeps its turn unless it had it.
    fn change<R>(
        &mut self,
        spot: &Spot,
        had_its_turn: bool,
        change: impl FnOnce(&mut BTreeMap<u64, T>) -> R,
    ) -> R {
        let turn = self.number();
        let class = self.classes.entry(spot.priority).or_default();
        let mut own = class.of.remove(&spot.tenant).unwrap_or_else(|| Own { turn, calls: BTreeMap::new() });
        class.turns.remove(&own.turn);
        class.lengths.remove(&(own.calls.len(), own.turn));
        let changed = change(&mut own.calls);
        if !own.calls.is_empty() {
            if had_its_turn {
                own.turn = turn;
            }
            class.turns.insert(own.turn, spot.tenant.clone());
            class.lengths.insert((own.calls.len(), own.turn));
            class.of.insert(spot.tenant.clone(), own);
        }
        if class.of.is_empty() {
            self.classes.remove(&spot.priority);
        }
        changed
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { classes: BTreeMap::new(), waiting: 0, last: 0 }
    }
}

// === impl Class ===

impl<T> Class<T> {
    fn head(&self) -> Option<(&Tenant, u64, &T)> {
        let (_, tenant) = self.turns.first_key_value()?;
        let (number, call) = self.of.get(tenant)?.calls.first_key_value()?;
        Some((tenant, *number, call))
    }
}

impl<T> Default for Class<T> {
    fn default() -> Self {
        Self { of: HashMap::new(), turns: BTreeMap::new(), lengths: BTreeSet::new() }
    }
}
