//! What one call holds until it ends, and how it is fitted to each of its attempts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gatewright_core::{Call, End, Fit, Fitting, Money, Observer, Outcome, Result, Tab};
use parking_lot::Mutex;

use crate::counters::{Counters, Grant, Used};
use crate::limits::Limits;
use crate::need::{Need, Wanted};
use crate::refusal::Owner;
use crate::rule::Ruling;
use crate::shard::Key;

/// Bytes of model output a token, where the provider did not count.
const BYTES_PER_TOKEN: u64 = 4;

/// What one call holds.
pub(crate) struct Held<C: Counters> {
    limits: Limits<C>,
    hold: C::Hold,
    /// The model that was asked for.
    asked: Arc<str>,
    tokens: u64,
    tab: Option<Arc<Tab>>,
    /// The tokens of output that it was let in with.
    covered: Option<u64>,
    /// Whether its answer was there already, so that it uses no tokens.
    given: AtomicBool,
    stand: Mutex<Stand>,
}

/// Where the call is.
struct Stand {
    /// The fallback group; `None` at the group that was asked for.
    group: Option<Arc<str>>,
    /// What it holds of there.
    rules: Arc<Ruling>,
}

/// What was taken when the call was let in.
pub(crate) struct Taken<'a> {
    pub(crate) rules: &'a Arc<Ruling>,
    pub(crate) need: &'a Need,
    pub(crate) grant: &'a Grant,
}

/// Settles a hold when its call ends.
pub(crate) struct Holding<C: Counters>(pub(crate) Arc<Held<C>>);

// === impl Held ===

impl<C: Counters> Held<C> {
    pub(crate) fn new(limits: Limits<C>, hold: C::Hold, call: &Call, taken: Taken<'_>) -> Self {
        let Taken { rules, need, grant } = taken;
        let billed = Wanted::by(rules).money && !need.is_free();
        Self {
            limits,
            hold,
            asked: Arc::clone(&call.model),
            tokens: need.tokens,
            tab: call.tab.clone(),
            covered: billed.then(|| need.of_all_answers(grant.output)),
            given: AtomicBool::new(false),
            stand: Mutex::new(Stand { group: None, rules: Arc::clone(rules) }),
        }
    }

    /// Its answer is another call's, which was counted.
    pub(crate) fn is_given(&self) {
        self.given.store(true, Ordering::Relaxed);
    }

    async fn fit_to(&self, attempt: &mut Call) -> Result<Option<u64>> {
        let spent = self.tab.as_ref().map_or(Money::ZERO, |tab| tab.total());
        let target = attempt.target()?;
        // What is shown is what was asked for until a fallback answers in its own name.
        let group = (target.shown != self.asked).then(|| Arc::clone(&target.group));
        let (before, stays) = {
            let stand = self.stand.lock();
            (Arc::clone(&stand.rules), stand.group == group)
        };
        if stays && group.is_none() && spent == Money::ZERO {
            // It was let in with what the dearest deployment of its group may cost.
            return Ok(self.covered);
        }
        let rules = if stays { Arc::clone(&before) } else { self.rules_of(attempt) };
        let wanted = Wanted::by(&rules);
        if stays && !wanted.money {
            return Ok(None);
        }
        let need = self.limits.foresee(attempt, wanted);
        let fitted = self.limits.counters.fit(&self.hold, &rules, &need, spent).await;
        let output = fitted.map_err(|refused| {
            // What limits a fallback group alone leaves the others free.
            let own = refused.rule().and_then(|place| rules.get(place)).map(Key::of);
            let known = before.iter().any(|rule| own.as_ref() == Some(&Key::of(rule)));
            let owner = if known { self.limits.owner } else { Owner::Deployment };
            self.limits.refuse(owner, &rules, refused)
        })?;
        *self.stand.lock() = Stand { group, rules };
        if wanted.money && need.caps(output) {
            attempt.output_cap = Some(output);
        }
        Ok((wanted.money && !need.is_free()).then(|| need.of_all_answers(output)))
    }

    fn rules_of(&self, attempt: &Call) -> Arc<Ruling> {
        let mut rules = Ruling::new();
        self.limits.rules.rules(attempt, &mut rules);
        Arc::new(rules)
    }
}

impl<C: Counters> Fit for Held<C> {
    fn fit<'a>(&'a self, attempt: &'a mut Call) -> Fitting<'a> {
        Box::pin(self.fit_to(attempt))
    }
}

// === impl Holding ===

impl<C: Counters> Observer for Holding<C> {
    fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
        let Held { limits, hold, tokens, tab, given, .. } = &*self.0;
        let given = given.load(Ordering::Relaxed);
        let whole = matches!(outcome.end, End::Complete);
        let used = Used {
            tokens: if given { 0 } else { used(outcome, *tokens) },
            // Attempts stand below, and what is below settles first: the ledger has added all of them.
            cost: tab.as_ref().map_or(Money::ZERO, |tab| tab.total()),
            output: outcome.usage.filter(|_| whole && !given).map(|usage| usage.output),
        };
        limits.counters.settle(hold, used);
    }
}

/// The tokens that a call used. Where it did not end well, the estimate stands unless more was seen: a client that
/// leaves early must not get around the limit by that.
fn used(outcome: &Outcome<'_>, estimate: u64) -> u64 {
    match (outcome.end, outcome.usage) {
        (End::Complete, Some(usage)) => usage.total(),
        (End::Failed(_), None) if outcome.content == 0 => 0,
        (End::Complete | End::Failed(_) | End::Abandoned, usage) => {
            let seen = usage.map_or(outcome.content / BYTES_PER_TOKEN, |usage| usage.total());
            estimate.max(seen)
        }
    }
}
