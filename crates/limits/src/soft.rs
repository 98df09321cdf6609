//! Budgets as they are crossed: soft ones, which refuse nobody, and, where somebody asks, how far the others are used up.
//! Each is told once a period.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gatewright_core::{
    Call, CallService, Caller, Clock, Middleware, Money, Observer, Outcome, Reply, Result, Tab, arm,
};
use parking_lot::Mutex;

use crate::Every;
use crate::budget::seed;
use crate::rule::{Counter, Rule, Rules, Ruling, Window, dollars, nano};
use crate::shard::Key;
use crate::time::{Ends, Now};

/// Hears of budgets that were crossed. Whatever tells people of it hangs here.
pub trait Crossings: Send + Sync + 'static {
    /// One was, for the first time in its period as far as this process knows, by a call of this caller's. Runs while a
    /// last frame waits: no I/O.
    fn crossed(&self, crossing: &Crossing, caller: &Caller);
}

/// A budget that was crossed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// What kind of thing it is of, by LiteLLM's name: `api_key`, `team`.
    pub scope: &'static str,
    /// Of which one; of a key its hash.
    pub id: Arc<str>,
    /// The budget.
    pub budget: Money,
    /// How far it was crossed.
    pub mark: Mark,
    /// What was spent, with the call that crossed it.
    pub spent: Money,
    /// What its period is called; `None` where it never ends.
    pub period: Option<Arc<str>>,
}

/// How far a budget was crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It is a soft one, and used up.
    Soft,
    /// So many percent of it are used up.
    Share(u8),
    /// It is used up: calls are refused.
    All,
    /// If it goes on like this, it will be used up before its period ends.
    Foreseen {
        /// What will have been spent by then.
        spend: Money,
        /// When it will be used up.
        on: SystemTime,
    },
}

/// The policy that sees budgets crossed. A call whose caller has none that is watched passes without a lock or an
/// allocation.
#[derive(Clone)]
pub struct SoftBudgets(Arc<Books>);

struct Books {
    rules: Arc<dyn Rules>,
    crossings: Arc<dyn Crossings>,
    clock: Arc<dyn Clock>,
    soft: Mutex<Standings>,
    /// Of the budgets that refuse, where those are watched too.
    hard: Option<Mutex<Standings>>,
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
    /// How many of the marks were reached when it was told last.
    told: usize,
    foretold: bool,
}

/// Counts what a call cost once it has ended.
struct Spending {
    books: Arc<Books>,
    caller: Arc<Caller>,
    soft: Ruling,
    hard: Ruling,
    tab: Arc<Tab>,
}

const SWEEP_AT: usize = 1024;

/// The shares of a budget that are told, as LiteLLM does, and all of it.
const MARKS: [Mark; 3] = [Mark::Share(85), Mark::Share(95), Mark::All];

/// Before this part of a period is over nobody foresees its end.
const TOO_EARLY: u32 = 4;

// === impl SoftBudgets ===

impl SoftBudgets {
    /// Tells `crossings` of the soft budgets that `rules` say.
    pub fn new(rules: Arc<dyn Rules>, crossings: Arc<dyn Crossings>, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Books { rules, crossings, clock, soft: Mutex::default(), hard: None }))
    }

    /// The same, and of the other budgets as they are used up.
    pub fn and_others(rules: Arc<dyn Rules>, crossings: Arc<dyn Crossings>, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Books {
            rules,
            crossings,
            clock,
            soft: Mutex::default(),
            hard: Some(Mutex::default()),
        }))
    }

    /// Nothing where no budget is watched.
    fn arm(&self, call: &mut Call) -> Option<Spending> {
        let (mut soft, mut hard) = (Ruling::new(), Ruling::new());
        if call.caller.allowances.iter().any(|allowance| allowance.soft.is_some()) {
            self.0.rules.soft(call, &mut soft);
        }
        if self.0.hard.is_some() {
            self.0.rules.rules(call, &mut hard);
            hard.retain(|rule| rule.counter == Counter::Money);
        }
        if soft.is_empty() && hard.is_empty() {
            return None;
        }
        let tab = Tab::under(call.tab.take());
        call.tab = Some(Arc::clone(&tab));
        let (books, caller) = (Arc::clone(&self.0), Arc::clone(&call.caller));
        Some(Spending { books, caller, soft, hard, tab })
    }
}

