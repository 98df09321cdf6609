//! Health checks in the background: each deployment is asked something small now and then, and what comes of it is told.

mod findings;
mod plan;
mod turns;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use futures_util::{StreamExt, stream};
use gatewright_core::CallService;
use gatewright_limits::Counts;
use gatewright_routing::{Dice, MachineDice};
use tokio::time::{Instant, sleep, sleep_until};

pub(crate) use self::findings::{Finding, Findings, Verdict};
use self::plan::Plan;
use self::turns::{Turn, Turns};
use crate::config::CheckupSettings;
use crate::live::Live;

/// The first checks of a round are spread over this share of the time between two rounds, and over no more than so long.
const SPREAD: u32 = 10;
const LONGEST_SPREAD: Duration = Duration::from_secs(30);

/// A few need not be farther apart than that.
const FARTHEST: Duration = Duration::from_secs(1);

/// How often it is looked whether another replica has checked.
const LOOK: Duration = Duration::from_secs(1);

/// The task that checks. Its calls take the stack of the attempt: they are held against a deployment's limits, and are in
/// the ledger.
pub(crate) struct Checkup<S> {
    pub(crate) settings: CheckupSettings,
    pub(crate) live: Arc<Live>,
    pub(crate) findings: Findings,
    pub(crate) attempts: S,
    pub(crate) counters: Arc<Counts>,
}

// === impl Checkup ===

impl<S: CallService> Checkup<S> {
    /// Checks as long as it is let.
    pub(crate) async fn run(self) {
        join(self.rounds(), self.forget()).await;
    }

    async fn rounds(&self) {
        let shared = self.counters.shared().filter(|_| self.settings.shared);
        let turns = shared.map(|shared| Turns::new(shared, self.settings.every));
        if let Some(turns) = &turns {
            turns.begin().await;
        }
        loop {
            let wait = match &turns {
                Some(turns) => self.in_turns(turns).await,
                None => self.alone().await,
            };
            sleep(wait).await;
        }
    }

    async fn forget(&self) {
        let stale = self.settings.stale;
        loop {
            sleep((stale / 10).clamp(Duration::from_millis(100), LONGEST_SPREAD)).await;
            self.findings.forget(stale, Instant::now());
        }
    }

    /// Answers how long to wait for the next round.
    async fn alone(&self) -> Duration {
        self.round(self.plans()).await;
        self.pause()
    }

    /// The same among replicas of which one checks for all.
    async fn in_turns(&self, turns: &Turns<'_>) -> Duration {
        let look = LOOK.min(self.settings.every);
        match turns.ask().await {
            Turn::Away => self.alone().await,
            Turn::Others => look,
            Turn::Ours => {
                let verdicts = tokio::select! {
                    verdicts = self.round(self.plans()) => verdicts,
                    () = turns.keep() => return self.pause(),
                };
                turns.end(verdicts).await;
                self.pause()
            }
            Turn::Found(verdicts, age) => {
                let at = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
                let mut plans = self.plans();
                // What the other replica does not have is checked here.
                plans.retain(|plan| !verdicts.contains_key(&plan.id));
                for (id, verdict) in verdicts {
                    self.findings.put(&id, Finding { verdict, at });
                }
                self.round(plans).await;
                self.pause().saturating_sub(age).max(look)
            }
        }
    }

    /// Checks all of these, some at once, none with the others. Answers what was found.
    async fn round(&self, plans: Vec<Plan>) -> HashMap<Arc<str>, Verdict> {
        let (begun, count) = (Instant::now(), u32::try_from(plans.len()).unwrap_or(u32::MAX).max(1));
        let apart = ((self.settings.every / SPREAD).min(LONGEST_SPREAD) / count).min(FARTHEST);
        let check = |(nth, plan): (u32, Plan)| async move {
            sleep_until(begun + apart * nth).await;
            let verdict = plan.carry_out(&self.attempts, self.settings.forgiving).await;
            self.findings.put(&plan.id, Finding { verdict: verdict.clone(), at: Instant::now() });
            (plan.id, verdict)
        };
        stream::iter((0..).zip(plans)).map(check).buffer_unordered(self.settings.at_once).collect().await
    }

    /// How each deployment is checked that is. Of one that is not, it is noted why.
    fn plans(&self) -> Vec<Plan> {
        let registry = self.live.registry.load();
        let listed = |group: &str| {
            self.settings.groups.as_ref().is_none_or(|groups| groups.iter().any(|listed| listed == group))
        };
        let plan = |deployment: &crate::config::Deployment| {
            let id = &deployment.routing.id;
            let callable = registry.find(id).is_some_and(|found| found.problem().is_none());
            if deployment.checkup.off || !listed(&deployment.routing.group) || !callable {
                return None;
            }
            let plan = Plan::of(deployment, self.live.catalogue);
            let unchecked = |why| {
                let finding = Finding { verdict: Verdict::Unknown(why), at: Instant::now() };
                self.findings.put(id, finding);
            };
            plan.map_err(unchecked).ok()
        };
        self.live.in_force(plan).into_iter().flatten().collect()
    }

    /// The time between two rounds, a little more or less: replicas that were started together do not check together.
    fn pause(&self) -> Duration {
        self.settings.every.mul_f64(0.95 + 0.1 * MachineDice.roll())
    }
}
