//! One model at one provider with one credential: the half of a deployment that makes requests.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use gatewright_catalogue::{Catalogue, Overrides, ProviderRef, ProviderRow};
use gatewright_core::{Dialect, Error, ErrorKind, Result, Secret, ServedBy, Target, shown_address};
use gatewright_transport::Trust;
use http::header::{HeaderName, HeaderValue};
use parking_lot::Mutex;

use crate::MarkAt;
use crate::authorize::aws;
use crate::authorize::token::entra;
use crate::custom::mock::Canned;
use crate::endpoint::Endpoint;
use crate::spoken::Spoken;

/// What an operator says about a deployment, already resolved and checked.
#[derive(Clone, Default)]
pub struct Params {
    /// The endpoint, in place of the provider's own.
    pub api_base: Option<String>,
    /// The credential, in place of the provider's environment variable.
    pub api_key: Option<Secret>,
    /// What addresses and credentials are made of, by the names of LiteLLM's parameters: `aws_region_name`,
    /// `vertex_credentials`, `api_version`.
    pub access: BTreeMap<String, Secret>,
    /// Whether Azure may be shown the token of the machine that the gateway runs on, where there is no key.
    pub machine_identity: bool,
    /// Headers for every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Request fields that a call may leave out, as raw JSON.
    pub defaults: Vec<(String, Bytes)>,
    /// What to do about request fields that the provider's dialect cannot carry: `Some(false)` refuses the call.
    pub drop_params: Option<bool>,
    /// Whether conversations that the provider would refuse are repaired.
    pub repair: Option<bool>,
    /// Request fields that are never sent, by their names or by paths into them (`tools[*].strict`).
    pub never_send: Vec<String>,
    /// Request fields that are sent whatever is known of the provider.
    pub always_send: Vec<String>,
    /// Prompt-cache marks that are set where the client set none.
    pub cache_marks: Vec<MarkAt>,
    /// What the operator says about the model, over what the catalogue says.
    pub overrides: Overrides,
    /// An answer in place of a provider's.
    pub mock_response: Option<String>,
    /// The provider, where the model's name does not begin with it.
    pub provider: Option<String>,
    /// Who chose the endpoint.
    pub trust: Trust,
}

/// What a deployment is called.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// Names it among all.
    pub id: &'a str,
    /// The public model name that it serves.
    pub group: &'a str,
    /// `provider/model` as configured.
    pub label: &'a str,
}

/// One model at one provider with one credential.
pub struct Deployment {
    served_by: Arc<ServedBy>,
    pub(crate) params: Params,
    backend: Backend,
    catalogue: &'static Catalogue,
    keys: Vec<(String, String)>,
}

enum Backend {
    /// One model at a known address.
    Fixed(Arc<Spoken>),
    /// A wildcard: the model comes with the call, and for `*` its provider too. Those that were called are kept.
    Named(Mutex<HashMap<Arc<str>, Arc<Spoken>>>),
    /// No upstream.
    Canned(Canned),
    /// Cannot be called, for this reason.
    Broken(Error),
}

/// Endpoints of a wildcard that are kept; beyond them it starts anew.
const MOST_KNOWN: usize = 1024;

/// What answers one attempt.
pub(crate) enum Answerer<'a> {
    Endpoint(Arc<Endpoint>),
    Canned(&'a Canned),
}

// === impl Deployment ===

impl Deployment {
    /// A deployment under these names. One that cannot be called is built all the same: it is
    /// listed and answers with a clear error.
    pub fn new(
        names: Names<'_>,
        params: Params,
        catalogue: &'static Catalogue,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let Names { id, group, label } = names;
        let split = catalogue.split(label, params.provider.as_deref());
        let provider = split.as_ref().map_or("unknown", |(provider, _)| provider.name()).to_owned();
        let backend = match (&params.mock_response, &split) {
            (Some(text), _) => Backend::Canned(Canned::new(text)),
            (None, _) if label.contains('*') => Backend::Named(Mutex::default()),
            (None, Ok((ProviderRef::Row(row), model))) => {
                match Spoken::new(row, &params, model, catalogue, env) {
                    Ok(spoken) => Backend::Fixed(Arc::new(spoken)),
                    Err(err) => Backend::Broken(err),
                }
            }
            (None, Ok((ProviderRef::Known(name), _))) => Backend::Broken(unsupported(name)),
            (None, Err(err)) => Backend::Broken(Error::new(ErrorKind::InvalidRequest, err.to_string())),
        };
        let api_base = match &backend {
            Backend::Fixed(spoken) => spoken.own().shown_base().to_owned(),
            _ => params.api_base.as_deref().map(shown_address).unwrap_or_default(),
        };
        let served_by = ServedBy {
            deployment: id.into(),
            group: group.into(),
            model: label.into(),
            api_base: api_base.into(),
            provider: provider.into(),
        };
        let keys = environment(catalogue, env);
        let keys = if matches!(backend, Backend::Named(_)) { keys } else { Vec::new() };
        Self { served_by: Arc::new(served_by), params, backend, catalogue, keys }
    }

