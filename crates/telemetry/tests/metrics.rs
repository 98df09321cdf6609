//! Metrics through the public face: names and labels are LiteLLM's, figures are the ledger's, series have an end.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

mod metered;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant, UNIX_EPOCH};

use gatewright_core::{ErrorKind, Money, SinkFigures};
use gatewright_telemetry::{Balances, Figures, Metric, MetricGroup, MetricSettings, OMITTED, TextFormat};
use metered::{Stage, caller};

const GOLDEN: &str = include_str!("golden/litellm_metrics.txt");

fn golden() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let rows = GOLDEN.lines().filter(|line| !line.starts_with('#'));
    let read = |line: &'static str| {
        let (name, labels) = line.split_once(':').unwrap();
        (name, labels.split(',').map(str::trim).filter(|label| !label.is_empty()).collect())
    };
    rows.map(read).collect()
}

#[test]
fn every_metric_of_litellm_is_told_or_left_out_with_a_reason() {
    let golden = golden();
    let told: BTreeMap<&str, Metric> = Metric::ALL.iter().map(|metric| (metric.name(), *metric)).collect();
    for (name, labels) in &golden {
        let omitted = OMITTED.iter().find(|omitted| omitted.name == *name);
        match (told.get(name), omitted) {
            (Some(metric), None) => {
                let ours: BTreeSet<&str> = metric.labels().iter().map(|label| label.name()).collect();
                assert_eq!(ours, *labels, "{name}");
            }
            (None, Some(omitted)) => assert!(!omitted.why.is_empty(), "{name}"),
            other => panic!("{name} must be told or left out, and not both: {other:?}"),
        }
    }
    assert!(golden.len() >= 75, "{}", golden.len());
    let of_services = |name: &str| name.ends_with("_latency") && name.starts_with("litellm_");
    for omitted in OMITTED {
        assert!(
            golden.contains_key(omitted.name) || of_services(omitted.name),
            "{} is nothing of LiteLLM's",
            omitted.name
        );
    }
}

#[tokio::test]
async fn an_answered_call_is_counted_once_with_what_was_booked() {
    let stage = Stage::new(on());
    stage.answered(&caller("k1", "red"), Money(75_000), (10, 5)).await;
    stage.answered(&caller("k1", "red"), Money(25_000), (1, 1)).await;
    for (name, value) in [
        ("litellm_proxy_total_requests_metric_total", "2"),
        ("litellm_requests_metric_total", "2"),
        ("litellm_requests_total", "2"),
        ("litellm_spend_metric_total", "0.0001"),
        ("litellm_spend_total", "0.0001"),
        ("litellm_total_tokens_metric_total", "17"),
        ("litellm_tokens_total", "17"),
        ("litellm_input_tokens_metric_total", "11"),
        ("litellm_output_tokens_metric_total", "6"),
        ("litellm_deployment_success_responses_total", "2"),
        ("litellm_deployment_state", "0"),
        ("litellm_request_total_latency_metric_count", "2"),
        ("litellm_remaining_requests_metric", "99"),
    ] {
        assert_eq!(stage.samples(name), [value], "{name}");
    }
    assert!(stage.samples("litellm_errors_total").is_empty());
    let text = stage.text(TextFormat::Plain);
    let line = text.lines().find(|line| line.starts_with("litellm_spend_metric_total{")).unwrap();
    for label in [
        "hashed_api_key=\"k1\"",
        "team=\"red\"",
        "api_key_alias=\"alias of k1\"",
        "user=\"None\"",
        "model=\"gpt-4o\"",
        "requested_model=\"m\"",
        "model_id=\"d1\"",
        "api_provider=\"openai\"",
        "end_user=\"None\"",
    ] {
        assert!(line.contains(label), "{label} is missing in {line}");
    }
}

#[tokio::test]
async fn a_failure_is_counted_by_status_and_class_and_costs_what_was_booked() {
    let stage = Stage::new(on());
    stage.failed(&caller("k1", "red"), ErrorKind::RateLimited, Money(9)).await;
    let text = stage.text(TextFormat::Plain);
    for name in ["litellm_proxy_failed_requests_metric_total", "litellm_deployment_failure_responses_total"] {
        let line = text.lines().find(|line| line.starts_with(&format!("{name}{{"))).unwrap();
        assert!(
            line.contains("exception_status=\"429\",exception_class=\"Openai.RateLimitError\""),
            "{line}"
        );
        let known = "api_base=\"https://api.example.com/v1\"";
        assert_eq!(line.contains(known), name.contains("deployment"), "the error names who failed: {line}");
    }
    assert_eq!(stage.samples("litellm_spend_metric_total"), ["0.000000009"]);
    assert_eq!(stage.samples("litellm_deployment_state"), ["1"]);
    assert!(stage.samples("litellm_requests_metric_total").is_empty());
}

