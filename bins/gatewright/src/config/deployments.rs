//! `model_list`: each entry as the halves that routing, providers and the price list need.

use std::sync::Arc;

use bytes::Bytes;
use gatewright_catalogue::{Catalogue, Overrides, ProviderRow};
use gatewright_core::Secret;
use gatewright_core::chat::CacheMark;
use gatewright_providers::Params;
use gatewright_routing::Agents;
use gatewright_transport::Trust;
use http::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::checkup::CheckupOf;
use super::file::{Env, resolve};
use super::money::{Purse, purse};
use super::problem::Problems;
use super::read::Section;
use super::{known, marks};

/// One entry of `model_list`, checked.
#[derive(Clone)]
pub struct Deployment {
    /// What routing needs.
    pub routing: gatewright_routing::Deployment,
    /// What making requests needs.
    pub params: Params,
    /// Calls at the same time; `None` means any number.
    pub max_parallel: Option<u64>,
    /// What all calls of it together may cost.
    pub budget: Option<Purse>,
    /// Whether its `rpm` and `tpm` are limits, not only shares.
    pub enforce_rates: bool,
    /// How it is checked in the background.
    pub checkup: CheckupOf,
    /// Whether it is kept in the database.
    pub stored: bool,
    /// `model_info` as it was written, for `/model/info`.
    pub model_info: Map<String, Value>,
}

/// Keys of `litellm_params` that are about the deployment, not about the request; all others are defaults for the
/// request's body.
const ABOUT: [&str; 42] = [
    "cache_control_injection_points",
    "model",
    "api_key",
    "api_base",
    "base_url",
    "api_version",
    "organization",
    "custom_llm_provider",
    "rpm",
    "tpm",
    "weight",
    "timeout",
    "stream_timeout",
    "stream_idle_timeout",
    "ttft_timeout",
    "first_content_timeout",
    "max_retries",
    "num_retries",
    "headers",
    "extra_headers",
    "tags",
    "tag_regex",
    "order",
    "max_parallel_requests",
    "max_budget",
    "budget_duration",
    "mock_response",
    "drop_params",
    "modify_params",
    "additional_drop_params",
    "allowed_openai_params",
    "cooldown_time",
    "base_model",
    "litellm_credential_name",
    "model_id",
    "silent_model",
    "fallbacks",
    "context_window_fallbacks",
    "region_name",
    "guardrails",
    "use_in_pass_through",
    "configurable_clientside_auth_params",
];

/// The key of `router_settings` for what every deployment has that does not say it itself.
pub(super) const DEFAULTS: &str = "default_litellm_params";

/// What LiteLLM reads of a deployment and takes for the request's.
const WAYS: [&str; 2] = ["fallbacks", "context_window_fallbacks"];

/// What entries are read with, those of `model_list` and those of the database.
#[derive(Clone)]
pub struct Entries {
    catalogue: &'static Catalogue,
    /// `credential_list`: values that a deployment takes by name.
    pub credentials: Vec<Credential>,
    /// `litellm_params` of every deployment that does not say them itself.
    defaults: Map<String, Value>,
    /// Calls at the same time of a deployment that says nothing of how much it takes.
    pub(super) max_parallel: Option<u64>,
    /// Whether `rpm` and `tpm` are limits.
    pub(super) enforce_rates: bool,
    /// What is done with parameters that a provider does not know, where a deployment does not say.
    pub(super) drop_params: Option<bool>,
    /// Whether conversations are repaired that a provider would refuse, where a deployment does not say.
    pub(super) modify_params: Option<bool>,
    /// Whether long instructions are marked for the provider's prompt cache, and for how long.
    pub(super) instructions_mark: Option<CacheMark>,
    pub(super) machine_identity: bool,
}

/// One entry of `credential_list`.
#[derive(Clone)]
pub struct Credential {
    /// The name that deployments give.
    pub name: String,
    /// What is known of it.
    pub info: Value,
    /// What a deployment takes of it.
    pub values: Map<String, Value>,
}

// === impl Entries ===

impl Entries {
    pub(super) fn new(tree: &Map<String, Value>, catalogue: &'static Catalogue) -> Self {
        let list = tree.get("credential_list").and_then(Value::as_array).into_iter().flatten();
        let named = |entry: &Value| {
            Some(Credential {
                name: entry.get("credential_name")?.as_str()?.to_owned(),
                info: entry.get("credential_info").cloned().unwrap_or_default(),
                values: entry.get("credential_values")?.as_object()?.clone(),
            })
        };
        let credentials = list.filter_map(named).collect();
        let router = tree.get("router_settings").and_then(|router| router.get(DEFAULTS));
        Self {
            catalogue,
            credentials,
            defaults: router.and_then(Value::as_object).cloned().unwrap_or_default(),
            max_parallel: None,
            enforce_rates: false,
            drop_params: None,
            modify_params: None,
            instructions_mark: None,
            machine_identity: false,
        }
    }

