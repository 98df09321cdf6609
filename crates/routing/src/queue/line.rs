//! One line of waiting calls: lower priorities first, then tenant by tenant, then as they came.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use gatewright_core::Caller;

/// Whom a call is for, where calls of different ones take turns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Tenant {
    Team(Arc<str>),
    Caller(Arc<str>),
}

/// Waiting calls, each with what wakes it.
pub(super) struct Line<B> {
    by_priority: BTreeMap<i64, Class<B>>,
    len: usize,
    /// The number of the last that came.
    last: u64,
}

/// Where a call stands in its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    priority: i64,
    tenant: Tenant,
    number: u64,
}

/// Waiting calls of one priority. No tenant is in it without a call.
struct Class<B> {
    /// Whose turn it is, and who comes after.
    turns: VecDeque<Tenant>,
    calls: HashMap<Tenant, BTreeMap<u64, B>>,
}

// === impl Tenant ===

impl Tenant {
    pub(crate) fn of(caller: &Caller) -> Self {
        match &caller.team {
            Some(team) => Self::Team(team.clone()),
            None => Self::Caller(caller.id.clone()),
        }
    }
}

// === impl Line ===

impl<B> Line<B> {
    /// Takes a call in, where fewer than `length` wait or another one yields to it: that one is answered too. `None`
    /// where there is no room for it.
    pub(super) fn join(
        &mut self,
        (priority, tenant): (i64, Tenant),
        length: usize,
        bell: B,
    ) -> Option<(Spot, Option<B>)> {
        let yielded = match self.len < length {
            true => None,
            false => Some(self.make_room(priority, &tenant)?),
        };
        self.last += 1;
        self.len += 1;
        let spot = Spot { priority, tenant, number: self.last };
        let class = self.by_priority.entry(priority).or_default();
        if !class.calls.contains_key(&spot.tenant) {
            class.turns.push_back(spot.tenant.clone());
        }
        class.calls.entry(spot.tenant.clone()).or_default().insert(spot.number, bell);
        Some((spot, yielded))
    }

    /// Lets a call go. Where it was `served`, its tenant had its turn.
    pub(super) fn leave(&mut self, spot: &Spot, served: bool) -> Option<B> {
        let class = self.by_priority.get_mut(&spot.priority)?;
        let bell = class.leave(spot, served)?;
        self.len -= 1;
        if class.calls.is_empty() {
            self.by_priority.remove(&spot.priority);
        }
        Some(bell)
    }

    pub(super) fn has(&self, spot: &Spot) -> bool {
        let calls = self.by_priority.get(&spot.priority).and_then(|class| class.calls.get(&spot.tenant));
        calls.is_some_and(|calls| calls.contains_key(&spot.number))
    }

    /// Who is first: the number of the call, and its bell.
    pub(super) fn head(&self) -> Option<(u64, &B)> {
        let (_, class) = self.by_priority.first_key_value()?;
        let (number, bell) = class.calls.get(class.turns.front()?)?.first_key_value()?;
        Some((*number, bell))
    }

    pub(super) fn is_head(&self, spot: &Spot) -> bool {
        self.head().is_some_and(|(number, _)| number == spot.number)
    }

    /// Whether somebody stands before a newcomer of this priority.
    pub(super) fn stands_before(&self, priority: i64) -> bool {
        self.by_priority.first_key_value().is_some_and(|(first, _)| *first <= priority)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes out the newest call of the tenant that has most of the last priority, where the newcomer is of a better
    /// one, or its tenant would still have fewer.
    fn make_room(&mut self, priority: i64, tenant: &Tenant) -> Option<B> {
        let (last, class) = self.by_priority.last_key_value()?;
        let count = |calls: &BTreeMap<u64, B>| calls.len();
        // Of several the one whose turn comes last.
        let most = class.turns.iter().max_by_key(|tenant| class.calls.get(tenant).map(count))?;
        let calls = class.calls.get(most)?;
        let own = class.calls.get(tenant).map_or(0, count);
        let better = priority < *last || (priority == *last && own + 1 < calls.len());
        let (number, _) = calls.last_key_value().filter(|_| better)?;
        let spot = Spot { priority: *last, tenant: most.clone(), number: *number };
        self.leave(&spot, false)
    }
}

impl<B> Default for Line<B> {
    fn default() -> Self {
        Self { by_priority: BTreeMap::new(), len: 0, last: 0 }
    }
}

// === impl Class ===

impl<B> Class<B> {
    fn leave(&mut self, spot: &Spot, served: bool) -> Option<B> {
        let calls = self.calls.get_mut(&spot.tenant)?;
        let bell = calls.remove(&spot.number)?;
        let more = !calls.is_empty();
        if !more {
            self.calls.remove(&spot.tenant);
        }
        if !more || served {
            let at = self.turns.iter().position(|tenant| *tenant == spot.tenant)?;
            self.turns.remove(at);
        }
        if more && served {
            self.turns.push_back(spot.tenant.clone());
        }
        Some(bell)
    }
}

impl<B> Default for Class<B> {
    fn default() -> Self {
        Self { turns: VecDeque::new(), calls: HashMap::new() }
    }
}
