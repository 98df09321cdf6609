//! Configuration: LiteLLM's `config.yaml`, the environment and the command line, said once and then meant.

mod alerts;
mod bearer;
mod cache;
mod catalogue;
mod checkup;
mod database;
mod deployments;
mod file;
mod known;
mod marks;
mod metrics;
mod money;
mod network;
mod problem;
mod read;
mod redis;
mod rotation;
mod routing;
mod settings;
mod similar;
mod sinks;
mod strategy;
mod traces;
mod upstream;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gatewright_catalogue::{Catalogue, ProviderRow};
use gatewright_core::Secret;
use gatewright_providers::Links;
use gatewright_store::Place;
use gatewright_transport::Proxies;
use serde_json::{Map, Value};

pub use alerts::AlertSettings;
pub use cache::{CacheReader, CacheRedis, CacheSettings};
pub use catalogue::{CostMapSettings, CostMapSource};
pub use checkup::{CheckupOf, CheckupSettings};
pub use deployments::{Credential, Deployment, Entries};
pub use file::{Env, Environment};
pub use money::{CustomerDefaults, MoneySettings, Purse};
pub use network::Authorities;
pub use problem::{Problem, Problems, Severity};
pub use redis::{Certificates, RedisSettings, Sentinels};
pub use rotation::RotationSettings;
pub use settings::{JournalSettings, ProxyLimits};
pub use similar::{SimilarCache, SimilarPlace};
pub use sinks::{SinkEntry, SinkSettings, Target};

use read::Section;
use settings::Sections;
use strategy::Strategies;

/// Everything that was said, checked.
pub struct Config {
    /// What is known of providers and models.
    pub catalogue: &'static Catalogue,
    /// Where prices come from that are laid over those of the catalogue.
    pub cost_map: CostMapSettings,
    /// `model_list`, or what serves without one.
    pub deployments: Vec<Deployment>,
    /// What further entries are read with.
    pub entries: Entries,
    /// Whether models are kept in the database too.
    pub store_models: bool,
    /// Whether answers that can be gone on from are kept in the database.
    pub store_responses: bool,
    /// What the key for secrets in the database is made of; `None` where no secret was set.
    pub salt: Option<Secret>,
    /// Settings of the router.
    pub router: gatewright_routing::Settings,
    /// How deployments are checked in the background, if they are.
    pub checkup: Option<CheckupSettings>,
    /// Limits of the HTTP surface.
    pub gateway: gatewright_gateway::Settings,
    /// Limits that hold for all callers.
    pub limits: ProxyLimits,
    /// Who is told of what, where somebody is.
    pub alerts: Option<Arc<AlertSettings>>,
    /// Budgets that hold for all callers, and how money is held.
    pub money: MoneySettings,
    /// Where replicas share their counts, if they do.
    pub redis: Option<RedisSettings>,
    /// What answers are kept in, if they are.
    pub cache: Option<Box<CacheSettings>>,
    /// Reads what administrators say of that while the gateway runs.
    pub cache_reader: CacheReader,
    /// Where and how attempts are journalled.
    pub journal: JournalSettings,
    /// Where keys, teams and so on are kept.
    pub database: gatewright_store::Settings,
    /// Who may call.
    pub access: gatewright_auth::Settings,
    /// Tokens of identity providers, where they are accepted.
    pub bearer: Option<gatewright_auth::BearerSettings>,
    /// Whether a missing or published master key is accepted outside of this machine.
    pub permit_weak_key: bool,
    /// How keys are replaced by themselves, where somebody says where the new ones go.
    pub rotation: Option<RotationSettings>,
    /// What is fetched for providers that fetch nothing.
    pub links: Links,
    /// What is taken of a provider.
    pub upstream: gatewright_providers::Settings,
    /// The longest that a new connection to an upstream may take.
    pub connect_timeout: Option<Duration>,
    /// Proxies in front of the upstreams.
    pub proxies: Proxies,
    /// Whose certificates upstreams may show, besides the public authorities'.
    pub authorities: Authorities,
    /// Which metrics are told.
    pub metrics: gatewright_telemetry::MetricSettings,
    /// Logs and traces.
    pub telemetry: gatewright_telemetry::Settings,
    /// Where the records of calls go.
    pub sinks: SinkSettings,
    /// Tells apart what is only read at a start: what `general_settings` and `litellm_settings` say.
    pub fixed: u64,
    /// Names and values of the environment that `environment_variables` sets.
    pub variables: Vec<(String, String)>,
    /// What is wrong.
    pub problems: Problems,
}