    /// The same, read with what this catalogue knows.
    pub(crate) fn knowing(self, catalogue: &'static Catalogue) -> Self {
        Self { catalogue, ..self }
    }

    /// Reads `model_list`.
    pub(super) fn read(
        &self,
        tree: &Map<String, Value>,
        env: Env<'_>,
        problems: &mut Problems,
    ) -> Vec<Deployment> {
        let list = match tree.get("model_list") {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(_) => {
                problems.error("model_list", "expected a list");
                return Vec::new();
            }
        };
        let entries = list.iter().enumerate();
        entries
            .filter_map(|(i, entry)| self.entry(format!("model_list[{i}]"), entry, env, problems))
            .collect()
    }

    /// Reads an entry that stands elsewhere, with the credentials that `self` has.
    pub fn read_one(&self, entry: &Value, env: Env<'_>) -> Result<Deployment, Vec<String>> {
        let mut problems = Problems::default();
        let found = self.entry(String::new(), entry, env, &mut problems);
        match found {
            Some(deployment) if !problems.are_fatal() => Ok(self.settle(deployment)),
            _ => Err(problems.errors().map(|problem| problem.told()).collect()),
        }
    }

    /// The same for entries that may name no credential.
    pub fn without_credentials(&self) -> Self {
        Self { credentials: Vec::new(), ..self.clone() }
    }

    /// Gives a deployment what holds for all.
    pub(super) fn settle(&self, mut deployment: Deployment) -> Deployment {
        deployment.enforce_rates = self.enforce_rates;
        let routing = &mut deployment.routing;
        if routing.rpm.or(routing.tpm).is_none() {
            deployment.max_parallel = deployment.max_parallel.or(self.max_parallel);
        }
        let rates = self.enforce_rates && routing.rpm.or(routing.tpm).is_some();
        routing.limited = rates || deployment.max_parallel.is_some();
        deployment.params.machine_identity = self.machine_identity;
        deployment.params.drop_params = deployment.params.drop_params.or(self.drop_params);
        deployment.params.repair = deployment.params.repair.or(self.modify_params);
        if let (true, Some(mark)) = (deployment.params.cache_marks.is_empty(), self.instructions_mark) {
            deployment.params.cache_marks = marks::instructions(&deployment.routing.provider, mark);
        }
        deployment
    }

    fn entry(
        &self,
        path: String,
        entry: &Value,
        env: Env<'_>,
        problems: &mut Problems,
    ) -> Option<Deployment> {
        let Self { catalogue, ref defaults, ref credentials, .. } = *self;
        Reader { path, catalogue, env, defaults, credentials }.entry(entry, problems)
    }
}

struct Reader<'a> {
    path: String,
    catalogue: &'static Catalogue,
    env: Env<'a>,
    defaults: &'a Map<String, Value>,
    credentials: &'a [Credential],
}

