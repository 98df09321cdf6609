//! What a client is made of.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use gatewright_catalogue::{Catalogue, Overrides, Terms};
use gatewright_core::{Error, ErrorKind, Money, Result, Secret, Usage, layer};
use gatewright_providers::{Names, Params, Registry, Upstream};
use gatewright_routing::{LiveTable, Router, Rule, Table};
use gatewright_telemetry::Tracer;
use gatewright_transport::Transport;
use tower_layer::Layer;

use crate::attempt::{Attempted, Listener, Told};
use crate::{Client, client};

/// One model at one provider with one credential.
#[derive(Clone, Default)]
pub struct Deployment {
    model: String,
    params: Params,
    weight: Option<f64>,
}

/// Makes a [`Client`].
#[derive(Default)]
pub struct Builder {
    deployments: Vec<(String, Deployment)>,
    settings: gatewright_routing::Settings,
    transport: gatewright_transport::Settings,
    listener: Option<Listener>,
}

/// What each deployment costs.
pub(crate) struct Prices {
    by_id: HashMap<Arc<str>, (String, Overrides)>,
}

/// Every provider, for models that were not declared.
const ANY: &str = "*";

// === impl Deployment ===

impl Deployment {
    /// `provider/model`; the key comes from the provider's environment variable.
    pub fn of(model: impl Into<String>) -> Self {
        Self { model: model.into(), ..Self::default() }
    }

    /// The key.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.params.api_key = Some(Secret::from(key.into()));
        self
    }

    /// The endpoint, in place of the provider's own.
    #[must_use]
    pub fn api_base(mut self, url: impl Into<String>) -> Self {
        self.params.api_base = Some(url.into());
        self
    }

    /// What the address or the credential is made of, by the names of the gateway's configuration: `aws_region_name`,
    /// `vertex_project`, `api_version`.
    #[must_use]
    pub fn access(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.access.insert(name.into(), Secret::from(value.into()));
        self
    }

    /// Its share of the model's calls, relative to the others.
    #[must_use]
    pub fn weight(mut self, weight: f64) -> Self {
        self.weight = Some(weight);
        self
    }

    /// An answer in place of the provider's, for tests.
    #[must_use]
    pub fn mock(mut self, text: impl Into<String>) -> Self {
        self.params.mock_response = Some(text.into());
        self
    }
}

// === impl Builder ===

impl Builder {
    /// A deployment that serves the model of this name. Several share its calls.
    #[must_use]
    pub fn deployment(mut self, name: impl Into<String>, deployment: Deployment) -> Self {
        self.deployments.push((name.into(), deployment));
        self
    }

    /// Where to go when a model fails.
    #[must_use]
    pub fn fallback<T: Into<Arc<str>>>(
        mut self,
        model: impl Into<Arc<str>>,
        to: impl IntoIterator<Item = T>,
    ) -> Self {
        let fallbacks = to.into_iter().map(Into::into).collect();
        self.settings.fallbacks.push(Rule { group: model.into(), fallbacks });
        self
    }

    /// Attempts after the first at one model.
    #[must_use]
    pub fn retries(mut self, count: u32) -> Self {
        self.settings.num_retries = count;
        self
    }

    /// The longest that an attempt may take, and the longest wait for a stream's first content.
    #[must_use]
    pub fn timeout(mut self, longest: Duration) -> Self {
        self.settings.timeout = Some(longest);
        self
    }

    /// Told of every attempt at its end, on the task that the call runs on.
    #[must_use]
    pub fn on_attempt(mut self, listener: impl Fn(&Attempted) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// How connections are made: proxies, certificates, names.
    #[must_use]
    pub fn transport(mut self, settings: gatewright_transport::Settings) -> Self {
        self.transport = settings;
        self
    }

    /// The client. Keys are looked for in the environment now, not later.
    pub fn build(mut self) -> Result<Client> {
        // Whoever linked a second TLS provider in has chosen one already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        self.deployments.push((ANY.to_owned(), Deployment::of(ANY)));
        let catalogue = Catalogue::builtin();
        let provider_of = move |model: &str| {
            let (provider, rest) = catalogue.split(model, None).ok()?;
            (rest.len() == model.len()).then(|| provider.name().into())
        };
        self.settings.provider_of = Arc::new(provider_of);
        let (routed, called, prices) = self.halves(catalogue);
        let table = Table::build(routed, self.settings).map_err(|problems| {
            let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Error::new(ErrorKind::InvalidRequest, words.join("; "))
        })?;
        let transport = Transport::new(self.transport)
            .map_err(|err| Error::new(ErrorKind::InvalidRequest, err.to_string()))?;
        let registry = Arc::new(ArcSwap::from_pointee(Registry::new(called)));
        let settings = gatewright_providers::Settings::default();
        let upstream = Upstream::new(registry, transport, Tracer::off(false), settings);
        let prices = Arc::new(prices);
        let told = layer(Told { listener: self.listener, prices: prices.clone() }).layer(upstream);
        Ok(client::over(layer(Router::new(LiveTable::new(table))).layer(told), prices))
    }

    /// The two halves of every deployment, joined by its id, and what it costs.
    fn halves(
        &self,
        catalogue: &'static Catalogue,
    ) -> (Vec<gatewright_routing::Deployment>, Vec<gatewright_providers::Deployment>, Prices) {
        let mut halves = (Vec::new(), Vec::new(), Prices { by_id: HashMap::new() });
        for (number, (name, deployment)) in self.deployments.iter().enumerate() {
            let id: Arc<str> = format!("{name}#{number}").into();
            let provider = catalogue.split(&deployment.model, None).map_or("unknown", |(row, _)| row.name());
            halves.0.push(gatewright_routing::Deployment {
                id: id.clone(),
                group: name.as_str().into(),
                target: deployment.model.as_str().into(),
                provider: provider.into(),
                weight: deployment.weight,
                ..gatewright_routing::Deployment::default()
            });
            let names = Names { id: &id, group: name, label: &deployment.model };
            let params = deployment.params.clone();
            halves.1.push(gatewright_providers::Deployment::new(names, params, catalogue, &environment));
            let overrides = deployment.params.overrides.clone();
            halves.2.by_id.insert(id, (deployment.model.clone(), overrides));
        }
        halves
    }
}

/// The environment of the program: where providers' keys are, as their own libraries look for them.
#[expect(
    clippy::disallowed_methods,
    reason = "a library that is asked to find keys there has no other place"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

// === impl Prices ===

impl Prices {
    /// What a usage costs at a deployment; `model` is the one that a wildcard stands for.
    pub(crate) fn cost(&self, deployment: &str, model: Option<&str>, usage: &Usage) -> Option<Money> {
        let (label, overrides) = self.by_id.get(deployment)?;
        let catalogue = Catalogue::builtin();
        let (provider, model) = catalogue.split(model.unwrap_or(label), None).ok()?;
        let prices = catalogue.prices(provider.name(), model, overrides);
        (!prices.is_empty()).then(|| prices.cost(usage, Terms::default()))
    }
}
