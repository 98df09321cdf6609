//! The policy that holds what a call needs of every limit, and puts it right when the call ends.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::poll;
use gatewright_core::{
    Call, CallService, Clock, Decisions, Error, ErrorKind, Middleware, Reply, Result, Tab, arm,
};
use http::StatusCode;
use tokio::time::{Instant, sleep};

use crate::counters::{Counters, Grant, Refused};
use crate::held::{Held, Holding, Taken};
use crate::need::{Foresee, Need, Wanted};
use crate::refusal::{Obstacle, Owner, refusal};
use crate::rule::{Rule, Rules, Ruling};
use crate::told::{tell_cap, tell_held, tell_rates};

/// How long a call waits for money that others hold.
const BUDGET_WAIT: Duration = Duration::from_secs(10);

/// How often a call that waits looks whether its limits were changed.
const LOOK: Duration = Duration::from_millis(500);

/// Holds what a call needs of every limit that applies. The same policy stands above the router for callers and below
/// it for deployments.
pub struct Limits<C> {
    pub(crate) rules: Arc<dyn Rules>,
    pub(crate) counters: Arc<C>,
    foresee: Arc<dyn Foresee>,
    clock: Arc<dyn Clock>,
    pub(crate) owner: Owner,
    wait: Duration,
}

/// A call that is let in.
struct Admitted<C: Counters> {
    held: Arc<Held<C>>,
    grant: Grant,
    capped: bool,
}