/// What is said on the command line.
#[derive(Clone, Debug, Default)]
pub struct Said<'a> {
    /// The file.
    pub file: Option<&'a Path>,
    /// A text in place of a file.
    pub text: Option<&'a str>,
    /// One model in place of a file.
    pub model: Option<&'a str>,
    /// The public name of that model.
    pub alias: Option<&'a str>,
    /// The endpoint of that model.
    pub api_base: Option<&'a str>,
    /// `GATEWRIGHT__SECTION__KEY` variables, without the prefix.
    pub overlay: Vec<(String, String)>,
}

/// The model that answers without any provider.
pub const DEMO_MODEL: &str = "demo";

const DEMO_ANSWER: &str = "Hello from Gatewright! This is the built-in demo model: it answers without any provider. \
    Set a provider's API key in the environment, or start with --config, to reach real models.";

impl Config {
    /// Reads everything. Problems are collected, not thrown: whoever starts the gateway decides.
    pub fn load(said: &Said<'_>, env: Env<'_>) -> Self {
        let mut problems = Problems::default();
        let tree = match (said.file, said.text) {
            (Some(path), _) => file::load(path, &said.overlay, &mut problems),
            (None, Some(text)) => file::parse(text, &mut problems),
            (None, None) => Map::new(),
        };
        let variables = file::variables(&tree, env, &mut problems);
        let env = |name: &str| {
            let set = variables.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
            set.or_else(|| env(name))
        };
        let has_file = said.file.is_some() || said.text.is_some();
        Self::from_tree(&tree, said, has_file, &env, problems).with_variables(variables.clone())
    }

    fn from_tree(
        tree: &Map<String, Value>,
        said: &Said<'_>,
        has_file: bool,
        env: Env<'_>,
        mut problems: Problems,
    ) -> Self {
        known::check("top", "", tree, &mut problems);
        let router = resolved(tree, "router_settings", env, &mut problems);
        let litellm = resolved(tree, "litellm_settings", env, &mut problems);
        let general = resolved(tree, "general_settings", env, &mut problems);
        let sections = Sections {
            router: Section::new("router_settings", &router),
            litellm: Section::new("litellm_settings", &litellm),
            general: Section::new("general_settings", &general),
        };
        let catalogue = catalogue::read(&sections.general, &mut problems);
        let mut entries = Entries::new(tree, catalogue);
        let mut deployments = entries.read(tree, env, &mut problems);
        if router.get(deployments::DEFAULTS).is_some_and(|defaults| !defaults.is_object()) {
            problems.error(
                sections.router.at(deployments::DEFAULTS),
                "expected parameters as in `litellm_params`",
            );
        }
        match said.model {
            Some(model) => deployments.push(one_model(said, model, catalogue)),
            None if !has_file => deployments = without_file(catalogue, env),
            None => {}
        }
        entries.enforce_rates = enforces_rates(&sections.router, &mut problems);
        entries.max_parallel = sections.router.count("default_max_parallel_requests", &mut problems);
        entries.instructions_mark = marks::automatic(&sections.litellm, &mut problems);
        let machine = sections.litellm.flag("enable_azure_ad_token_refresh", &mut problems);
        entries.machine_identity = machine.unwrap_or(false);
        entries.drop_params = sections.litellm.flag("drop_params", &mut problems);
        let modify = sections.litellm.flag("modify_params", &mut problems);
        entries.modify_params =
            modify.or_else(|| env("LITELLM_MODIFY_PARAMS").map(|value| is_on(Some(value))));
        let deployments = deployments.into_iter().map(|deployment| entries.settle(deployment)).collect();
        let mut access = sections.access(&mut problems);
        access.master_key = access.master_key.or_else(|| env("LITELLM_MASTER_KEY").map(Secret::from));
        let salt = env("LITELLM_SALT_KEY").filter(|salt| !salt.is_empty()).map(Secret::from);
        let store_models = sections.general.flag("store_model_in_db", &mut problems);
        let telemetry = traces::settings(tree, &sections.litellm, env, &mut problems);
        let gateway = gatewright_gateway::Settings {
            cross_origin: access.master_key.is_some(),
            ..sections.gateway(&mut problems)
        };
        let journal = sections.journal(&mut problems);
        let database = database::settings(&sections.general, &journal.data_dir, env, &mut problems);
        let authorities = network::authorities(&sections.litellm, env, &mut problems);
        let salt = salt.or_else(|| access.master_key.clone());
        // A database in a file is there whenever the gateway is.
        access.recorded = salt.is_some() && matches!(database.place, Place::Postgres(_));
        let metrics = sections.metrics(&mut problems);
        access.shown_metadata = metrics.metadata.clone();
        Self {
            catalogue,
            cost_map: catalogue::cost_map(&sections.general, env, &mut problems),
            router: sections.router(&mut problems),
            checkup: sections.checkup(&mut problems),
            gateway,
            limits: sections.limits(&mut problems),
            money: sections.money(&mut problems),
            database,
            redis: sections.redis(env, &mut problems),
            cache: sections.cache(has_file, env, &mut problems).map(Box::new),
            cache_reader: CacheReader::new(&router, &litellm, env),
            journal,
            rotation: rotation::settings(&sections.general, env, &mut problems),
            connect_timeout: sections.general.deadline("connect_timeout", &mut problems),
            proxies: network::proxies(env, &mut problems),
            links: network::links(&sections.litellm, &sections.general, &mut problems),
            upstream: sections.upstream(&mut problems),
            alerts: alerts::settings(&sections.general, &authorities, env, &mut problems).map(Arc::new),
            authorities,
            bearer: bearer::settings(&sections.general, env, &mut problems),
            permit_weak_key: sections.permits_weak_key(&mut problems),
            deployments,
            entries,
            store_responses: sections.stores_responses(&mut problems),
            store_models: store_models.unwrap_or_else(|| is_on(env("STORE_MODEL_IN_DB"))),
            salt,
            access,
            metrics,
            telemetry,
            sinks: sinks::read(tree, (&sections.litellm, &sections.general), env, &mut problems),
            fixed: digest(&[&general, &litellm]),
            variables: Vec::new(),
            problems,
        }
    }

