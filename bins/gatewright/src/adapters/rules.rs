//! Which limits apply to a call, and which to an attempt.

use std::collections::HashMap;
use std::sync::Arc;

use gatewright_core::Call;
use gatewright_limits::{Rule, Rules, Ruling};

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
    fn rules(&self, call: &Call, out: &mut Ruling) {
        if let Some(limit) = self.limits.parallel {
            out.push(Rule::parallel("proxy", self.proxy.clone(), limit));
        }
        if let Some(limit) = self.limits.parallel_per_key {
            out.push(Rule::parallel("api_key", call.caller.id.clone(), limit));
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
    fn rules(&self, call: &Call, out: &mut Ruling) {
        if self.by_id.is_empty() {
            return;
        }
        let rules = call.target.as_ref().and_then(|target| self.by_id.get(&target.deployment));
        out.extend(rules.into_iter().flatten().cloned());
    }
}

fn rules_of(deployment: &Deployment) -> Vec<Rule> {
    const SCOPE: &str = "deployment";
    let id = &deployment.routing.id;
    let rate = |limit: Option<u64>| limit.filter(|_| deployment.enforce_rates);
    let parallel = deployment.max_parallel.map(|limit| Rule::parallel(SCOPE, id.clone(), limit));
    let requests = rate(deployment.routing.rpm).map(|limit| Rule::requests(SCOPE, id.clone(), limit));
    let tokens = rate(deployment.routing.tpm).map(|limit| Rule::tokens(SCOPE, id.clone(), limit));
    [parallel, requests, tokens].into_iter().flatten().collect()
}
