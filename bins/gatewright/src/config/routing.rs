//! `router_settings` as the settings of the router.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gatewright_core::ErrorKind::{self, *};
use gatewright_core::Price;
use gatewright_routing::{Affinity, Alias, Checks, PerKind, Queueing, Rule, TagRules};
use serde_json::{Map, Value};

use super::problem::Problems;
use super::read::Section;
use super::settings::Sections;
use super::strategy::Strategies;

/// LiteLLM's classes of errors, and the kinds that they stand for.
const CLASSES: [(&str, &[ErrorKind]); 9] = [
    ("BadRequestError", &[InvalidRequest, Unsupported, ContextWindow, Unprocessable]),
    ("AuthenticationError", &[UpstreamAuth, UpstreamForbidden, PaymentRequired]),
    ("TimeoutError", &[Timeout]),
    ("RateLimitError", &[RateLimited, QuotaExhausted]),
    ("ContentPolicyViolationError", &[ContentPolicy]),
    ("InternalServerError", &[Upstream, Unreachable, Connection]),
    ("BadGatewayError", &[BadGateway]),
    ("ServiceUnavailableError", &[Unavailable]),
    ("NotFoundError", &[NotFound]),
];

impl Sections<'_> {
    /// Settings of the router. `router_settings` win over the same keys of `litellm_settings`.
    pub(super) fn router(&self, problems: &mut Problems) -> gatewright_routing::Settings {
        let defaults = gatewright_routing::Settings::default();
        let router = &self.router;
        let strategies = Strategies::read(router, problems);
        let count = |key: &str, problems: &mut Problems| {
            let value = router.count(key, problems).or_else(|| self.litellm.count(key, problems));
            value.and_then(|n| u32::try_from(n).ok())
        };
        let disabled = router.flag("disable_cooldowns", problems).unwrap_or(false);
        let cooldown = router.seconds("cooldown_time", problems).unwrap_or(defaults.cooldown_time);
        let first = router
            .deadline("first_content_timeout", problems)
            .or_else(|| router.deadline("ttft_timeout", problems));
        let request_timeout = self.litellm.deadline("request_timeout", problems);
        gatewright_routing::Settings {
            witness: None,
            aliases: aliases(router, problems),
            num_retries: count("num_retries", problems).unwrap_or(defaults.num_retries),
            retry_after: router.seconds("retry_after", problems).unwrap_or(defaults.retry_after),
            max_mirrors: router
                .count("max_mirrors", problems)
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(defaults.max_mirrors),
            max_attempts: count("max_attempts", problems).unwrap_or(defaults.max_attempts),
            max_fallbacks: count("max_fallbacks", problems).unwrap_or(defaults.max_fallbacks),
            queue: queue(router, problems),
            fallbacks: self.rules("fallbacks", problems),
            context_window_fallbacks: self.rules("context_window_fallbacks", problems),
            content_policy_fallbacks: self.rules("content_policy_fallbacks", problems),
            default_fallbacks: self.names("default_fallbacks", problems),
            timeout: router.deadline("timeout", problems).or(request_timeout),
            stream_timeout: router.deadline("stream_timeout", problems),
            first_content: first.unwrap_or(defaults.first_content),
            idle: router.deadline("stream_idle_timeout", problems).unwrap_or(defaults.idle),
            total: router.deadline("total_timeout", problems).unwrap_or(defaults.total),
            cooldown_time: if disabled { Duration::ZERO } else { cooldown },
            retries: per_kind(router, "retry_policy", "Retries", problems),
            group_retries: group_retries(router, problems),
            retry_budget: share(router, "retry_budget", problems).unwrap_or(defaults.retry_budget),
            retry_billed: router.flag("retry_billed", problems).unwrap_or(defaults.retry_billed),
            go_on: router.flag("enable_mid_stream_fallback_continuation", problems).unwrap_or(defaults.go_on),
            go_on_text: router
                .count("mid_stream_fallback_max_kb", problems)
                .map_or(defaults.go_on_text, |kilobytes| {
                    usize::try_from(kilobytes << 10).unwrap_or(usize::MAX)
                }),
            allowed_fails: self.allowed_fails(problems),
            affinity: affinity(router, "optional_pre_call_checks", problems),
            group_affinity: group_affinity(router, problems),
            checks: self.checks(strategies.any("cost-based-routing"), problems),
            pick: strategies.default,
            picks: strategies.own,
            know: defaults.know,
            provider_of: defaults.provider_of,
        }
    }

    /// What a call is held against before a deployment is chosen. The cheapest model is only worth its price where it
    /// can do what is asked.
    fn checks(&self, by_cost: bool, problems: &mut Problems) -> Checks {
        let router = &self.router;
        let empty = Map::new();
        let args = router.value("routing_strategy_args").and_then(Value::as_object).unwrap_or(&empty);
        let args = Section::new(router.at("routing_strategy_args"), args);
        let price = |key: &str, problems: &mut Problems| {
            let price = args.value(key)?;
            Price::parse_dollars(&price.to_string()).or_else(|| args.wrong(key, "a price", problems))
        };
        let tags = router.flag("enable_tag_filtering", problems).unwrap_or(false).then(|| TagRules {
            all: router.flag("tag_filtering_match_any", problems) == Some(false),
            prefix: router.text("tag_routing_prefix", problems).unwrap_or_default(),
        });
        Checks {
            before_call: router.flag("enable_pre_call_checks", problems).unwrap_or(false),
            abilities: router.flag("enable_capability_checks", problems).unwrap_or(by_cost),
            max_input_price: price("max_input_cost_per_token", problems),
            max_output_price: price("max_output_cost_per_token", problems),
            tags,
            health: router
                .flag("enable_health_check_routing", problems)
                .or_else(|| self.general.flag("enable_health_check_routing", problems))
                .unwrap_or(false),
        }
    }

    fn allowed_fails(&self, problems: &mut Problems) -> PerKind {
        let count = self.router.count("allowed_fails", problems);
        let count = count.or_else(|| self.litellm.count("allowed_fails", problems));
        let by_kind = per_kind(&self.router, "allowed_fails_policy", "AllowedFails", problems);
        let other = by_kind.other.or_else(|| count.and_then(|n| u32::try_from(n).ok()));
        PerKind { other, ..by_kind }
    }

    /// `[{group: [fallback, …]}, …]`, from either section.
    fn rules(&self, key: &str, problems: &mut Problems) -> Vec<Rule> {
        let (section, value) = match (self.router.value(key), self.litellm.value(key)) {
            (Some(value), _) => (&self.router, value),
            (None, Some(value)) => (&self.litellm, value),
            (None, None) => return Vec::new(),
        };
        let rules = value.as_array().and_then(|list| list.iter().map(rules_of).collect::<Option<Vec<_>>>());
        match rules {
            Some(rules) => rules.into_iter().flatten().collect(),
            None => section.wrong(key, "a list like [{group: [fallback]}]", problems).unwrap_or_default(),
        }
    }

    fn names(&self, key: &str, problems: &mut Problems) -> Vec<Arc<str>> {
        let section = if self.router.value(key).is_some() { &self.router } else { &self.litellm };
        section.texts(key, problems).into_iter().map(Arc::from).collect()
    }
}