#[tokio::test]
async fn a_client_that_leaves_is_counted_as_such() {
    let stage = Stage::new(on());
    stage.abandoned(&caller("k1", "red")).await;
    assert_eq!(stage.samples("litellm_errors_total"), ["1"]);
    assert!(stage.text(TextFormat::Plain).contains("status_code=\"499\""));
}

#[tokio::test]
async fn what_the_ledger_did_not_book_is_no_attempt() {
    let stage = Stage::new(on());
    stage.unbooked(&caller("k1", "red")).await;
    assert!(stage.samples("litellm_deployment_total_requests_total").is_empty());
    assert_eq!(stage.samples("litellm_errors_total"), ["1"]);
}

#[tokio::test]
async fn without_the_callback_only_our_own_figures_are_told() {
    let stage = Stage::new(MetricSettings::default());
    stage.answered(&caller("k1", "red"), Money(1), (1, 1)).await;
    let text = stage.text(TextFormat::Plain);
    assert!(!text.contains("litellm_") && !text.contains("k1"), "{text}");
    assert_eq!(stage.samples("gatewright_overhead_seconds_count"), ["1"]);
}

#[tokio::test]
async fn groups_say_which_metrics_and_labels_are_told() {
    let group = MetricGroup {
        metrics: vec!["litellm_spend_metric_total".into(), "litellm_requests_metric".into()],
        labels: vec!["team".into()],
    };
    let stage = Stage::new(MetricSettings { groups: vec![group], ..on() });
    for key in ["k1", "k2"] {
        stage.answered(&caller(key, "red"), Money(1), (1, 1)).await;
    }
    let text = stage.text(TextFormat::Plain);
    let told: Vec<&str> = text.lines().filter(|line| line.starts_with("litellm_")).collect();
    let wanted = [
        "litellm_requests_metric_total{team=\"red\"} 2",
        "litellm_spend_metric_total{team=\"red\"} 0.000000002",
    ];
    assert_eq!(told, wanted);
    let without = MetricSettings {
        without: vec!["litellm_spend_metric".into()],
        without_labels: vec!["hashed_api_key".into()],
        ..on()
    };
    let stage = Stage::new(without);
    stage.answered(&caller("k1", "red"), Money(1), (1, 1)).await;
    let text = stage.text(TextFormat::Plain);
    assert!(!text.contains("litellm_spend_metric_total{") && !text.contains("hashed_api_key"), "{text}");
}

#[tokio::test]
async fn series_that_there_is_no_room_for_are_told_together() {
    let stage = Stage::new(MetricSettings { most_series: 40, ..on() });
    for number in 0..50 {
        stage.answered(&caller(&format!("k{number}"), "red"), Money(1), (1, 1)).await;
    }
    let spend = stage.samples("litellm_spend_metric_total");
    let sum: f64 = spend.iter().map(|value| value.parse::<f64>().unwrap()).sum();
    assert!((sum - 50e-9).abs() < 1e-15, "nothing is lost: {spend:?}");
    let text = stage.text(TextFormat::Plain);
    let other = |line: &&str| line.starts_with("litellm_spend_metric_total{") && line.contains("\"other\"");
    let line = text.lines().find(other).unwrap();
    assert!(line.contains("hashed_api_key=\"other\"") && line.contains("api_provider=\"openai\""), "{line}");
    assert_eq!(stage.samples("gatewright_metrics_series"), ["40"]);
    let refused: u64 = stage.samples("gatewright_metrics_series_refused_total")[0].parse().unwrap();
    assert!(refused > 0);
}

#[tokio::test]
async fn series_that_nothing_is_added_to_are_dropped_in_their_time() {
    let stage = Stage::new(MetricSettings { ttl: Some(Duration::from_secs(600)), ..on() });
    let begun = Instant::now();
    let spend = |seconds| {
        let text = stage.meter.text_at(
            &Figures::default(),
            TextFormat::Plain,
            UNIX_EPOCH,
            begun + Duration::from_secs(seconds),
        );
        text.lines().filter(|line| line.starts_with("litellm_spend_metric_total{")).count()
    };
    for key in ["k1", "k2"] {
        stage.answered(&caller(key, "red"), Money(1), (1, 1)).await;
    }
    assert_eq!([spend(100), spend(500)], [2, 2]);
    assert_eq!(spend(700), 0, "nothing was added for ten minutes");
    assert_eq!(stage.samples("gatewright_metrics_series"), ["0"]);
    stage.answered(&caller("k1", "red"), Money(5), (1, 1)).await;
    assert_eq!(stage.samples("litellm_spend_metric_total"), ["0.000000005"], "it begins anew");
}

