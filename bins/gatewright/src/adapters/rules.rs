//! Which limits apply to a call, and which to an attempt.

use std::collections::HashMap;
use std::sync::Arc;

use gatewright_core::Call;
use gatewright_limits::{Counter, Rule, RuleList, Rules};

use crate::config::{Deployment, ProxyLimits};

/// Limits of the proxy and of each key.
pub(crate) struct CallRules {
    limits: ProxyLimits,
    proxy: Arc<str>,
}

/// Limits of each deployment.
pub(crate) struct DeploymentRules {
    by_id: HashMap<Arc<str>, Vec<Rule>>,
}

impl CallRules {
    pub(crate) fn new(limits: ProxyLimits) -> Self {
        Self { limits, proxy: "proxy".into() }
    }
}

impl Rules for CallRules {
    fn rules(&self, call: &Call, out: &mut RuleList) {
        if let Some(limit) = self.limits.parallel {
            out.push(Rule::new(self.proxy.clone(), Counter::Parallel, limit));
        }
        if let Some(limit) = self.limits.parallel_per_key {
            out.push(Rule::new(format!("api_key:{}", call.caller.id).into(), Counter::Parallel, limit));
        }
    }
}

impl DeploymentRules {
    pub(crate) fn new(deployments: &[Deployment]) -> Self {
        let with_rules = deployments.iter().filter_map(|deployment| {
            let rules = rules_of(deployment);
            (!rules.is_empty()).then(|| (deployment.routing.id.clone(), rules))
        });
        Self { by_id: with_rules.collect() }
    }
}

impl Rules for DeploymentRules {
    fn rules(&self, call: &Call, out: &mut RuleList) {
        if self.by_id.is_empty() {
            return;
        }
        let rules = call.target.as_ref().and_then(|target| self.by_id.get(&target.deployment));
        out.extend(rules.into_iter().flatten().cloned());
    }
}

fn rules_of(deployment: &Deployment) -> Vec<Rule> {
    let key: Arc<str> = format!("deployment:{}", deployment.routing.id).into();
    let rate = |limit: Option<u64>| limit.filter(|_| deployment.enforce_rates);
    [
        (Counter::Parallel, deployment.max_parallel),
        (Counter::Requests, rate(deployment.routing.rpm)),
        (Counter::Tokens, rate(deployment.routing.tpm)),
    ]
    .into_iter()
    .filter_map(|(counter, limit)| Some(Rule::new(key.clone(), counter, limit?)))
    .collect()
}
