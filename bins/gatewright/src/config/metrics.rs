//! Metrics: LiteLLM's keys for which are told and by which labels, and ours for how many series there may be.

use gatewright_telemetry::{Label, Metric, MetricGroup, MetricSettings, OMITTED};
use serde_json::Value;

use super::problem::Problems;
use super::read::Section;
use super::settings::Sections;

/// Where callbacks are named. What is wrong with the lists themselves is told where the others in them are read.
const CALLBACKS: [&str; 5] =
    ["callbacks", "success_callback", "failure_callback", "service_callback", "service_callbacks"];

const GROUPS: &str = "prometheus_metrics_config";
const BUCKETS: &str = "prometheus_latency_buckets";
const METADATA: &str = "custom_prometheus_metadata_labels";

impl Sections<'_> {
    /// Which metrics are told.
    pub(super) fn metrics(&self, problems: &mut Problems) -> MetricSettings {
        let (litellm, defaults) = (&self.litellm, MetricSettings::default());
        let names = |callback: &str| {
            let named =
                |key: &&str| litellm.texts(key, &mut Problems::default()).iter().any(|name| name == callback);
            CALLBACKS.iter().any(named)
        };
        let whole = |count: Option<u64>| count.and_then(|count| usize::try_from(count).ok());
        let settings = MetricSettings {
            litellm: names("prometheus"),
            services: names("prometheus_system"),
            end_users: litellm
                .flag("enable_end_user_cost_tracking_prometheus_only", problems)
                .unwrap_or(defaults.end_users),
            groups: groups(litellm, problems),
            without: litellm.texts("prometheus_exclude_metrics", problems),
            without_labels: litellm.texts("prometheus_exclude_labels", problems),
            tags: litellm.texts("custom_prometheus_tags", problems),
            metadata: litellm.texts(METADATA, problems),
            buckets: buckets(litellm, problems).unwrap_or(defaults.buckets),
            most_series: whole(litellm.count("max_metric_series", problems)).unwrap_or(defaults.most_series),
            most_of_metric: whole(litellm.count("prometheus_metrics_max_series_per_metric", problems)),
            ttl: litellm.seconds("prometheus_metrics_ttl_seconds", problems),
            end_user_ttl: litellm
                .seconds("prometheus_end_user_metrics_ttl_seconds", problems)
                .unwrap_or(defaults.end_user_ttl),
            budgets_first: litellm.flag("prometheus_initialize_budget_metrics", problems).unwrap_or(false),
            cleanup: litellm
                .seconds("prometheus_metrics_cleanup_interval_seconds", problems)
                .unwrap_or(defaults.cleanup),
            longest_value: whole(litellm.count("max_metric_label_bytes", problems))
                .unwrap_or(defaults.longest_value),
        };
        check_names(litellm, &settings, problems);
        settings
    }
}

fn groups(litellm: &Section<'_>, problems: &mut Problems) -> Vec<MetricGroup> {
    let list = match litellm.value(GROUPS) {
        None => return Vec::new(),
        Some(Value::Array(list)) => list,
        Some(_) => return litellm.wrong(GROUPS, "a list of groups", problems).unwrap_or_default(),
    };
    let read = |(place, group): (usize, &Value)| {
        let path = format!("{}[{place}]", litellm.at(GROUPS));
        let Value::Object(map) = group else {
            problems.error(path, "expected keys and values");
            return None;
        };
        let group = Section::new(path, map);
        Some(MetricGroup {
            metrics: group.texts("metrics", problems),
            labels: group.texts("include_labels", problems),
        })
    };
    list.iter().enumerate().filter_map(read).collect()
}

/// Upper bounds in seconds, from the lowest up.
fn buckets(litellm: &Section<'_>, problems: &mut Problems) -> Option<Vec<f64>> {
    let numbers = match litellm.value(BUCKETS)? {
        Value::Array(list) => list.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>(),
        _ => None,
    };
    let rise = |bounds: &Vec<f64>| {
        bounds.windows(2).all(|pair| pair.first() < pair.last())
            && bounds.first().is_some_and(|low| *low > 0.0)
    };
    let finite = numbers.map(|bounds| bounds.into_iter().filter(|bound| bound.is_finite()).collect());
    finite.filter(rise).or_else(|| litellm.wrong(BUCKETS, "numbers of seconds that rise", problems))
}

