//! The policy that holds what a call needs of every limit, and puts it right when the call ends.

use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{
    Call, CallService, Clock, End, Error, ErrorKind, Middleware, Money, Observer, Outcome, Reply, Result,
    Tab, watch,
};
use http::StatusCode;

use crate::counters::{Counters, Grant, Refused, Used};
use crate::need::{Foresee, Need, Wanted};
use crate::refusal::{Obstacle, Owner, refusal};
use crate::rule::{Rule, Rules, Ruling};
use crate::told::{tell_cap, tell_rates};

/// Bytes of model output a token, where the provider did not count.
const BYTES_PER_TOKEN: u64 = 4;

/// How long a call waits for money that others hold.
const BUDGET_WAIT: Duration = Duration::from_secs(10);

/// Holds what a call needs of every limit that applies. The same policy stands above the router for callers and below
/// it for deployments.
pub struct Limits<C> {
    rules: Arc<dyn Rules>,
    counters: Arc<C>,
    foresee: Arc<dyn Foresee>,
    clock: Arc<dyn Clock>,
    owner: Owner,
    wait: Duration,
}

/// What one call holds, until it ends.
struct Holding<C: Counters> {
    counters: Arc<C>,
    hold: C::Hold,
    tokens: u64,
    tab: Option<Arc<Tab>>,
}

/// A call that is let in.
struct Admitted<C: Counters> {
    holding: Holding<C>,
    grant: Grant,
    capped: bool,
}

// === impl Limits ===

impl<C: Counters> Limits<C> {
    /// Counts in `counters` what `rules` say; `foresee` answers what calls need, and is asked only where a rule counts
    /// it.
    pub fn new(
        rules: Arc<dyn Rules>,
        counters: Arc<C>,
        foresee: Arc<dyn Foresee>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let owner = Owner::Caller { budget_status: ErrorKind::BudgetExceeded.status() };
        Self { rules, counters, foresee, clock, owner, wait: BUDGET_WAIT }
    }

    /// Below the router: waits for nobody and refuses so that it tries another deployment.
    #[must_use]
    pub fn of_deployments(self) -> Self {
        Self { owner: Owner::Deployment, wait: Duration::ZERO, ..self }
    }

    /// Lets a call wait so long for money that others hold.
    #[must_use]
    pub fn waiting(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// Refuses with this status where a budget is spent.
    #[must_use]
    pub fn refusing_budgets_with(self, budget_status: StatusCode) -> Self {
        Self { owner: Owner::Caller { budget_status }, ..self }
    }

    async fn hold(&self, call: &mut Call, rules: &[Rule]) -> Result<Admitted<C>> {
        let wanted = Wanted::by(rules);
        let need = match wanted {
            Wanted { tokens: false, money: false } => Need::default(),
            Wanted { .. } => self.foresee.need(call, wanted),
        };
        let (hold, grant) = self
            .counters
            .hold(rules, &need, self.wait)
            .await
            .map_err(|refused| self.refuse(rules, refused))?;
        let billed = wanted.money && !need.is_free();
        let capped = billed && (grant.output < need.output_cap || !need.known_cap);
        if capped {
            call.output_cap = Some(grant.output);
        }
        if wanted.money {
            call.tab = Some(Tab::under(call.tab.take()));
        }
        let (counters, tab) = (Arc::clone(&self.counters), call.tab.clone());
        Ok(Admitted { holding: Holding { counters, hold, tokens: need.tokens, tab }, grant, capped })
    }

    fn refuse(&self, rules: &[Rule], refused: Refused) -> Error {
        match refused {
            Refused::Away(err) => err,
            Refused::Full { rule, taken, resets_in } => match rules.get(rule) {
                Some(rule) => {
                    refusal(self.owner, &Obstacle { rule, taken, resets_in, now: self.clock.unix_seconds() })
                }
                None => Error::new(ErrorKind::LimitReached, "Rate limit exceeded"),
            },
        }
    }
}

impl<C> Clone for Limits<C> {
    fn clone(&self) -> Self {
        Self {
            rules: Arc::clone(&self.rules),
            counters: Arc::clone(&self.counters),
            foresee: Arc::clone(&self.foresee),
            clock: Arc::clone(&self.clock),
            ..*self
        }
    }
}

impl<C: Counters> Middleware for Limits<C> {
    async fn handle(&self, mut call: Call, next: &impl CallService) -> Result<Reply> {
        let mut rules = Ruling::new();
        self.rules.rules(&call, &mut rules);
        if rules.is_empty() {
            return next.answer(call).await;
        }
        let Admitted { holding, grant, capped } = self.hold(&mut call, &rules).await?;
        let mut reply = watch(holding, next.answer(call)).await?;
        if capped {
            tell_cap(grant.output, &mut reply.head.told);
        }
        if self.owner != Owner::Deployment {
            tell_rates(&rules, &grant, &mut reply.head.told);
        }
        Ok(reply)
    }
}

// === impl Holding ===

impl<C: Counters> Observer for Holding<C> {
    fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
        let Self { counters, hold, tokens, tab } = *self;
        let whole = matches!(outcome.end, End::Complete);
        let used = Used {
            tokens: used(outcome, tokens),
            // Attempts stand below, and what is below settles first: the ledger has added all of them.
            cost: tab.map_or(Money::ZERO, |tab| tab.total()),
            output: outcome.usage.filter(|_| whole).map(|usage| usage.output),
        };
        counters.settle(hold, used);
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