impl Middleware for SoftBudgets {
    async fn handle(&self, mut call: Call, next: &impl CallService) -> Result<Reply> {
        match self.arm(&mut call) {
            Some(spending) => arm(spending).follow(next.answer(call).await),
            None => next.answer(call).await,
        }
    }
}

// === impl Spending ===

impl Observer for Spending {
    fn settle(self: Box<Self>, _: &Outcome<'_>) {
        // Attempts stand below, and what is below settles first: the ledger has added all of them.
        let cost = nano(self.tab.total());
        let now = Now::of(&*self.books.clock);
        for rule in &self.soft {
            let crossed = self.books.soft.lock().of(rule, now).spend(rule, cost, now, &[Mark::Soft]);
            self.tell(rule, crossed);
        }
        let Some(hard) = &self.books.hard else { return };
        for rule in &self.hard {
            let (crossed, foreseen) = {
                let mut standings = hard.lock();
                let standing = standings.of(rule, now);
                (standing.spend(rule, cost, now, &MARKS), standing.foresee(rule, self.books.clock.wall()))
            };
            self.tell(rule, crossed);
            self.tell(rule, foreseen);
        }
    }
}

impl Spending {
    fn tell(&self, rule: &Rule, crossed: Option<(Mark, u64)>) {
        let Some((mark, spent)) = crossed else { return };
        let period = match &rule.window {
            Window::Period { name, .. } => Some(Arc::clone(name)),
            Window::Rolling(_) | Window::Forever => None,
        };
        let (id, budget, spent) = (Arc::clone(&rule.id), dollars(rule.limit), dollars(spent));
        let crossing = Crossing { scope: rule.scope, id, budget, mark, spent, period };
        self.books.crossings.crossed(&crossing, &self.caller);
    }
}

// === impl Standings ===

impl Default for Standings {
    fn default() -> Self {
        Self { by_budget: HashMap::new(), sweep_at: SWEEP_AT }
    }
}

impl Standings {
    fn of(&mut self, rule: &Rule, now: Now) -> &mut Standing {
        if self.by_budget.len() >= self.sweep_at {
            self.by_budget.retain(|_, standing| !standing.ends.has_passed(now));
            self.sweep_at = SWEEP_AT.max(self.by_budget.len() * 2);
        }
        let fresh = || Standing::new(Ends::of(&rule.window, now), rule.turn);
        self.by_budget.entry(Key::of(rule)).or_insert_with(fresh)
    }
}

// === impl Standing ===

impl Standing {
    fn new(ends: Ends, turn: u64) -> Self {
        Self { spent: 0, ends, turn, told: 0, foretold: false }
    }

    /// The last mark that was reached and what is spent, where that is to be told: nobody was told of it yet. A call may
    /// pass several at once.
    fn spend(&mut self, rule: &Rule, cost: u64, now: Now, marks: &[Mark]) -> Option<(Mark, u64)> {
        let next = Ends::of(&rule.window, now);
        if self.ends.gives_way_to(next, now) || rule.turn > self.turn {
            *self = Self::new(next, rule.turn);
        }
        self.spent = self.spent.max(seed(rule, next, now)).saturating_add(cost);
        let reached = marks.iter().take_while(|mark| self.spent >= mark.of(rule.limit)).count();
        let told = std::mem::replace(&mut self.told, reached);
        let last = reached.checked_sub(1).and_then(|last| marks.get(last));
        last.filter(|_| reached > told).map(|mark| (*mark, self.spent))
    }