/// The checks of LiteLLM's that are always made here, or by another setting.
const OTHER_CHECKS: [&str; 5] = [
    "enforce_model_rate_limits",
    "router_budget_limiting",
    "responses_api_deployment_check",
    "encrypted_content_affinity",
    "forward_client_headers_by_model_group",
];

/// Which calls belong together.
fn affinity(section: &Section<'_>, key: &str, problems: &mut Problems) -> Affinity {
    let mut affinity = Affinity::default();
    for check in section.texts(key, problems) {
        match check.as_str() {
            "session_affinity" => affinity.session = true,
            "deployment_affinity" => affinity.caller = true,
            "prompt_caching" => affinity.prefix = true,
            other if OTHER_CHECKS.contains(&other) => {}
            other => problems.warn(section.at(key), format!("there is no check `{other}`")),
        }
    }
    affinity
}

/// `{group: [session_affinity]}`: in place of what holds for all.
fn group_affinity(router: &Section<'_>, problems: &mut Problems) -> HashMap<Arc<str>, Affinity> {
    const KEY: &str = "model_group_affinity_config";
    let map = match router.value(KEY) {
        None => return HashMap::new(),
        Some(Value::Object(map)) => map,
        Some(_) => return router.wrong(KEY, "groups and their checks", problems).unwrap_or_default(),
    };
    let section = Section::new(router.at(KEY), map);
    map.keys().map(|group| (group.as_str().into(), affinity(&section, group, problems))).collect()
}

