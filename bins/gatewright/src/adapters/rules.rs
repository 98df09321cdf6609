//! Which limits apply to a call, and which to an attempt.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use gatewright_auth::{Authenticator, Joined};
use gatewright_core::{Call, Caller, Clock};
use gatewright_limits::{Calendar, Cycle, Renewed, Rule, Rules, Ruling, Window};
use gatewright_routing::LiveTable;

use super::allowances;
use super::seeds::{FileBudget, Known};
use crate::config::{Deployment, MoneySettings, ProxyLimits, Purse};

/// Limits of the proxy, and of all that a caller stands for.
pub(crate) struct CallRules {
    limits: ProxyLimits,
    proxy: Arc<str>,
    budget: Option<Standing>,
    calendar: Calendar,
    known: Known,
    table: LiveTable,
    who: (Authenticator, Joined),
    clock: Arc<dyn Clock>,
}

/// Limits of each deployment, and of its provider; replaced whole when deployments change.
pub(crate) struct DeploymentRules {
    by_id: ArcSwap<HashMap<Arc<str>, Vec<Standing>>>,
    money: MoneySettings,
    known: Known,
    clock: Arc<dyn Clock>,
}

/// A rule that stands in the configuration, and the periods that it counts in, where it has such.
struct Standing {
    rule: Rule,
    cycle: Option<Cycle>,
    purse: Option<Purse>,
}

// === impl CallRules ===

impl CallRules {
    pub(crate) fn new(
        limits: ProxyLimits,
        (money, known): (&MoneySettings, Known),
        table: LiveTable,
        who: (Authenticator, Joined),
        clock: Arc<dyn Clock>,
    ) -> Self {
        let proxy: Arc<str> = "proxy".into();
        let budget =
            money.proxy.map(|purse| Standing::budget("proxy", proxy.clone(), purse, &money.calendar));
        Self { limits, proxy, budget, calendar: money.calendar.clone(), known, table, who, clock }
    }

    pub(crate) fn budgets(&self) -> Vec<FileBudget> {
        self.budget.iter().filter_map(Standing::budget_of).collect()
    }
}

impl Rules for CallRules {
    fn rules(&self, call: &Call, out: &mut Ruling) {
        if let Some(limit) = self.limits.parallel {
            out.push(Rule::parallel("proxy", self.proxy.clone(), limit));
        }
        if let Some(limit) = self.limits.parallel_per_key {
            allowances::parallel("api_key", &call.caller.id, limit, out);
        }
        if self.budget.is_none() && call.caller.allowances.is_empty() {
            return;
        }
        let now = self.clock.wall();
        out.extend(self.budget.as_ref().map(|budget| budget.at(now, &self.known)));
        allowances::rules(call, &self.calendar, now, out);
    }

    fn permits(&self, caller: &Caller, model: &str) -> bool {
        self.table.load().permits(caller, model)
    }

    fn renewed<'a>(&'a self, call: &'a Call) -> Renewed<'a> {
        let (authenticator, joined) = &self.who;
        Box::pin(async move {
            let mut now = call.clone();
            now.caller = authenticator.renewed(&call.caller).await?;
            joined.join(&mut now).await.ok()?;
            let mut rules = Ruling::new();
            self.rules(&now, &mut rules);
            Some(rules)
        })
    }

    fn soft(&self, call: &Call, out: &mut Ruling) {
        allowances::soft(call, &self.calendar, self.clock.wall(), out);
    }

    fn differ_by_group(&self, caller: &Caller) -> bool {
        caller.allowances.iter().any(|allowance| allowance.model.is_some())
    }
}

// === impl DeploymentRules ===

impl DeploymentRules {
    pub(crate) fn new(money: MoneySettings, known: Known, clock: Arc<dyn Clock>) -> Self {
        Self { by_id: ArcSwap::default(), money, known, clock }
    }

    pub(crate) fn budgets(&self) -> Vec<FileBudget> {
        self.by_id.load().values().flatten().filter_map(Standing::budget_of).collect()
    }

    /// Limits these from now on. What was counted of those that stay, stays.
    pub(crate) fn replace(&self, deployments: &[Deployment]) {
        let with_rules = deployments.iter().filter_map(|deployment| {
            let rules = rules_of(deployment, &self.money);
            (!rules.is_empty()).then(|| (deployment.routing.id.clone(), rules))
        });
        self.by_id.store(Arc::new(with_rules.collect()));
    }
}

impl Rules for DeploymentRules {
    fn rules(&self, call: &Call, out: &mut Ruling) {
        let by_id = self.by_id.load();
        if by_id.is_empty() {
            return;
        }
        let Some(rules) = call.target.as_ref().and_then(|target| by_id.get(&target.deployment)) else {
            return;
        };
        let now = self.clock.wall();
        out.extend(rules.iter().map(|rule| rule.at(now, &self.known)));
    }
}

fn rules_of(deployment: &Deployment, money: &MoneySettings) -> Vec<Standing> {
    const SCOPE: &str = "deployment";
    let routing = &deployment.routing;
    let id = &routing.id;
    let rate = |limit: Option<u64>| limit.filter(|_| deployment.enforce_rates);
    let parallel = deployment.max_parallel.map(|limit| Rule::parallel(SCOPE, id.clone(), limit));
    let requests = rate(routing.rpm).map(|limit| Rule::requests(SCOPE, id.clone(), limit));
    let tokens = rate(routing.tpm).map(|limit| Rule::tokens(SCOPE, id.clone(), limit));
    let rates = [parallel, requests, tokens].into_iter().flatten();
    let own = deployment.budget.map(|purse| Standing::budget(SCOPE, id.clone(), purse, &money.calendar));
    let of_provider = money.providers.iter().find(|(name, _)| *name == routing.provider);
    let of_provider =
        of_provider.map(|(name, purse)| Standing::budget("provider", name.clone(), *purse, &money.calendar));
    rates.map(|rule| Standing { rule, cycle: None, purse: None }).chain(own).chain(of_provider).collect()
}

// === impl Standing ===

impl Standing {
    fn budget(scope: &'static str, id: Arc<str>, purse: Purse, calendar: &Calendar) -> Self {
        let cycle = purse.every.map(|every| Cycle::new(every, calendar.clone()));
        Self { rule: Rule::money(scope, id, purse.most, Window::Forever), cycle, purse: Some(purse) }
    }

    /// The rule in the period that runs now, with what is known to be spent in it.
    fn at(&self, now: SystemTime, seeds: &Known) -> Rule {
        let rule = self.rule.clone();
        let rule = match &self.cycle {
            Some(cycle) => Rule { window: cycle.window(now), ..rule },
            None => rule,
        };
        match self.purse {
            Some(_) => seeds.seeded(rule),
            None => rule,
        }
    }

    fn budget_of(&self) -> Option<FileBudget> {
        let Rule { scope, id, .. } = &self.rule;
        self.purse.map(|purse| FileBudget { scope, id: Arc::clone(id), purse })
    }
}