    /// Its id.
    pub fn id(&self) -> &Arc<str> {
        &self.served_by.deployment
    }

    /// The provider's name.
    pub fn provider(&self) -> &str {
        &self.served_by.provider
    }

    /// What clients are told about who served them.
    pub fn served_by(&self, target: &Target) -> Arc<ServedBy> {
        if self.served_by.group == target.group && target.model.is_none() {
            return self.served_by.clone();
        }
        let model = target.model.clone().unwrap_or_else(|| self.served_by.model.clone());
        let provider = match self.catalogue.split(&model, self.params.provider.as_deref()) {
            Ok((provider, _)) => provider.name().into(),
            Err(_) => self.served_by.provider.clone(),
        };
        Arc::new(ServedBy { group: target.group.clone(), model, provider, ..(*self.served_by).clone() })
    }

    /// What is told of it where no target says more.
    pub fn known_as(&self) -> Arc<ServedBy> {
        self.served_by.clone()
    }

    /// Why it cannot be called, where that is so whatever the call.
    pub fn problem(&self) -> Option<&Error> {
        match &self.backend {
            Backend::Broken(err) => Some(err),
            _ => None,
        }
    }

    /// What answers an attempt at it by a client of this dialect.
    pub(crate) fn answerer(&self, target: &Target, client: Dialect) -> Result<Answerer<'_>> {
        match &self.backend {
            Backend::Fixed(spoken) => Ok(Answerer::Endpoint(spoken.to(client).clone())),
            Backend::Canned(canned) => Ok(Answerer::Canned(canned)),
            Backend::Broken(err) => Err(err.clone()),
            Backend::Named(known) => {
                self.named(known, target).map(|spoken| Answerer::Endpoint(spoken.to(client).clone()))
            }
        }
    }

    /// What answers a client of this dialect where the deployment has one model only.
    pub(crate) fn spoken_in(&self, client: Dialect) -> Result<Answerer<'_>> {
        match &self.backend {
            Backend::Fixed(spoken) => Ok(Answerer::Endpoint(spoken.to(client).clone())),
            Backend::Canned(canned) => Ok(Answerer::Canned(canned)),
            Backend::Broken(err) => Err(err.clone()),
            // Every model of a provider's has the same address for its answers.
            Backend::Named(known) => {
                let known = known.lock().values().next().cloned();
                let spoken = match known {
                    Some(spoken) => spoken,
                    None => Arc::new(self.spoken(&self.served_by.model)?),
                };
                Ok(Answerer::Endpoint(spoken.to(client).clone()))
            }
        }
    }

    fn named(&self, known: &Mutex<HashMap<Arc<str>, Arc<Spoken>>>, target: &Target) -> Result<Arc<Spoken>> {
        let label = target.model.as_ref().unwrap_or(&self.served_by.model);
        if let Some(spoken) = known.lock().get(label) {
            return Ok(spoken.clone());
        }
        let spoken = Arc::new(self.spoken(label)?);
        let mut known = known.lock();
        // Clients choose the names, and need not choose real ones.
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(label.clone(), spoken.clone());
        Ok(spoken)
    }

    fn spoken(&self, label: &str) -> Result<Spoken> {
        let (provider, model) = self
            .catalogue
            .split(label, self.params.provider.as_deref())
            .map_err(|err| Error::new(ErrorKind::InvalidRequest, err.to_string()))?;
        let env = |name: &str| self.keys.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        match provider {
            ProviderRef::Row(row) => Spoken::new(row, &self.params, model, self.catalogue, &env),
            ProviderRef::Known(name) => Err(unsupported(name)),
        }
    }
}

/// The credentials of all providers that the environment holds, read once for wildcards over any provider.
fn environment(catalogue: &Catalogue, env: &dyn Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let names = |row: &ProviderRow| {
        let variables = row.variables.values().flat_map(|variable| &variable.env);
        row.key_env.iter().chain(&row.base_env).chain(variables).cloned().collect::<Vec<_>>()
    };
    catalogue
        .providers()
        .iter()
        .flat_map(names)
        .chain(aws::VARIABLES.into_iter().chain(entra::VARIABLES).map(str::to_owned))
        .filter_map(|name| env(&name).map(|value| (name, value)))
        .collect()
}

fn unsupported(provider: &str) -> Error {
    let words =
        format!("provider '{provider}' is not supported yet; the deployment is listed but cannot be called");
    Error::new(ErrorKind::Unsupported, words)
}