impl Reader<'_> {
    fn entry(&self, entry: &Value, problems: &mut Problems) -> Option<Deployment> {
        let Value::Object(entry) = entry else {
            problems.error(&self.path, "expected `model_name` and `litellm_params`");
            return None;
        };
        known::check("deployment", &self.path, entry, problems);
        let top = Section::new(self.path.clone(), entry);
        let group = top.text("model_name", problems);
        let params_path = top.at("litellm_params");
        let mut params = match entry.get("litellm_params") {
            Some(Value::Object(params)) => params.clone(),
            _ => {
                problems.error(params_path, "expected `model` and how to call it");
                return None;
            }
        };
        let mut info = entry.get("model_info").and_then(Value::as_object).cloned().unwrap_or_default();
        let read = |key: &str| self.catalogue.providers().iter().any(|row| row.reads(key));
        known::check_params(&params_path, &params, &read, problems);
        for key in WAYS.iter().filter(|key| params.contains_key(**key)) {
            let why = format!("without effect: a fallback belongs to a group, in `router_settings.{key}`");
            problems.warn(format!("{params_path}.{key}"), why);
        }
        self.check_info(&info, problems);
        let id = id_of(group.as_deref(), &params, &info);
        for (key, value) in self.defaults {
            params.entry(key).or_insert_with(|| value.clone());
        }
        self.resolve_all(&mut params, &params_path, problems);
        self.resolve_all(&mut info, &top.at("model_info"), problems);
        self.take_credential(&mut params, &params_path, problems);
        let Some(group) = group else {
            problems.error(top.at("model_name"), "every deployment needs the public name that it serves");
            return None;
        };
        let section = Section::new(&params_path, &params);
        let Some(model) = section.text("model", problems) else {
            problems.error(section.at("model"), "every deployment needs a model (`provider/model`)");
            return None;
        };
        let names = Names { id: &id, group: &group, model: &model };
        Some(self.deployment(&names, &section, (&params, info), problems))
    }

    fn deployment(
        &self,
        names: &Names<'_>,
        section: &Section<'_>,
        (params, info): (&Map<String, Value>, Map<String, Value>),
        problems: &mut Problems,
    ) -> Deployment {
        let overrides = Overrides::read(&[params, &info]).unwrap_or_else(|faults| {
            for fault in faults {
                problems.error(section.at(&fault.field), format!("'{}' is not a price", fault.value));
            }
            Overrides::default()
        });
        let provider = section.text("custom_llm_provider", problems);
        let split = self.catalogue.split(names.model, provider.as_deref());
        if let (Err(err), false) = (&split, names.model.contains('*')) {
            problems.warn(section.at("model"), format!("{err}; the deployment answers with an error"));
        }
        let told = Section::new(format!("{}.model_info", self.path), &info);
        let checkup = CheckupOf::read(&told, problems);
        let access_groups = told.texts("access_groups", problems).into_iter().map(Arc::from).collect();
        let routing = gatewright_routing::Deployment {
            id: names.id.into(),
            group: names.group.into(),
            access_groups,
            target: names.model.into(),
            team: None,
            provider: split.as_ref().map_or("unknown", |(provider, _)| provider.name()).into(),
            weight: section.number("weight", problems),
            rpm: section.count("rpm", problems),
            tpm: section.count("tpm", problems),
            limited: false,
            order: section.count("order", problems).and_then(|n| u32::try_from(n).ok()),
            timeout: section.deadline("timeout", problems),
            stream_timeout: ["stream_timeout", "first_content_timeout", "ttft_timeout"]
                .iter()
                .find_map(|key| section.deadline(key, problems)),
            idle: section.deadline("stream_idle_timeout", problems),
            num_retries: section
                .count("num_retries", problems)
                .or_else(|| section.count("max_retries", problems))
                .and_then(|n| u32::try_from(n).ok()),
            cooldown_time: section.seconds("cooldown_time", problems),
            tags: section.texts("tags", problems).into_iter().map(Arc::from).collect(),
            agents: agents(section, problems),
            silent: section.texts("silent_model", problems).into_iter().map(Arc::from).collect(),
            region: region(section, problems),
            model: gatewright_routing::Model::default(),
        };
        let max_parallel = section.count("max_parallel_requests", problems);
        let budget = purse(section, problems);
        let row = split.ok().and_then(|(provider, _)| provider.row());
        let params = self.params(section, (params, row), (overrides, provider), problems);
        Deployment {
            routing,
            params,
            max_parallel,
            budget,
            enforce_rates: false,
            checkup,
            stored: false,
            model_info: info,
        }
    }

    fn params(
        &self,
        section: &Section<'_>,
        (map, row): (&Map<String, Value>, Option<&ProviderRow>),
        (overrides, provider): (Overrides, Option<String>),
        problems: &mut Problems,
    ) -> Params {
        let is_access = |key: &str| {
            known::is_credential(key) || key == "model_id" || row.is_some_and(|row| row.reads(key))
        };
        let is_default = |(key, value): &(&String, &Value)| {
            !value.is_null() && !ABOUT.contains(&key.as_str()) && !known::is_price(key) && !is_access(key)
        };
        let access = map.iter().filter(|(key, _)| is_access(key)).filter_map(access);
        let defaults = map.iter().filter(is_default).map(|(key, value)| (key.clone(), raw(value)));
        let extra_body = map.get("extra_body").and_then(Value::as_object);
        let extra = extra_body.into_iter().flatten().map(|(key, value)| (key.clone(), raw(value)));
        let mut headers = self.headers(section, "headers", problems);
        headers.extend(self.headers(section, "extra_headers", problems));
        if let Some(organization) = section.text("organization", problems) {
            headers.extend(header("openai-organization", &organization));
        }
        Params {
            api_base: section.text("api_base", problems).or_else(|| section.text("base_url", problems)),
            api_key: section.text("api_key", problems).map(Secret::from),
            access: access.collect(),
            machine_identity: false,
            headers,
            defaults: defaults.filter(|(key, _)| key != "extra_body").chain(extra).collect(),
            drop_params: section.flag("drop_params", problems),
            repair: section.flag("modify_params", problems),
            never_send: section.texts("additional_drop_params", problems),
            always_send: section.texts("allowed_openai_params", problems),
            cache_marks: marks::read(section, problems),
            overrides,
            mock_response: section.text("mock_response", problems),
            provider,
            trust: Trust::default(),
        }
    }

    fn headers(
        &self,
        section: &Section<'_>,
        key: &str,
        problems: &mut Problems,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let map = match section.value(key) {
            None => return Vec::new(),
            Some(Value::Object(map)) => map,
            Some(_) => {
                return section.wrong(key, "names and values of headers", problems).unwrap_or_default();
            }
        };
        let read = |(name, value): (&String, &Value)| header(name, value.as_str()?);
        map.iter()
            .filter_map(|pair| {
                let found = read(pair);
                if found.is_none() {
                    problems.error(format!("{}.{}", section.at(key), pair.0), "cannot stand in a header");
                }
                found
            })
            .collect()
    }

    fn check_info(&self, info: &Map<String, Value>, problems: &mut Problems) {
        let unfamiliar =
            info.iter().filter(|(key, _)| !key.starts_with("supports_") && !known::is_price(key));
        let unfamiliar: Map<String, Value> = unfamiliar.map(|(k, v)| (k.clone(), v.clone())).collect();
        known::check_similar("model_info", &format!("{}.model_info", self.path), &unfamiliar, problems);
    }

    fn resolve_all(&self, map: &mut Map<String, Value>, path: &str, problems: &mut Problems) {
        for (key, value) in map.iter_mut() {
            resolve(value, &format!("{path}.{key}"), self.env, problems);
        }
    }

    /// What the deployment says itself wins over its named credential.
    fn take_credential(&self, params: &mut Map<String, Value>, path: &str, problems: &mut Problems) {
        let Some(name) = params.get("litellm_credential_name").and_then(Value::as_str) else { return };
        let Some(credential) = self.credentials.iter().find(|credential| credential.name == name) else {
            problems.error(
                format!("{path}.litellm_credential_name"),
                format!("there is no credential named '{name}'"),
            );
            return;
        };
        let mut values = credential.values.clone();
        self.resolve_all(&mut values, "credential_list", problems);
        for (key, value) in values {
            params.entry(key).or_insert(value);
        }
    }
}