#[tokio::test]
async fn a_series_whose_place_is_free_again_is_told_alone() {
    let ttl = Some(Duration::from_secs(600));
    let stage = Stage::new(MetricSettings { most_series: 40, ttl, ..on() });
    for number in 0..10 {
        stage.answered(&caller(&format!("k{number}"), "red"), Money(1), (1, 1)).await;
    }
    let spent_by = |text: &str, key: &str| {
        let label = format!("hashed_api_key=\"{key}\"");
        text.lines().any(|line| line.starts_with("litellm_spend_metric_total{") && line.contains(&label))
    };
    assert!(!spent_by(&stage.text(TextFormat::Plain), "k9"), "there was no room for it");
    let later = Instant::now() + Duration::from_secs(700);
    let text = stage.meter.text_at(&Figures::default(), TextFormat::Plain, UNIX_EPOCH, later);
    assert!(!spent_by(&text, "k0") && spent_by(&text, "other"), "{text}");
    stage.answered(&caller("k9", "red"), Money(1), (1, 1)).await;
    assert!(spent_by(&stage.text(TextFormat::Plain), "k9"));
}

#[tokio::test]
async fn a_metric_may_have_an_end_of_its_own() {
    let stage = Stage::new(MetricSettings { most_of_metric: Some(3), ..on() });
    for number in 0..5 {
        stage.answered(&caller(&format!("k{number}"), "red"), Money(1), (1, 1)).await;
    }
    let spend = stage.samples("litellm_spend_metric_total");
    assert_eq!(spend.len(), 4, "three and the others: {spend:?}");
    assert_eq!(spend.last().unwrap(), "0.000000002");
}

#[tokio::test]
async fn metadata_is_a_label_where_somebody_wants_it() {
    let metadata = vec!["metadata.cost.center".into(), "none".into()];
    let stage = Stage::new(MetricSettings { metadata, ..on() });
    for center in ["42", "43"] {
        let mut caller = caller("k1", "red");
        Arc::make_mut(&mut caller.known_as).metadata = vec![Some(center.into()), None];
        stage.answered(&caller, Money(1), (1, 1)).await;
    }
    let text = stage.text(TextFormat::Plain);
    for center in ["42", "43"] {
        let labels = format!("metadata_cost_center=\"{center}\",none=\"None\"}} 0.000000001");
        assert!(text.contains(&labels), "{labels} is missing in {text}");
    }
}

/// Balances that nobody gets until they are let go.
struct Held {
    asked: mpsc::Sender<()>,
    go: Mutex<mpsc::Receiver<()>>,
}

impl Balances for Held {
    fn spent(&self, _: &str, _: &str, _: Option<&str>) -> Option<Money> {
        let _ = self.asked.send(());
        let _ = self.go.lock().unwrap().recv();
        None
    }
}

#[test]
fn calls_are_counted_while_a_scrape_runs() {
    let stage = Arc::new(Stage::new(on()));
    let (asked, is_asked) = mpsc::channel();
    let (go, goes) = mpsc::channel();
    let _ = stage.meter.clone().with_balances(Arc::new(Held { asked, go: Mutex::new(goes) }));
    let call = |stage: &Stage, key: &str| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let caller = metered::limited(caller(key, "red"), UNIX_EPOCH + Duration::from_secs(7_200));
        runtime.block_on(stage.answered(&caller, Money(1), (1, 1)));
    };
    call(&stage, "known");
    let scrape = std::thread::spawn({
        let stage = stage.clone();
        move || stage.text(TextFormat::Plain)
    });
    is_asked.recv().unwrap();
    let (done, is_done) = mpsc::channel();
    let calls = std::thread::spawn({
        let stage = stage.clone();
        move || {
            ["known", "new"].iter().for_each(|key| call(&stage, key));
            let _ = done.send(());
        }
    });
    let counted = is_done.recv_timeout(Duration::from_secs(60));
    drop(go);
    scrape.join().unwrap();
    calls.join().unwrap();
    counted.expect("a call waits for the scrape");
    let spent = stage.samples("litellm_spend_metric_total");
    assert_eq!(spent, ["0.000000002", "0.000000001"]);
}

#[tokio::test]
async fn a_key_that_came_to_another_team_has_series_of_its_own() {
    let stage = Stage::new(on());
    for team in ["red", "tan"] {
        stage.answered(&caller("k1", team), Money(1), (1, 1)).await;
    }
    let text = stage.text(TextFormat::Plain);
    for team in ["red", "tan"] {
        let line =
            format!("requested_model=\"m\",team=\"{team}\",team_alias=\"None\",status_code=\"200\"}} 1");
        assert!(text.contains(&line), "{line} is missing in {text}");
    }
}