/// The rules of a call that is let in, and what it holds of them.
type Taking<C> = (Arc<Ruling>, Admitted<C>);

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

    /// Where no budget covers the model that was asked for, the first of the caller's cheaper ones that is covered takes
    /// its place.
    async fn admit_or_downgrade(&self, call: &mut Call) -> Result<Option<Taking<C>>> {
        let refused = match self.admit(call).await {
            Err(err) if err.kind() == ErrorKind::BudgetExceeded && self.owner != Owner::Deployment => err,
            result => return result,
        };
        let caller = Arc::clone(&call.caller);
        let asked = Arc::clone(&call.model);
        for cheaper in caller.instead_of(&asked).filter(|cheaper| self.rules.permits(&caller, cheaper)) {
            call.model = Arc::clone(cheaper);
            if let Ok(taken) = self.admit(call).await {
                return Ok(taken);
            }
        }
        Err(refused)
    }

    /// Nothing where no rule applies.
    async fn admit(&self, call: &mut Call) -> Result<Option<Taking<C>>> {
        let mut rules = Ruling::new();
        self.rules.rules(call, &mut rules);
        let differ = self.owner != Owner::Deployment && self.rules.differ_by_group(&call.caller);
        if rules.is_empty() && !differ {
            return Ok(None);
        }
        let mut rules = Arc::new(rules);
        let admitted = self.hold(call, &mut rules).await?;
        Ok(Some((rules, admitted)))
    }

    /// Takes what a call needs.
    async fn hold(&self, call: &mut Call, rules: &mut Arc<Ruling>) -> Result<Admitted<C>> {
        let wanted = Wanted::by(rules);
        let need = self.foresee(call, wanted);
        let (wanted, need, (hold, grant)) = match self.counters.hold_at_once(rules, &need) {
            Some(held) => (wanted, need, self.taken(call, (rules, &need), held, Duration::ZERO)?),
            // In a box, so that a call that does not wait does not carry the room for it.
            None => Box::pin(self.hold_in_time(call, rules)).await?,
        };
        let capped = wanted.money && need.caps(grant.output);
        if capped {
            call.output_cap = Some(grant.output);
        }
        let fitted =
            self.owner != Owner::Deployment && (wanted.money || self.rules.differ_by_group(&call.caller));
        if wanted.money || fitted {
            call.tab = Some(Tab::under(call.tab.take()));
        }
        let held = Arc::new(Held::new(
            self.clone(),
            hold,
            call,
            Taken { rules: &*rules, need: &need, grant: &grant },
        ));
        if fitted {
            call.hold = Some(held.clone());
        }
        Ok(Admitted { held, grant, capped })
    }

    /// Takes what a call needs as soon as it is there, by the limits as they are by then.
    async fn hold_in_time(
        &self,
        call: &Call,
        rules: &mut Arc<Ruling>,
    ) -> Result<(Wanted, Need, (C::Hold, Grant))> {
        let until = Instant::now() + self.wait;
        loop {
            let wanted = Wanted::by(rules);
            let need = self.foresee(call, wanted);
            let left = until.saturating_duration_since(Instant::now());
            match self.held_or_changed(call, rules, &need, left).await {
                Either::Left(held) => {
                    let waited = self.wait.saturating_sub(until.saturating_duration_since(Instant::now()));
                    return Ok((wanted, need, self.taken(call, (rules, &need), held, waited)?));
                }
                // It begins to wait anew, for what it waited for is another thing now.
                Either::Right(now) => *rules = Arc::new(now),
            }
        }
    }

    /// What was taken, or the refusal; who watches the call hears of either.
    fn taken(
        &self,
        call: &Call,
        (rules, need): (&Ruling, &Need),
        held: Result<(C::Hold, Grant), Refused>,
        waited: Duration,
    ) -> Result<(C::Hold, Grant)> {
        if let Some(decisions) = self.told(call) {
            tell_held(decisions, rules, need, (&held, waited));
        }
        held.map_err(|refused| self.refuse(self.owner, rules, refused))
    }

    /// What comes first: that it has what it needs, or is refused, or that its limits are others.
    async fn held_or_changed(
        &self,
        call: &Call,
        rules: &Ruling,
        need: &Need,
        wait: Duration,
    ) -> Either<Result<(C::Hold, Grant), Refused>, Ruling> {
        let mut held = pin!(self.counters.hold(rules, need, wait));
        match poll!(&mut held) {
            Poll::Ready(held) => Either::Left(held),
            Poll::Pending if wait.is_zero() => Either::Left(held.await),
            Poll::Pending => match select(held, Box::pin(self.changed(call, rules))).await {
                Either::Left((held, _)) => Either::Left(held),
                Either::Right((now, _)) => Either::Right(now),
            },
        }
    }

    /// The limits of a call, as soon as they are others than these.
    async fn changed(&self, call: &Call, rules: &Ruling) -> Ruling {
        loop {
            sleep(LOOK).await;
            let alike = |now: &Ruling| {
                now.len() == rules.len() && now.iter().zip(rules).all(|(one, other)| one.is_like(other))
            };
            if let Some(now) = self.rules.renewed(call).await.filter(|now| !alike(now)) {
                return now;
            }
        }
    }

    /// Whom it tells what is held: where somebody asks, and not of a deployment's limits, which the router tells of.
    fn told<'a>(&self, call: &'a Call) -> Option<&'a Decisions> {
        call.decisions.as_deref().filter(|_| self.owner != Owner::Deployment)
    }

    pub(crate) fn foresee(&self, call: &Call, wanted: Wanted) -> Need {
        match wanted {
            Wanted { tokens: false, money: false } => Need::default(),
            Wanted { .. } => self.foresee.need(call, wanted),
        }
    }

    pub(crate) fn refuse(&self, owner: Owner, rules: &[Rule], refused: Refused) -> Error {
        match refused {
            Refused::Away(err) => err,
            Refused::Full { rule, taken, resets_in } => match rules.get(rule) {
                Some(rule) => {
                    refusal(owner, &Obstacle { rule, taken, resets_in, now: self.clock.unix_seconds() })
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
        let Some((rules, admitted)) = self.admit_or_downgrade(&mut call).await? else {
            take_turn(&mut call);
            return next.answer(call).await;
        };
        take_turn(&mut call);
        let Admitted { held, grant, capped } = admitted;
        let mut reply = arm(Holding(held.clone())).follow(next.answer(call).await)?;
        if reply.head.cached.as_ref().is_some_and(|cached| cached.hit) {
            held.is_given();
        }
        if capped {
            tell_cap(grant.output, &mut reply.head.told);
        }
        if self.owner != Owner::Deployment {
            tell_rates(&rules, &grant, &mut reply.head.told);
        }
        Ok(reply)
    }
}

/// Below the router, a call that waited for capacity has it now.
fn take_turn(call: &mut Call) {
    if let Some(turn) = call.turn.take() {
        turn.taken();
    }
}