    /// Whether a budget that is not used up will be by the end of its period, once a quarter of that is over.
    fn foresee(&mut self, rule: &Rule, now: SystemTime) -> Option<(Mark, u64)> {
        let Window::Period { name, ends } = &rule.window else { return None };
        if self.foretold || self.spent == 0 || self.spent >= rule.limit {
            return None;
        }
        let length = Every::parse(name)?.about();
        let left = ends.duration_since(now).ok()?;
        let gone = length.checked_sub(left).filter(|gone| *gone >= length / TOO_EARLY)?;
        let (gone, length) = (gone.as_secs().max(1), length.as_secs());
        let spend = u128::from(self.spent) * u128::from(length) / u128::from(gone);
        let spend = u64::try_from(spend).unwrap_or(u64::MAX);
        if spend <= rule.limit {
            return None;
        }
        self.foretold = true;
        let until = u128::from(gone) * u128::from(rule.limit - self.spent) / u128::from(self.spent);
        let on = now + Duration::from_secs(u64::try_from(until).unwrap_or(0).min(left.as_secs()));
        Some((Mark::Foreseen { spend: dollars(spend), on }, self.spent))
    }
}

// === impl Mark ===

impl Mark {
    /// What is spent of a budget when it is reached.
    fn of(self, budget: u64) -> u64 {
        match self {
            Self::Share(percent) => {
                u64::try_from(u128::from(budget) * u128::from(percent) / 100).unwrap_or(budget)
            }
            Self::Soft | Self::All | Self::Foreseen { .. } => budget,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use gatewright_core::SystemClock;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn rule(limit: i64, ends: SystemTime) -> Rule {
        let window = Window::Period { name: "1d".into(), ends };
        Rule::money("api_key", "k".into(), Money(limit), window)
    }

    #[test]
    fn each_mark_is_told_once_and_the_last_one_where_a_call_passes_several() {
        let (now, rule) = (Now::of(&SystemClock), rule(1_000, SystemClock.wall() + DAY));
        let mut standing = Standing::new(Ends::of(&rule.window, now), 0);
        let mut spend = |cost| standing.spend(&rule, cost, now, &MARKS).map(|(mark, _)| mark);
        assert_eq!([spend(800), spend(49)], [None, None]);
        assert_eq!([spend(1), spend(1)], [Some(Mark::Share(85)), None]);
        assert_eq!([spend(99), spend(50)], [Some(Mark::Share(95)), Some(Mark::All)]);
        assert_eq!(spend(500), None);
        let mut standing = Standing::new(Ends::of(&rule.window, now), 0);
        assert_eq!(standing.spend(&rule, 2_000, now, &MARKS), Some((Mark::All, 2_000)));
    }

    #[test]
    fn a_budget_that_an_administrator_resets_is_told_again() {
        let (now, mut rule) = (Now::of(&SystemClock), rule(1_000, SystemClock.wall() + DAY));
        let mut standing = Standing::new(Ends::of(&rule.window, now), 0);
        assert!(standing.spend(&rule, 1_000, now, &MARKS).is_some());
        rule.turn = 1;
        assert_eq!(standing.spend(&rule, 900, now, &MARKS), Some((Mark::Share(85), 900)));
    }

    #[test]
    fn what_will_be_used_up_is_foreseen_once_when_a_quarter_of_the_period_is_over() {
        let noon = UNIX_EPOCH + Duration::from_secs(1_763_640_000);
        let ends = noon + DAY / 2;
        let now = Now::of(&SystemClock);
        let foresee = |hours: u64, spent: u64| {
            let rule = rule(1_000, ends);
            let mut standing = Standing { spent, ..Standing::new(Ends::of(&rule.window, now), 0) };
            let at = ends - DAY + Duration::from_secs(hours * 3600);
            let first = standing.foresee(&rule, at);
            assert!(standing.foresee(&rule, at).is_none(), "told once");
            first.map(|(mark, _)| mark)
        };
        assert_eq!(foresee(5, 900), None, "too early");
        assert_eq!(foresee(12, 500), None, "it lasts until the end");
        let on = noon + Duration::from_secs(8 * 3600);
        assert_eq!(foresee(12, 600), Some(Mark::Foreseen { spend: Money(1_200), on }));
        assert_eq!(foresee(12, 1_000), None, "that is told already");
    }
}
