//! The policy that holds what a call needs of every limit, and puts it right when the call ends.

use std::sync::Arc;

use gatewright_core::{
    Call, CallService, Clock, End, Error, ErrorKind, Middleware, Observer, Outcome, Reply, Result, watch,
};

use crate::counters::{Counters, Refused};
use crate::refusal::refusal;
use crate::rule::{Counter, Rule, Rules, Ruling};

/// Bytes of model output a token, where the provider did not count.
const BYTES_PER_TOKEN: u64 = 4;

/// Holds what a call needs of every limit that applies. The same policy stands above the router for callers and below
/// it for deployments.
pub struct Limits<C> {
    rules: Arc<dyn Rules>,
    counters: Arc<C>,
    estimate: Arc<dyn Fn(&Call) -> u64 + Send + Sync>,
    clock: Arc<dyn Clock>,
    kind: ErrorKind,
}

/// What one call holds, until it ends.
struct Holding<C: Counters> {
    counters: Arc<C>,
    hold: C::Hold,
    tokens: u64,
}

// === impl Limits ===

impl<C: Counters> Limits<C> {
    /// Counts in `counters` what `rules` say. `estimate` answers the tokens that a call is held for; it is asked only
    /// where a rule counts them.
    pub fn new(
        rules: Arc<dyn Rules>,
        counters: Arc<C>,
        estimate: Arc<dyn Fn(&Call) -> u64 + Send + Sync>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { rules, counters, estimate, clock, kind: ErrorKind::LimitReached }
    }

    /// Refuses with another kind: below the router one that lets it try another deployment.
    pub fn refusing_with(self, kind: ErrorKind) -> Self {
        Self { kind, ..self }
    }

    async fn hold(&self, call: &Call, rules: &[Rule]) -> Result<Holding<C>> {
        let counts_tokens = rules.iter().any(|rule| rule.counter == Counter::Tokens);
        let tokens = if counts_tokens { (self.estimate)(call) } else { 0 };
        match self.counters.hold(rules, tokens).await {
            Ok(hold) => Ok(Holding { counters: Arc::clone(&self.counters), hold, tokens }),
            Err(Refused::Away(err)) => Err(err),
            Err(Refused::Full { rule, remaining, resets_in }) => Err(match rules.get(rule) {
                Some(rule) => refusal(self.kind, rule, remaining, resets_in, self.clock.unix_seconds()),
                None => Error::new(self.kind, "Rate limit exceeded"),
            }),
        }
    }
}

impl<C> Clone for Limits<C> {
    fn clone(&self) -> Self {
        Self {
            rules: Arc::clone(&self.rules),
            counters: Arc::clone(&self.counters),
            estimate: Arc::clone(&self.estimate),
            clock: Arc::clone(&self.clock),
            kind: self.kind,
        }
    }
}

impl<C: Counters> Middleware for Limits<C> {
    async fn handle(&self, call: Call, next: &impl CallService) -> Result<Reply> {
        let mut rules = Ruling::new();
        self.rules.rules(&call, &mut rules);
        if rules.is_empty() {
            return next.answer(call).await;
        }
        let holding = self.hold(&call, &rules).await?;
        watch(holding, next.answer(call)).await
    }
}

// === impl Holding ===

impl<C: Counters> Observer for Holding<C> {
    fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
        let Self { counters, hold, tokens } = *self;
        counters.settle(hold, used(outcome, tokens));
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
