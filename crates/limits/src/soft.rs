//! Soft budgets: whoever crosses one goes on, and it is told once a period.

use std::collections::HashMap;
use std::sync::Arc;

use gatewright_core::{
    Call, CallService, Clock, Middleware, Money, Observer, Outcome, Reply, Result, Tab, watch,
};
use parking_lot::Mutex;

use crate::budget::seed;
use crate::rule::{Rule, Rules, Ruling, Window, dollars, nano};
use crate::shard::Key;
use crate::time::{Ends, Now};

/// Hears of soft budgets that were crossed. Whatever tells people of it hangs here.
pub trait Crossings: Send + Sync + 'static {
    /// One was, for the first time in its period as far as this process knows. Runs while a last frame waits: no I/O.
    fn crossed(&self, crossing: &Crossing);
}

/// A soft budget that was crossed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// What kind of thing it is of, by LiteLLM's name: `api_key`, `team`.
    pub scope: &'static str,
    /// Of which one; of a key its hash.
    pub id: Arc<str>,
    /// The budget.
    pub soft: Money,
    /// What was spent, with the call that crossed it.
    pub spent: Money,
    /// What its period is called; `None` where it never ends.
    pub period: Option<Arc<str>>,
}

/// The policy that sees soft budgets crossed. A call whose caller has none passes without a lock or an allocation.
#[derive(Clone)]
pub struct SoftBudgets(Arc<Books>);

struct Books {
    rules: Arc<dyn Rules>,
    crossings: Arc<dyn Crossings>,
    clock: Arc<dyn Clock>,
    standings: Mutex<Standings>,
}

/// Where each of them stands. Swept when they have grown to twice what the last sweep left.
struct Standings {
    by_budget: HashMap<Key, Standing>,
    sweep_at: usize,
}

/// Never less than what this process knows of and the database told.
struct Standing {
    spent: u64,
    ends: Ends,
    turn: u64,
    told: bool,
}

/// Counts what a call cost once it has ended.
struct Spending {
    books: Arc<Books>,
    rules: Ruling,
    tab: Arc<Tab>,
}

const SWEEP_AT: usize = 1024;

// === impl SoftBudgets ===

impl SoftBudgets {
    /// Tells `crossings` of what `rules` say.
    pub fn new(rules: Arc<dyn Rules>, crossings: Arc<dyn Crossings>, clock: Arc<dyn Clock>) -> Self {
        let standings = Mutex::new(Standings { by_budget: HashMap::new(), sweep_at: SWEEP_AT });
        Self(Arc::new(Books { rules, crossings, clock, standings }))
    }

    fn arm(&self, call: &mut Call) -> Spending {
        let mut rules = Ruling::new();
        self.0.rules.soft(call, &mut rules);
        let tab = Tab::under(call.tab.take());
        call.tab = Some(Arc::clone(&tab));
        Spending { books: Arc::clone(&self.0), rules, tab }
    }
}

impl Middleware for SoftBudgets {
    async fn handle(&self, mut call: Call, next: &impl CallService) -> Result<Reply> {
        if call.caller.allowances.iter().all(|allowance| allowance.soft.is_none()) {
            return next.answer(call).await;
        }
        let spending = self.arm(&mut call);
        watch(spending, next.answer(call)).await
    }
}

// === impl Spending ===

impl Observer for Spending {
    fn settle(self: Box<Self>, _: &Outcome<'_>) {
        // Attempts stand below, and what is below settles first: the ledger has added all of them.
        let cost = nano(self.tab.total());
        for rule in &self.rules {
            self.books.spend(rule, cost);
        }
    }
}

// === impl Books ===

impl Books {
    fn spend(&self, rule: &Rule, cost: u64) {
        let now = Now::of(&*self.clock);
        let spent = self.standings.lock().of(rule, now).spend(rule, cost, now);
        if let Some(spent) = spent {
            let period = match &rule.window {
                Window::Period { name, .. } => Some(Arc::clone(name)),
                Window::Rolling(_) | Window::Forever => None,
            };
            let (id, soft) = (Arc::clone(&rule.id), dollars(rule.limit));
            let spent = dollars(spent);
            self.crossings.crossed(&Crossing { scope: rule.scope, id, soft, spent, period });
        }
    }
}

// === impl Standings ===

impl Standings {
    fn of(&mut self, rule: &Rule, now: Now) -> &mut Standing {
        if self.by_budget.len() >= self.sweep_at {
            self.by_budget.retain(|_, standing| !standing.ends.has_passed(now));
            self.sweep_at = SWEEP_AT.max(self.by_budget.len() * 2);
        }
        let fresh = || Standing { spent: 0, ends: Ends::of(&rule.window, now), turn: rule.turn, told: false };
        self.by_budget.entry(Key::of(rule)).or_insert_with(fresh)
    }
}

// === impl Standing ===

impl Standing {
    /// What is spent where that is to be told: at the budget, or beyond it, and not told yet.
    fn spend(&mut self, rule: &Rule, cost: u64, now: Now) -> Option<u64> {
        let next = Ends::of(&rule.window, now);
        if self.ends.gives_way_to(next, now) || rule.turn > self.turn {
            *self = Self { spent: 0, ends: next, turn: rule.turn, told: false };
        }
        self.spent = self.spent.max(seed(rule, next, now)).saturating_add(cost);
        let over = self.spent >= rule.limit;
        let tells = over && !self.told;
        self.told = over;
        tells.then_some(self.spent)
    }
}