    fn with_variables(self, variables: Vec<(String, String)>) -> Self {
        Self { variables, ..self }
    }
}

/// A section with its variables resolved and its keys checked.
fn resolved(
    tree: &Map<String, Value>,
    name: &str,
    env: Env<'_>,
    problems: &mut Problems,
) -> Map<String, Value> {
    let mut section = match tree.get(name) {
        None | Some(Value::Null) => return Map::new(),
        Some(Value::Object(map)) => map.clone(),
        Some(_) => {
            problems.error(name, "expected keys and values");
            return Map::new();
        }
    };
    known::check(name, name, &section, problems);
    for (key, value) in &mut section {
        file::resolve(value, &format!("{name}.{key}"), env, problems);
    }
    section
}

fn digest(sections: &[&Map<String, Value>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    sections.iter().for_each(|section| Value::Object((*section).clone()).to_string().hash(&mut hasher));
    hasher.finish()
}

/// A switch of the environment, as LiteLLM reads it.
fn is_on(value: Option<String>) -> bool {
    value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

fn one_model(said: &Said<'_>, model: &str, catalogue: &'static Catalogue) -> Deployment {
    let mut deployment = deployments::plain(model, said.alias.unwrap_or(model), model, catalogue);
    deployment.params.api_base = said.api_base.map(str::to_owned);
    deployment
}

/// The demo model, and every provider whose key is in the environment.
fn without_file(catalogue: &'static Catalogue, env: Env<'_>) -> Vec<Deployment> {
    let mut demo = deployments::plain(DEMO_MODEL, DEMO_MODEL, "openai/demo", catalogue);
    demo.params.mock_response = Some(DEMO_ANSWER.to_owned());
    let has_key = |row: &&ProviderRow| {
        let key = row.key_env.iter().any(|name| env(name).is_some_and(|value| !value.is_empty()));
        key && row.base_url.is_some()
    };
    let mut all = vec![demo];
    for row in catalogue.providers().iter().filter(has_key) {
        let name = format!("{}/*", row.id);
        all.push(deployments::plain(&name, &name, &name, catalogue));
    }
    all
}

/// LiteLLM takes a deployment's `rpm` and `tpm` as limits only where it is told to, or where its strategy does.
fn enforces_rates(router: &Section<'_>, problems: &mut Problems) -> bool {
    let checks = router.texts("optional_pre_call_checks", problems);
    checks.iter().any(|check| check == "enforce_model_rate_limits")
        || router.flag("enable_pre_call_checks", problems).unwrap_or(false)
        || Strategies::read(router, &mut Problems::default()).keep_to_rates()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gatewright_routing::Queueing;

    use super::*;

    fn load(text: &str) -> Config {
        Config::load(&Said { text: Some(text), ..Said::default() }, &|name| {
            (name == "KEY").then(|| "k".to_owned())
        })
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let config = load(
            "model_list:\n- {model_name: a, litellm_params: {model: openai/a, api_bse: x, rpm: many}}\n\
             - {litellm_params: {model: openai/b}}\nrouter_settings: {num_retries: 2, routing_strategy: best, optional_pre_call_checks: [best]}\n\
             general_settings: {num_retries: 3, master_kye: x}\n",
        );
        let told: Vec<String> = config.problems.iter().map(ToString::to_string).collect();
        for want in [
            "did you mean `api_base`",
            "model_list[0].litellm_params.rpm: expected a number",
            "model_list[1].model_name: every deployment needs",
            "there is no strategy `best`",
            "router_settings.optional_pre_call_checks: there is no check `best`",
            "general_settings.num_retries: this key belongs under",
            "did you mean `master_key`",
        ] {
            assert!(told.iter().any(|line| line.contains(want)), "{want} is missing in {told:#?}");
        }
    }

    #[test]
    fn settings_mean_what_they_say() {
        let config = load(
            "model_list:\n- model_name: m\n\
             \x20 litellm_params: {model: openai/x, api_key: os.environ/KEY, temperature: 0.5, weight: 2}\n\
             router_settings:\n  num_retries: 7\n  fallbacks: [{m: [n]}]\n  model_group_alias: {x: m}\n\
             general_settings: {master_key: sk-abc, max_request_size_mb: 1}\n",
        );
        let deployment = &config.deployments[0];
        assert_eq!(deployment.params.api_key.as_ref().map(Secret::reveal), Some("k"));
        assert_eq!(deployment.params.defaults, [("temperature".to_owned(), "0.5".into())]);
        assert_eq!(deployment.routing.weight, Some(2.0));
        assert_eq!(config.router.num_retries, 7);
        assert_eq!(config.router.fallbacks.len(), 1);
        assert_eq!(config.gateway.max_body_bytes, 1 << 20);
        assert!(config.problems.is_empty(), "{:?}", config.problems.iter().collect::<Vec<_>>());
    }

    #[test]
    fn what_a_deployment_does_not_say_the_defaults_say() {
        let config = load(
            "model_list:\n- {model_name: m, litellm_params: {model: openai/x, temperature: 0.5}}\n\
             - {model_name: m, litellm_params: {model: openai/x, rpm: 9, timeout: 3}}\n\
             - {model_name: m, litellm_params: {model: openai/x, max_parallel_requests: 2}}\n\
             router_settings: {default_max_parallel_requests: 7, default_litellm_params: {timeout: 8, temperature: 1}}\n",
        );
        assert!(config.problems.is_empty(), "{:?}", config.problems.iter().collect::<Vec<_>>());
        let of = |deployment: &Deployment| {
            let temperature = deployment.params.defaults.iter().find(|(key, _)| key == "temperature");
            let timeout = deployment.routing.timeout.map(|time| time.as_secs());
            (temperature.map(|(_, value)| value.clone()), timeout, deployment.max_parallel)
        };
        let told: Vec<_> = config.deployments.iter().map(of).collect();
        assert_eq!(
            told,
            [
                (Some("0.5".into()), Some(8), Some(7)),
                (Some("1".into()), Some(3), None),
                (Some("1".into()), Some(8), Some(2)),
            ]
        );
        let wrong = load("router_settings: {default_litellm_params: 3}\n");
        assert!(wrong.problems.are_fatal());
    }

    #[test]
    fn calls_wait_for_deployments_with_limits_of_their_own() {
        let config = load(
            "model_list:\n- {model_name: m, litellm_params: {model: openai/x, max_parallel_requests: 3}}\n\
             - {model_name: m, litellm_params: {model: openai/x, rpm: 3}}\n\
             router_settings: {queue_timeout: 0, queue_length: 5, default_priority: -2}\n",
        );
        let queue = Queueing { timeout: Duration::ZERO, length: 5, priority: -2 };
        assert_eq!(config.router.queue, queue);
        let limited =
            |config: &Config| config.deployments.iter().map(|d| d.routing.limited).collect::<Vec<_>>();
        assert_eq!(limited(&config), [true, false], "a share is no limit");
        let config = load(
            "model_list:\n- {model_name: m, litellm_params: {model: openai/x, rpm: 3}}\n\
             - {model_name: m, litellm_params: {model: openai/y, tpm: 3}}\n\
             - {model_name: m, litellm_params: {model: openai/z}}\n\
             router_settings: {optional_pre_call_checks: [enforce_model_rate_limits]}\n",
        );
        assert_eq!(limited(&config), [true, true, false]);
        assert_eq!(config.router.queue, Queueing::default());
    }

    #[test]
    fn what_the_door_lets_in_and_what_is_taken_of_a_provider_is_as_it_is_said() {
        let config = load(
            "model_list:\n- {model_name: m, litellm_params: {model: openai/x}}\n\
             general_settings: {max_in_flight_requests_per_worker: 3, max_queued_requests_per_worker: 4,\n\
             \x20 admission_queue_timeout_seconds: 0.5, max_worker_delay_ms: 7, max_response_size_mb: 3,\n\
             \x20 max_upstream_error_mb: 0.5, max_upstream_event_mb: 2, max_large_upstream_events: 9,\n\
             \x20 large_upstream_event_timeout: 1.5}\n",
        );
        let (patience, bearable) = (Duration::from_millis(500), Duration::from_millis(7));
        let admission = gatewright_gateway::Admission { calls: 3, waiting: 4, patience, bearable };
        assert_eq!(config.gateway.admission, admission);
        let gatewright_providers::Settings { max_reply_bytes, max_error_bytes, max_event_bytes, .. } =
            config.upstream;
        assert_eq!([max_reply_bytes, max_error_bytes, max_event_bytes], [3 << 20, 1 << 19, 2 << 20]);
        assert_eq!(config.upstream.large_events, 9);
        assert_eq!(config.upstream.large_event_idle, Duration::from_millis(1_500));
    }

    #[test]
    fn a_fallback_of_a_single_deployment_is_reported() {
        let config =
            load("model_list:\n- {model_name: m, litellm_params: {model: openai/x, fallbacks: [n]}}\n");
        let told: Vec<_> = config.problems.iter().map(ToString::to_string).collect();
        assert!(told.len() == 1 && told[0].contains("without effect"), "{told:?}");
        assert!(!config.problems.are_fatal());
    }

    #[test]
    fn calls_are_mirrored_and_stay_together_as_it_is_said() {
        let config = load(
            "model_list:\n- {model_name: m, litellm_params: {model: openai/x, silent_model: m}}\n\
             - {model_name: m, litellm_params: {model: openai/y, silent_model: [m, n]}}\n\
             router_settings: {max_mirrors: 3, optional_pre_call_checks: [session_affinity, router_budget_limiting],\n\
             \x20 model_group_affinity_config: {m: [deployment_affinity], n: []}}\n",
        );
        let silent: Vec<_> = config.deployments.iter().map(|one| one.routing.silent.len()).collect();
        assert_eq!((silent, config.router.max_mirrors), (vec![1, 2], 3));
        let affinity = gatewright_routing::Affinity { session: true, ..Default::default() };
        assert_eq!(config.router.affinity, affinity);
        let caller = gatewright_routing::Affinity { caller: true, ..Default::default() };
        let of_groups = [("m".into(), caller), ("n".into(), Default::default())];
        assert_eq!(config.router.group_affinity, of_groups.into());
        assert!(config.deployments.iter().all(|one| one.params.defaults.is_empty()), "nothing of it is sent");
        assert!(config.problems.is_empty(), "{:?}", config.problems.iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_deadline_of_zero_is_the_default() {
        let config = load(
            "model_list:\n- {model_name: m, litellm_params: {model: openai/x, timeout: 0}}\n\
             general_settings: {write_timeout: 0}\nrouter_settings: {total_timeout: 0, stream_idle_timeout: 9}\n",
        );
        assert_eq!(config.deployments[0].routing.timeout, None);
        assert_eq!(config.gateway.write_idle, gatewright_gateway::Settings::default().write_idle);
        assert_eq!(config.router.total, gatewright_routing::Settings::default().total);
        assert_eq!(config.router.idle.as_secs(), 9);
    }
}
