//! What each deployment costs: the ledger's tariff.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use gatewright_catalogue::{Breakdown, Catalogue, Overrides, Prices, ServiceTier, Terms};
use gatewright_core::{Call, CostParts, Json, Money, Price, Usage};
use gatewright_spend::{Charge, Quote, Tariff};

use super::pictures;
use crate::config::Deployment;

/// The prices of all deployments; replaced whole when those change.
pub(crate) struct PriceList {
    listing: ArcSwap<Listing>,
    catalogue: &'static Catalogue,
}

#[derive(Default)]
struct Listing {
    by_id: HashMap<Arc<str>, Listed>,
    by_group: HashMap<Arc<str>, Arc<str>>,
}

struct Listed {
    priced: Priced,
    overrides: Overrides,
    provider: Option<String>,
    /// The cap that the operator sets where a request has none.
    default_cap: Option<u64>,
}

/// What one request may cost at one deployment.
pub(crate) struct Ceiling {
    /// All of its input.
    pub(crate) input: Money,
    /// A token of output.
    pub(crate) output: Price,
    /// The most tokens of output, where the request sets no cap itself.
    pub(crate) cap: u64,
    /// Whether that is the deployment's own cap, and not just assumed.
    pub(crate) known_cap: bool,
}

/// What is asked of a deployment, as far as it says what that costs.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    /// Tokens of input.
    pub(crate) input: u64,
    /// The class of service.
    pub(crate) tier: ServiceTier,
    /// Neither sound nor cache marks.
    pub(crate) plain: bool,
    /// What is billed by the piece.
    pub(crate) pieces: Usage,
}

#[derive(Clone)]
struct Priced {
    provider: Arc<str>,
    model: Arc<str>,
    prices: Arc<Prices>,
    max_output: Option<u64>,
    /// The price at standard terms, made once.
    standard: Arc<dyn Charge>,
}

/// The prices of a model at some terms.
struct At {
    prices: Arc<Prices>,
    terms: Terms,
}

/// The same for a ranking whose provider does not tell how many searches it took: those that were foreseen.
struct AtLeast {
    searches: u64,
    charge: Arc<dyn Charge>,
}

/// Where neither the client nor the catalogue says how much a model may write.
const ASSUMED_OUTPUT: u64 = 4096;

// === impl Ceiling ===

impl Ceiling {
    /// Of no deployment.
    pub(crate) const NOTHING: Self = Self { input: Money::ZERO, output: Price(0), cap: 0, known_cap: true };

    /// The most of both.
    pub(crate) fn or_more(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cap: self.cap.max(other.cap),
            known_cap: self.known_cap && other.known_cap,
        }
    }
}

// === impl PriceList ===

impl PriceList {
    pub(crate) fn new(catalogue: &'static Catalogue) -> Self {
        Self { listing: ArcSwap::default(), catalogue }
    }

    /// Lists these from now on.
    pub(crate) fn replace(&self, deployments: &[Deployment]) {
        let catalogue = self.catalogue;
        let listed = |deployment: &Deployment| {
            let routing = &deployment.routing;
            let overrides = deployment.params.overrides.clone();
            let provider = deployment.params.provider.clone();
            let priced = priced(catalogue, &routing.target, provider.as_deref(), &overrides);
            let default_cap = default_cap(&deployment.params.defaults);
            (routing.id.clone(), Listed { priced, overrides, provider, default_cap })
        };
        let group =
            |deployment: &Deployment| (deployment.routing.group.clone(), deployment.routing.id.clone());
        let everybodys = deployments.iter().rev().filter(|deployment| deployment.routing.team.is_none());
        self.listing.store(Arc::new(Listing {
            by_id: deployments.iter().map(listed).collect(),
            by_group: everybodys.map(group).collect(),
        }));
    }

    /// What the operator says of the models of a deployment: their provider, and what is laid over the catalogue.
    pub(crate) fn with_overrides<T>(
        &self,
        deployment: &str,
        then: impl FnOnce(Option<&str>, &Overrides) -> T,
    ) -> T {
        let listing = self.listing.load();
        match listing.by_id.get(deployment) {
            Some(listed) => then(listed.provider.as_deref(), &listed.overrides),
            None => then(None, &Overrides::default()),
        }
    }

    /// What the usage of an answer of this deployment costs; `None` where no price is known.
    pub(crate) fn cost(&self, deployment: &str, usage: &Usage) -> Option<Money> {
        let listing = self.listing.load();
        let listed = listing.by_id.get(deployment)?;
        (!listed.priced.prices.is_empty()).then(|| listed.priced.standard.cost(usage))
    }

    /// What a request may cost at a deployment; `model` is the one that a wildcard stands for.
    pub(crate) fn ceiling(
        &self,
        call: &Call,
        (deployment, model): (&str, Option<&str>),
        asked: Asked,
    ) -> Option<Ceiling> {
        let listing = self.listing.load();
        let listed = listing.by_id.get(deployment)?;
        let priced = self.at(listed, model);
        let Priced { prices, max_output, .. } = &*self.sized(call, priced);
        let terms = Terms { tier: asked.tier, ..Terms::default() };
        let (input, output) = prices.dearest_token(asked.input, terms, asked.plain);
        let cap = listed.default_cap.or(*max_output);
        Some(Ceiling {
            // Up, not half to even: a bound must hold.
            input: Money::from_femto(input.times(asked.input).saturating_add(499_999))
                + pieces(&asked.pieces, |pieces| prices.cost(pieces, terms)),
            output,
            cap: cap.unwrap_or(ASSUMED_OUTPUT),
            known_cap: cap.is_some(),
        })
    }

