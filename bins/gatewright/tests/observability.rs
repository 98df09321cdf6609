//! The dashboard, the alerts and the composition beside them name only what there is.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot read these files has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use gatewright::config::{Config, Said};
use gatewright_telemetry::{Figures, Kind, Label, Meter, Metric, MetricSettings, OMITTED, TextFormat};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|err| panic!("{name}: {err}"))
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&read(name)).unwrap_or_else(|err| panic!("{name}: {err}"))
}

/// The names of all samples that a gateway can tell.
fn told() -> BTreeSet<String> {
    let meter = Meter::new(MetricSettings { litellm: true, services: true, ..MetricSettings::default() });
    let figures = Figures { redis: Some(Default::default()), ..Figures::default() };
    let text = meter.text(&figures, TextFormat::Plain, UNIX_EPOCH);
    let mut names = BTreeSet::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').expect("a name and a kind");
        match kind {
            "histogram" => names.extend(["_bucket", "_sum", "_count"].map(|part| format!("{name}{part}"))),
            _ => drop(names.insert(name.to_owned())),
        }
    }
    names
}

/// The metrics that an expression of PromQL names.
fn named(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let ours = |word: &&str| word.starts_with("litellm_") || word.starts_with("gatewright_");
    words.filter(ours).filter(|word| Label::named(word).is_none())
}

fn check(about: &str, expressions: &[String], at_least: usize) {
    let told = told();
    let mut seen = BTreeSet::new();
    for expression in expressions {
        for name in named(expression) {
            assert!(told.contains(name), "{about} asks for {name}, which nobody tells: {expression}");
            seen.insert(name);
        }
    }
    assert!(seen.len() >= at_least, "{about} names {seen:?} only");
}

/// Every text under one of these keys, however deep.
fn texts(value: &Value, keys: &[&str], out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(text) if keys.contains(&&**key) => out.push(text.to_owned()),
                    _ => texts(value, keys, out),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| texts(value, keys, out)),
        _ => {}
    }
}

#[test]
fn the_dashboard_asks_only_for_metrics_that_are_told() {
    let dashboard: Value = serde_json::from_str(&read("config/grafana/gatewright.json")).expect("JSON");
    let mut expressions = Vec::new();
    texts(&dashboard, &["expr", "definition"], &mut expressions);
    check("the dashboard", &expressions, 35);
    let panels = dashboard["panels"].as_array().expect("panels");
    let ids: BTreeSet<u64> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "every panel has an id of its own");
    let labels = |expression: &String| expression.contains("by (") && expression.contains("rate(");
    assert!(expressions.iter().any(labels));
}

#[test]
fn the_alerts_ask_only_for_metrics_that_are_told() {
    let mut expressions = Vec::new();
    texts(&yaml("config/observability/alerts.yaml"), &["expr"], &mut expressions);
    check("the alerts", &expressions, 9);
}

#[test]
fn the_composition_mounts_only_what_there_is() {
    let folder = root().join("config/observability");
    let compose = yaml("config/observability/compose.yaml");
    let services = compose["services"].as_object().expect("services");
    for name in ["gatewright", "collector", "jaeger", "prometheus", "grafana"] {
        assert!(services.contains_key(name), "{name}");
    }
    let mut mounted = Vec::new();
    for (name, service) in services {
        for volume in service["volumes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let (from, to) = volume.split_once(':').expect("from:to");
            match from.starts_with('.') {
                true => assert!(folder.join(from).is_file(), "{name} mounts {from}, which is not there"),
                false => assert!(compose["volumes"].get(from).is_some(), "{name} mounts {from}"),
            }
            mounted.push(to.trim_end_matches(":ro").to_owned());
        }
        for other in service["depends_on"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            assert!(services.contains_key(other), "{name} depends on {other}");
        }
    }
    let prometheus = yaml("config/observability/prometheus.yaml");
    let rules = prometheus["rule_files"][0].as_str().expect("a file of rules").to_owned();
    assert!(mounted.contains(&rules), "{rules} is not mounted");
    let boards = yaml("config/observability/grafana/dashboards.yaml");
    let place = boards["providers"][0]["options"]["path"].as_str().expect("a folder").to_owned();
    assert!(mounted.iter().any(|to| to.starts_with(&place)), "{place} is not mounted");
}

#[test]
fn the_gateway_of_the_composition_tells_what_its_dashboard_asks_for() {
    let file = root().join("config/observability/gatewright.yaml");
    let env = |name: &str| name.ends_with("_KEY").then(|| format!("sk-value-of-{name}"));
    let config = Config::load(&Said { file: Some(&file), ..Said::default() }, &env);
    assert!(config.problems.is_empty(), "{:?}", config.problems.iter().collect::<Vec<_>>());
    assert!(config.metrics.litellm && config.metrics.services && !config.gateway.metrics_need_key);
}

#[test]
fn the_page_of_metrics_is_the_codes() {
    let page = read("docs/metrics.md");
    let mut rows: Vec<String> = Metric::ALL.iter().map(|metric| row(*metric)).collect();
    rows.extend(OMITTED.iter().map(|omitted| format!("| `{}` | {} |", omitted.name, omitted.why)));
    for row in &rows {
        assert!(page.lines().any(|line| line == row), "docs/metrics.md lacks: {row}");
    }
    let tabled = page.lines().filter(|line| line.starts_with("| `litellm_")).count();
    assert_eq!(tabled, rows.len(), "docs/metrics.md has rows that nothing is told by");
}

fn row(metric: Metric) -> String {
    let name = metric.name().strip_suffix("_total").unwrap_or(metric.name());
    let (name, kind) = match metric.kind() {
        Kind::Count | Kind::Dollars => (format!("{name}_total"), "counter"),
        Kind::Seconds => (metric.name().to_owned(), "histogram"),
        Kind::Level => (metric.name().to_owned(), "gauge"),
    };
    format!("| `{name}` | {kind} | {} |", metric.help())
}
