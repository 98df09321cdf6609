//! Health checks in the background: LiteLLM's keys for how often, of what, and what a failure counts for.

use std::time::Duration;

use super::problem::Problems;
use super::read::Section;
use super::settings::Sections;

/// How deployments are checked in the background.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckupSettings {
    /// How often each is checked.
    pub every: Duration,
    /// How long a result counts.
    pub stale: Duration,
    /// Checks that run at the same time.
    pub at_once: usize,
    /// Whether a rate limit and a timeout say nothing.
    pub forgiving: bool,
    /// The only groups that are checked, where somebody says which.
    pub groups: Option<Vec<String>>,
    /// Whether one of the replicas that share a Redis checks for all.
    pub shared: bool,
}

/// How one deployment is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckupOf {
    /// Not at all.
    pub off: bool,
    /// What its model is for, where the entry says so.
    pub mode: Option<String>,
    /// The model that is asked where the deployment is a wildcard.
    pub model: Option<String>,
    /// How long its answer is waited for.
    pub timeout: Option<Duration>,
    /// How many tokens it may answer.
    pub max_tokens: Option<u64>,
}

const EVERY: Duration = Duration::from_secs(300);

/// Enough that one that hangs does not hold up the others, and no burst.
const AT_ONCE: usize = 16;

const ROUTED: &str = "enable_health_check_routing";
const ON: &str = "background_health_checks";

impl Sections<'_> {
    /// Nothing where there are no checks.
    pub(super) fn checkup(&self, problems: &mut Problems) -> Option<CheckupSettings> {
        let (router, general) = (&self.router, &self.general);
        let on = general.flag(ON, problems).unwrap_or(false);
        let every = general.deadline("health_check_interval", problems).unwrap_or(EVERY);
        let stale = self
            .either("health_check_staleness_threshold")
            .deadline("health_check_staleness_threshold", problems);
        let groups = self.either("background_health_check_model_groups");
        let listed = groups.value("background_health_check_model_groups").is_some();
        let groups = groups.texts("background_health_check_model_groups", problems);
        let at_once = general.count("health_check_concurrency", problems).filter(|count| *count > 0);
        let settings = CheckupSettings {
            every,
            stale: stale.unwrap_or(every * 2),
            at_once: at_once.and_then(|count| usize::try_from(count).ok()).unwrap_or(AT_ONCE),
            forgiving: self
                .either("health_check_ignore_transient_errors")
                .flag("health_check_ignore_transient_errors", problems)
                .unwrap_or(false),
            groups: listed.then_some(groups),
            shared: general.flag("use_shared_health_check", problems).unwrap_or(false),
        };
        // What is wrong with the value itself is told where the router reads it.
        let routed = self.either(ROUTED).flag(ROUTED, &mut Problems::default()).unwrap_or(false);
        if routed && !on {
            let at = if router.value(ROUTED).is_some() { router.at(ROUTED) } else { general.at(ROUTED) };
            problems.warn(at, format!("without effect: nothing is checked without `{}`", general.at(ON)));
        }
        on.then_some(settings)
    }

    /// The section of the two that says it.
    fn either(&self, key: &str) -> &Section<'_> {
        if self.router.value(key).is_some() { &self.router } else { &self.general }
    }
}

// === impl CheckupOf ===

impl CheckupOf {
    /// From a deployment's `model_info`.
    pub(super) fn read(info: &Section<'_>, problems: &mut Problems) -> Self {
        Self {
            off: info.flag("disable_background_health_check", problems).unwrap_or(false),
            mode: info.text("mode", problems),
            model: info.text("health_check_model", problems),
            timeout: info.deadline("health_check_timeout", problems),
            max_tokens: info.count("health_check_max_tokens", problems),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(router: Value, general: Value) -> (Option<CheckupSettings>, usize) {
        let maps = [router, general].map(|value| value.as_object().cloned().unwrap_or_default());
        let [router, general] = &maps;
        let empty = serde_json::Map::new();
        let sections = Sections {
            router: Section::new("router_settings", router),
            litellm: Section::new("litellm_settings", &empty),
            general: Section::new("general_settings", general),
        };
        let mut problems = Problems::default();
        (sections.checkup(&mut problems), problems.iter().count())
    }

    #[test]
    fn checks_are_as_they_are_said() {
        let secs = Duration::from_secs;
        let defaults = CheckupSettings {
            every: secs(300),
            stale: secs(600),
            at_once: 16,
            forgiving: false,
            groups: None,
            shared: false,
        };
        assert_eq!(read(Value::Null, Value::Null), (None, 0));
        assert_eq!(read(Value::Null, json!({"health_check_interval": 5})), (None, 0));
        assert_eq!(read(Value::Null, json!({ON: true})), (Some(defaults.clone()), 0));
        let often = json!({ON: true, "health_check_interval": 5, "health_check_concurrency": 2});
        let often = read(Value::Null, often);
        assert_eq!(
            often,
            (Some(CheckupSettings { every: secs(5), stale: secs(10), at_once: 2, ..defaults.clone() }), 0)
        );
        let more = |key: &str, value: Value| json!({(key): value});
        for (key, value, want) in [
            (
                "health_check_ignore_transient_errors",
                json!(true),
                CheckupSettings { forgiving: true, ..defaults.clone() },
            ),
            (
                "health_check_staleness_threshold",
                json!(7),
                CheckupSettings { stale: secs(7), ..defaults.clone() },
            ),
            (
                "background_health_check_model_groups",
                json!(["a"]),
                CheckupSettings { groups: Some(vec!["a".to_owned()]), ..defaults.clone() },
            ),
        ] {
            let mut general = more(key, value.clone());
            general[ON] = json!(true);
            assert_eq!(read(Value::Null, general), (Some(want.clone()), 0), "{key}");
            assert_eq!(read(more(key, value), json!({ON: true})), (Some(want), 0), "{key}");
        }
    }

    #[test]
    fn routing_by_checks_that_nobody_makes_is_told() {
        assert_eq!(read(json!({ROUTED: true}), Value::Null).1, 1);
        assert_eq!(read(Value::Null, json!({ROUTED: true})).1, 1);
        assert_eq!(read(json!({ROUTED: true}), json!({ON: true})).1, 0);
    }
}