/// Tells names that nothing has, and what has no effect.
fn check_names(litellm: &Section<'_>, settings: &MetricSettings, problems: &mut Problems) {
    let mut check = |key: &str, kind: &str, names: &[String], knows: &dyn Fn(&str) -> bool| {
        for name in names.iter().filter(|name| !knows(name)) {
            problems.warn(litellm.at(key), format!("there is no {kind} `{name}`"));
        }
    };
    let metric = |name: &str| {
        let is = |other: &str| name == other || name.strip_suffix("_total") == Some(other);
        Metric::ALL.iter().any(|metric| is(metric.name())) || OMITTED.iter().any(|one| is(one.name))
    };
    let label = |name: &str| Label::named(name).is_some();
    check("prometheus_exclude_metrics", "metric", &settings.without, &metric);
    check("prometheus_exclude_labels", "label", &settings.without_labels, &label);
    for group in &settings.groups {
        check(GROUPS, "metric", &group.metrics, &metric);
        check(GROUPS, "label", &group.labels, &label);
    }
    if settings.tags.len() > MetricSettings::MOST_TAGS {
        let words = format!("only the first {} are labels", MetricSettings::MOST_TAGS);
        problems.warn(litellm.at("custom_prometheus_tags"), words);
    }
    if settings.metadata.len() > MetricSettings::MOST_METADATA {
        let words = format!("only the first {} are labels", MetricSettings::MOST_METADATA);
        problems.warn(litellm.at(METADATA), words);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Map, Value, json};

    use super::*;

    fn read(litellm: Value) -> (MetricSettings, Vec<String>) {
        let (litellm, empty) = (litellm.as_object().cloned().unwrap_or_default(), Map::new());
        let sections = Sections {
            router: Section::new("router_settings", &empty),
            litellm: Section::new("litellm_settings", &litellm),
            general: Section::new("general_settings", &empty),
        };
        let mut problems = Problems::default();
        let settings = sections.metrics(&mut problems);
        (settings, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn litellms_metrics_are_told_where_a_callback_says_so() {
        for (litellm, wanted) in [
            (json!({}), (false, false)),
            (json!({"callbacks": ["otel"]}), (false, false)),
            (json!({"callbacks": ["prometheus"]}), (true, false)),
            (json!({"success_callback": "prometheus"}), (true, false)),
            (json!({"failure_callback": ["s3", "prometheus"]}), (true, false)),
            (json!({"service_callback": ["prometheus_system"]}), (false, true)),
            (json!({"callbacks": ["prometheus"], "service_callbacks": ["prometheus_system"]}), (true, true)),
        ] {
            let (settings, problems) = read(litellm.clone());
            assert_eq!((settings.litellm, settings.services), wanted, "{litellm}");
            assert!(problems.is_empty(), "{problems:?}");
        }
    }

    #[test]
    fn series_have_the_end_that_is_set() {
        let (settings, problems) = read(json!({
            "prometheus_metrics_ttl_seconds": 90,
            "prometheus_end_user_metrics_ttl_seconds": 30,
            "prometheus_metrics_cleanup_interval_seconds": 5,
            "prometheus_metrics_max_series_per_metric": 7,
            "custom_prometheus_metadata_labels": ["metadata.a", "b.c"],
        }));
        assert!(problems.is_empty(), "{problems:?}");
        let seconds = Duration::from_secs;
        assert_eq!(
            (settings.ttl, settings.end_user_ttl, settings.cleanup),
            (Some(seconds(90)), seconds(30), seconds(5))
        );
        assert_eq!((settings.most_of_metric, settings.metadata.len()), (Some(7), 2));
        let (defaults, _) = read(json!({}));
        assert_eq!((defaults.ttl, defaults.end_user_ttl), (None, seconds(3_600)));
    }

    #[test]
    fn names_that_nothing_has_are_told() {
        let (settings, problems) = read(json!({
            "prometheus_metrics_config": [
                {"group": "g", "metrics": ["litellm_spend_metric", "litellm_spent"], "include_labels": ["team", "tem"]},
                3,
            ],
            "prometheus_exclude_labels": ["user_email", "mail"],
            "prometheus_latency_buckets": [1, 0.5],
        }));
        assert_eq!(settings.groups.len(), 1);
        assert_eq!(settings.buckets, MetricSettings::default().buckets);
        for want in
            ["no metric `litellm_spent`", "no label `tem`", "no label `mail`", "keys and values", "that rise"]
        {
            assert!(problems.iter().any(|told| told.contains(want)), "{want} is missing in {problems:?}");
        }
        assert_eq!(problems.len(), 5);
    }
}