struct Names<'a> {
    id: &'a str,
    group: &'a str,
    model: &'a str,
}

/// The operator's id, else a digest of the entry: the same entry has the same id after a restart.
fn id_of(group: Option<&str>, params: &Map<String, Value>, info: &Map<String, Value>) -> String {
    if let Some(id) = info.get("id").and_then(Value::as_str) {
        return id.to_owned();
    }
    let mut digest = Sha256::new();
    digest.update(group.unwrap_or_default());
    digest.update(Value::Object(params.clone()).to_string());
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::from_str(value).ok()?;
    // An operator's header may hold a credential.
    value.set_sensitive(true);
    Some((HeaderName::try_from(name).ok()?, value))
}

/// What an address or a credential is made of. LiteLLM takes a service account as an object too.
fn access((key, value): (&String, &Value)) -> Option<(String, Secret)> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some((key.clone(), Secret::from(text)))
}

fn raw(value: &Value) -> Bytes {
    value.to_string().into()
}

/// Patterns of `User-Agent` lines.
fn agents(section: &Section<'_>, problems: &mut Problems) -> Vec<Agents> {
    const KEY: &str = "tag_regex";
    let patterns = section.texts(KEY, problems);
    let parse =
        |pattern: &String| Agents::parse(pattern).map_err(|err| problems.error(section.at(KEY), err)).ok();
    patterns.iter().filter_map(parse).collect()
}

/// Where it is: as it is said, else by the region of the cloud it runs in.
fn region(section: &Section<'_>, problems: &mut Problems) -> Option<Arc<str>> {
    let said = section.text("region_name", problems);
    let cloud = ["aws_region_name", "vertex_location"].iter().find_map(|key| section.text(key, problems));
    let of_cloud = |place: String| match place.as_str() {
        place if place.starts_with("eu") => Some(Arc::from("eu")),
        place if place.starts_with("us") => Some(Arc::from("us")),
        _ => None,
    };
    said.map(Arc::from).or_else(|| cloud.and_then(of_cloud))
}

/// A deployment that is not in any file.
pub(super) fn plain(id: &str, group: &str, model: &str, catalogue: &'static Catalogue) -> Deployment {
    let provider = catalogue.split(model, None).map_or("unknown", |(provider, _)| provider.name());
    Deployment {
        routing: gatewright_routing::Deployment {
            id: id.into(),
            group: group.into(),
            target: model.into(),
            provider: Arc::from(provider),
            ..gatewright_routing::Deployment::default()
        },
        params: Params::default(),
        max_parallel: None,
        budget: None,
        enforce_rates: false,
        checkup: CheckupOf::default(),
        stored: false,
        model_info: Map::new(),
    }
}