#[tokio::test]
async fn values_are_cut_and_escaped() {
    let stage = Stage::new(MetricSettings { longest_value: 8, ..on() });
    stage.answered(&caller("a\"b\\c\nd-and-more", "ééééé"), Money(1), (1, 1)).await;
    let text = stage.text(TextFormat::Plain);
    assert!(text.contains(r#"hashed_api_key="a\"b\\c\nd-""#), "{text}");
    assert!(text.contains("team=\"éééé\""), "{text}");
}

#[tokio::test]
async fn tags_are_labels_where_somebody_wants_them() {
    let stage = Stage::new(MetricSettings { tags: vec!["prod".into(), "eu-west".into()], ..on() });
    let mut tagged = caller("k1", "red");
    tagged.tags = vec!["prod".into()];
    stage.answered(&tagged, Money(1), (1, 1)).await;
    let text = stage.text(TextFormat::Plain);
    assert!(text.contains("tag_prod=\"true\",tag_eu_west=\"false\"} 0.000000001"), "{text}");
}

#[tokio::test]
async fn budgets_and_rates_are_told_of_whoever_called() {
    let stage = Stage::new(on());
    let limited = metered::limited(caller("k1", "red"), UNIX_EPOCH + Duration::from_secs(7_200));
    stage.answered(&limited, Money(1), (1, 1)).await;
    // A call that fails is told nothing of what is left: what was told before holds.
    stage.failed(&limited, ErrorKind::RateLimited, Money(0)).await;
    for (name, value) in [
        ("litellm_api_key_max_budget_metric", "5"),
        ("litellm_remaining_api_key_budget_metric", "3.5"),
        ("litellm_api_key_budget_remaining_hours_metric", "2"),
        ("litellm_team_max_budget_metric", "9"),
    ] {
        assert_eq!(stage.samples(name), [value], "{name}");
    }
    let text = stage.text(TextFormat::Plain);
    for line in [
        "litellm_api_key_rate_limit_allowed_metric{hashed_api_key=\"k1\",api_key_alias=\"alias of k1\",rate_limit_type=\"requests\"} 60",
        "litellm_api_key_rate_limit_used_metric{hashed_api_key=\"k1\",api_key_alias=\"alias of k1\",rate_limit_type=\"requests\"} 3",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is missing in {text}");
    }
}

#[test]
fn counters_have_their_names_in_both_forms() {
    let stage = Stage::new(on());
    let (plain, open) = (stage.text(TextFormat::Plain), stage.text(TextFormat::OpenMetrics));
    for line in ["# TYPE litellm_spend_metric_total counter", "# TYPE litellm_requests_total counter"] {
        assert!(plain.lines().any(|other| other == line), "{line}");
    }
    for line in ["# TYPE litellm_spend_metric counter", "# TYPE litellm_requests counter"] {
        assert!(open.lines().any(|other| other == line), "{line}");
    }
    assert!(open.ends_with("# EOF\n") && !plain.contains("# EOF"));
    for (accept, format) in [
        ("", TextFormat::Plain),
        ("text/plain;version=0.0.4", TextFormat::Plain),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.1", TextFormat::OpenMetrics),
    ] {
        assert_eq!(TextFormat::accepted(accept), format, "{accept}");
    }
}

#[test]
fn callbacks_that_fail_are_counted_by_name() {
    let stage = Stage::new(on());
    let lost = SinkFigures { name: "langfuse".into(), failed: 1, dropped: 1, ..SinkFigures::default() };
    let figures = Figures { sinks: vec![lost], ..Figures::default() };
    let text = stage.meter.text(&figures, TextFormat::Plain, UNIX_EPOCH);
    let line = "litellm_callback_logging_failures_metric_total{callback_name=\"langfuse\"} 2";
    assert!(text.lines().any(|other| other == line), "{text}");
}

#[test]
fn no_family_stands_twice_in_the_text() {
    let figures = Figures { redis: Some(Default::default()), ..Figures::default() };
    let stage = Stage::new(MetricSettings { services: true, ..on() });
    for format in [TextFormat::Plain, TextFormat::OpenMetrics] {
        let text = stage.meter.text(&figures, format, UNIX_EPOCH);
        let mut seen = BTreeSet::new();
        for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
            assert!(seen.insert(line), "{line}");
        }
        assert!(seen.len() > 90, "{}", seen.len());
    }
}

fn on() -> MetricSettings {
    MetricSettings { litellm: true, ..MetricSettings::default() }
}
