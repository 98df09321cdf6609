//! What each deployment costs: the ledger's tariff.

use std::collections::HashMap;
use std::sync::Arc;

use gatewright_catalogue::{Catalogue, Overrides, Prices, ServiceTier, Terms};
use gatewright_core::{Body, Call, Json, Money, Usage};
use gatewright_spend::{Quote, Tariff};

use crate::config::Deployment;

/// The prices of all deployments by id.
pub(crate) struct PriceList {
    by_id: HashMap<Arc<str>, Listed>,
    catalogue: &'static Catalogue,
}

struct Listed {
    priced: Priced,
    overrides: Overrides,
    provider: Option<String>,
}

#[derive(Clone)]
struct Priced {
    provider: Arc<str>,
    model: Arc<str>,
    prices: Arc<Prices>,
    max_output: u64,
    /// The price at standard terms, made once.
    standard: Arc<dyn Fn(&Usage) -> Money + Send + Sync>,
}

/// Where neither the client nor the catalogue says how much a model may write.
const ASSUMED_OUTPUT: u64 = 4096;

// === impl PriceList ===

impl PriceList {
    pub(crate) fn new(deployments: &[Deployment], catalogue: &'static Catalogue) -> Self {
        let listed = |deployment: &Deployment| {
            let routing = &deployment.routing;
            let overrides = deployment.params.overrides.clone();
            let provider = deployment.params.provider.clone();
            let priced = priced(catalogue, &routing.target, provider.as_deref(), &overrides);
            (routing.id.clone(), Listed { priced, overrides, provider })
        };
        Self { by_id: deployments.iter().map(listed).collect(), catalogue }
    }

    /// What the usage of an answer of this deployment costs; `None` where no price is known.
    pub(crate) fn cost(&self, deployment: &str, usage: &Usage) -> Option<Money> {
        let listed = self.by_id.get(deployment)?;
        (!listed.priced.prices.is_empty()).then(|| (listed.priced.standard)(usage))
    }

    fn of(&self, call: &Call) -> Option<Priced> {
        let target = call.target.as_ref()?;
        let listed = self.by_id.get(&target.deployment)?;
        Some(match &target.model {
            Some(model) => priced(self.catalogue, model, listed.provider.as_deref(), &listed.overrides),
            None => listed.priced.clone(),
        })
    }
}

impl Tariff for PriceList {
    fn quote(&self, call: &Call) -> Quote {
        let priced =
            self.of(call).unwrap_or_else(|| priced(self.catalogue, &call.model, None, &Overrides::default()));
        let json = match &call.body {
            Body::Json(json) => Some(json),
            Body::Opaque(_) => None,
        };
        // Rarely below the true count for prose, code or CJK; images in base64 are far below it.
        let input_estimate = json.map_or(0, |json| json.source_len() as u64 / 3);
        let output_cap = json.and_then(output_cap).unwrap_or(priced.max_output);
        let bound = priced.prices.upper_bound(input_estimate, output_cap);
        let price = match json.and_then(tier) {
            None => priced.standard,
            Some(tier) => at(priced.prices, Terms { tier, ..Terms::default() }),
        };
        Quote { provider: priced.provider, model: priced.model, input_estimate, output_cap, bound, price }
    }
}

fn priced(catalogue: &Catalogue, label: &str, provider: Option<&str>, overrides: &Overrides) -> Priced {
    let (provider, model) = match catalogue.split(label, provider) {
        Ok((provider, model)) => (provider.name(), model),
        Err(_) => ("unknown", label),
    };
    let prices = Arc::new(catalogue.prices(provider, model, overrides));
    let known = catalogue.model(provider, model).and_then(|row| row.limits.max_output);
    Priced {
        provider: provider.into(),
        model: model.into(),
        max_output: overrides.limits.max_output.or(known).unwrap_or(ASSUMED_OUTPUT),
        standard: at(prices.clone(), Terms::default()),
        prices,
    }
}

fn at(prices: Arc<Prices>, terms: Terms) -> Arc<dyn Fn(&Usage) -> Money + Send + Sync> {
    Arc::new(move |usage| prices.cost(usage, terms))
}

fn output_cap(json: &Json) -> Option<u64> {
    let cap = |key: &str| json.get::<u64>(key).ok().flatten();
    let each = cap("max_completion_tokens").or_else(|| cap("max_tokens"))?;
    Some(each.saturating_mul(cap("n").unwrap_or(1)))
}

fn tier(json: &Json) -> Option<ServiceTier> {
    let word = json.string("service_tier").ok().flatten()?;
    Some(ServiceTier::parse(&word)).filter(|tier| *tier != ServiceTier::default())
}