fn rules_of(entry: &Value) -> Option<Vec<Rule>> {
    let rule = |(group, targets): (&String, &Value)| {
        let fallbacks = match targets {
            Value::String(one) => vec![Arc::from(one.as_str())],
            Value::Array(list) => list.iter().map(|t| t.as_str().map(Arc::from)).collect::<Option<_>>()?,
            _ => return None,
        };
        Some(Rule { group: group.as_str().into(), fallbacks })
    };
    entry.as_object()?.iter().map(rule).collect()
}

/// `{alias: group}` or `{alias: {model: group, hidden: true}}`.
fn aliases(router: &Section<'_>, problems: &mut Problems) -> Vec<Alias> {
    const KEY: &str = "model_group_alias";
    let map: &Map<String, Value> = match router.value(KEY) {
        None => return Vec::new(),
        Some(Value::Object(map)) => map,
        Some(_) => return router.wrong(KEY, "names and what they stand for", problems).unwrap_or_default(),
    };
    let mut found = Vec::new();
    for (name, target) in map {
        let (model, hidden) = match target {
            Value::String(model) => (Some(model.as_str()), false),
            Value::Object(map) => (
                map.get("model").and_then(Value::as_str),
                map.get("hidden").and_then(Value::as_bool).unwrap_or(false),
            ),
            _ => (None, false),
        };
        match model {
            Some(model) => found.push(Alias { name: name.as_str().into(), model: model.into(), hidden }),
            None => problems.error(format!("{}.{name}", router.at(KEY)), "expected a model name"),
        }
    }
    found
}

/// `{RateLimitErrorRetries: 3, …}`: numbers by LiteLLM's classes of errors.
fn per_kind(section: &Section<'_>, key: &str, suffix: &str, problems: &mut Problems) -> PerKind {
    match section.value(key) {
        None => PerKind::default(),
        Some(Value::Object(map)) => policy(&Section::new(section.at(key), map), map, suffix, problems),
        Some(_) => section.wrong(key, "numbers by classes of errors", problems).unwrap_or_default(),
    }
}

fn policy(section: &Section<'_>, map: &Map<String, Value>, suffix: &str, problems: &mut Problems) -> PerKind {
    let mut found = PerKind::default();
    for key in map.keys() {
        let number = section.count(key, problems).and_then(|n| u32::try_from(n).ok());
        let class = key.strip_suffix(suffix).unwrap_or_default();
        let kinds = CLASSES.iter().find(|(name, _)| *name == class).map(|(_, kinds)| *kinds);
        match (kinds, number) {
            (_, None) => {}
            (Some(kinds), Some(number)) => found.of.extend(kinds.iter().map(|kind| (*kind, number))),
            (None, number) if class == "Default" => found.other = number,
            (None, _) => problems.warn(section.at(key), "no class of errors has this name"),
        }
    }
    found
}

/// `{group: {RateLimitErrorRetries: 3}}`.
fn group_retries(router: &Section<'_>, problems: &mut Problems) -> HashMap<Arc<str>, PerKind> {
    const KEY: &str = "model_group_retry_policy";
    let map = match router.value(KEY) {
        None => return HashMap::new(),
        Some(Value::Object(map)) => map,
        Some(_) => return router.wrong(KEY, "groups and their policies", problems).unwrap_or_default(),
    };
    let section = Section::new(router.at(KEY), map);
    map.keys().map(|group| (group.as_str().into(), per_kind(&section, group, "Retries", problems))).collect()
}

fn queue(router: &Section<'_>, problems: &mut Problems) -> Queueing {
    let defaults = Queueing::default();
    let length = router.count("queue_length", problems).and_then(|n| usize::try_from(n).ok());
    Queueing {
        timeout: router.seconds("queue_timeout", problems).unwrap_or(defaults.timeout),
        length: length.unwrap_or(defaults.length),
        priority: router.integer("default_priority", problems).unwrap_or(defaults.priority),
    }
}

fn share(section: &Section<'_>, key: &str, problems: &mut Problems) -> Option<f64> {
    let number = section.number(key, problems)?;
    (number >= 0.0).then_some(number).or_else(|| section.wrong(key, "a share, like 0.2", problems))
}