    fn of(&self, call: &Call) -> Option<Priced> {
        let target = call.target.as_ref()?;
        let listing = self.listing.load();
        let listed = listing.by_id.get(&target.deployment)?;
        Some(self.sized(call, self.at(listed, target.model.as_deref())).into_owned())
    }

    /// The prices of pictures of the size and quality that the call asks for, where the catalogue tells them apart.
    fn sized<'a>(&self, call: &Call, priced: Cow<'a, Priced>) -> Cow<'a, Priced> {
        let Some(sized) = pictures::sized(self.catalogue, (&priced.provider, &priced.model), call) else {
            return priced;
        };
        let mut prices = Prices::clone(&priced.prices);
        prices.merge(&sized);
        let prices = Arc::new(prices);
        let standard = at(prices.clone(), Terms::default());
        Cow::Owned(Priced { standard, prices, ..priced.into_owned() })
    }

    fn at<'a>(&self, listed: &'a Listed, model: Option<&str>) -> Cow<'a, Priced> {
        match model {
            Some(model) => {
                Cow::Owned(priced(self.catalogue, model, listed.provider.as_deref(), &listed.overrides))
            }
            None => Cow::Borrowed(&listed.priced),
        }
    }
}

impl Tariff for PriceList {
    fn quote(&self, call: &Call) -> Quote {
        let priced =
            self.of(call).unwrap_or_else(|| priced(self.catalogue, &call.model, None, &Overrides::default()));
        let json = call.body.json();
        // Rarely below the true count for prose, code or CJK; images in base64 are far below it.
        let said = call.so_far.as_ref().map_or(0, |so_far| so_far.text_len()) as u64;
        let input_estimate = json.map_or(0, |json| (json.source_len() as u64 + said) / 3);
        let most = call.output_cap.or(priced.max_output).unwrap_or(ASSUMED_OUTPUT);
        let answers = json.map_or(1, |json| call.codec.answers(json));
        let stated = json.and_then(|json| call.codec.stated_cap(json));
        let output_cap = stated.unwrap_or(most).saturating_mul(answers);
        let ordered = gatewright_providers::ordered(call);
        let bound = priced.prices.upper_bound(input_estimate, output_cap)
            + pieces(&ordered, |pieces| priced.standard.cost(pieces));
        let charge = match json.and_then(tier) {
            None => priced.standard,
            Some(tier) => at(priced.prices, Terms { tier, ..Terms::default() }),
        };
        let charge: Arc<dyn Charge> = match ordered.search_units {
            0 => charge,
            searches => Arc::new(AtLeast { searches, charge }),
        };
        Quote {
            provider: priced.provider,
            model: priced.model,
            input_estimate,
            pieces: ordered,
            output_cap,
            bound,
            charge,
        }
    }
}

// === impl At ===

impl Charge for At {
    fn cost(&self, usage: &Usage) -> Money {
        self.prices.cost(usage, self.terms)
    }

    fn parts(&self, usage: &Usage) -> CostParts {
        let Breakdown { input, output, cache_read, cache_creation, reasoning, tool_usage, total: _ } =
            self.prices.breakdown(usage, self.terms);
        let input = Money(input.0.saturating_sub(cache_read.0).saturating_sub(cache_creation.0));
        CostParts { input, cache_read, cache_creation, output, reasoning, tool_usage }
    }
}

// === impl AtLeast ===

impl AtLeast {
    fn usage(&self, usage: &Usage) -> Usage {
        match usage.search_units {
            0 => Usage { search_units: self.searches, ..*usage },
            _ => *usage,
        }
    }
}

impl Charge for AtLeast {
    fn cost(&self, usage: &Usage) -> Money {
        self.charge.cost(&self.usage(usage))
    }

    fn parts(&self, usage: &Usage) -> CostParts {
        self.charge.parts(&self.usage(usage))
    }
}

impl gatewright_admin::Prices for PriceList {
    /// The first deployment of a group stands for it.
    fn cost(&self, model: &str, usage: &Usage) -> Option<Money> {
        let listing = self.listing.load();
        if let Some(id) = listing.by_group.get(model) {
            return self.cost(id, usage);
        }
        let priced = priced(self.catalogue, model, None, &Overrides::default());
        (!priced.prices.is_empty()).then(|| priced.standard.cost(usage))
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
        max_output: overrides.limits.max_output.or(known),
        standard: at(prices.clone(), Terms::default()),
        prices,
    }
}

/// What is billed by the piece; most calls have nothing of it.
fn pieces(pieces: &Usage, price: impl Fn(&Usage) -> Money) -> Money {
    if *pieces == Usage::default() { Money::ZERO } else { price(pieces) }
}

fn at(prices: Arc<Prices>, terms: Terms) -> Arc<dyn Charge> {
    Arc::new(At { prices, terms })
}

/// The class of service that a request wants; `None` for the standard one.
pub(crate) fn tier(json: &Json) -> Option<ServiceTier> {
    let word = json.string("service_tier").ok().flatten()?;
    Some(ServiceTier::parse(&word)).filter(|tier| *tier != ServiceTier::default())
}

fn default_cap(defaults: &[(String, Bytes)]) -> Option<u64> {
    let names = ["max_completion_tokens", "max_tokens"];
    let cap = |name| defaults.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    names.into_iter().find_map(|name| serde_json::from_slice(cap(name)?).ok())
}
