//! Which metrics are told, by which labels, and how many series of them.

use std::time::Duration;

use super::label::Label;
use super::table::Metric;

/// What is told.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricSettings {
    /// LiteLLM's metrics, and those under the names of common articles.
    pub litellm: bool,
    /// LiteLLM's metrics of its own services.
    pub services: bool,
    /// Whether end users are told apart.
    pub end_users: bool,
    /// The only metrics that are told; all where there are none.
    pub groups: Vec<MetricGroup>,
    /// Metrics that are not told.
    pub without: Vec<String>,
    /// Labels that are left out everywhere.
    pub without_labels: Vec<String>,
    /// Tags of calls that are labels of their own (`tag_…`), [`MetricSettings::MOST_TAGS`] at most.
    pub tags: Vec<String>,
    /// Paths in the metadata of keys and teams that are labels of their own, [`MetricSettings::MOST_METADATA`] at most.
    pub metadata: Vec<String>,
    /// Upper bounds of the histograms' buckets in seconds, from the lowest up.
    pub buckets: Vec<f64>,
    /// The most series, a histogram being one. Further ones are told together.
    pub most_series: usize,
    /// The same of one metric, where that has an end of its own.
    pub most_of_metric: Option<usize>,
    /// How long a series is told that nothing is added to; for good where there is no time.
    pub ttl: Option<Duration>,
    /// The same of series that tell end users apart.
    pub end_user_ttl: Duration,
    /// Whether budgets are told before their holders call.
    pub budgets_first: bool,
    /// How long series are not looked through for those whose time is over.
    pub cleanup: Duration,
    /// Bytes of a label's value; what is longer is cut.
    pub longest_value: usize,
}

/// Some metrics, and the only labels that they have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricGroup {
    /// Names of metrics.
    pub metrics: Vec<String>,
    /// Names of labels; all where there are none.
    pub labels: Vec<String>,
}

const BUCKETS: [f64; 17] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 420.0, 600.0];

impl Default for MetricSettings {
    fn default() -> Self {
        Self {
            litellm: false,
            services: false,
            end_users: false,
            groups: Vec::new(),
            without: Vec::new(),
            without_labels: Vec::new(),
            tags: Vec::new(),
            metadata: Vec::new(),
            buckets: BUCKETS.to_vec(),
            most_series: 10_000,
            most_of_metric: None,
            ttl: None,
            end_user_ttl: Duration::from_secs(3_600),
            budgets_first: false,
            cleanup: Duration::from_secs(60),
            longest_value: 128,
        }
    }
}

// === impl MetricSettings ===

impl MetricSettings {
    /// The most tags that can be labels.
    pub const MOST_TAGS: usize = 8;

    /// The most paths in metadata that can be labels.
    pub const MOST_METADATA: usize = 8;

    /// How long a series stays that nothing is added to, in seconds.
    pub(super) fn lasts(&self, of_end_user: bool) -> Option<u64> {
        let own = (of_end_user && self.end_users).then_some(self.end_user_ttl);
        self.ttl.into_iter().chain(own).min().map(|time| time.as_secs())
    }

    /// Whether a metric is told.
    pub(super) fn tells(&self, metric: Metric) -> bool {
        let on = if metric.is_of_services() { self.services } else { self.litellm };
        let listed = |names: &[String]| names.iter().any(|name| is_name(metric, name));
        on && (self.groups.is_empty() || self.groups.iter().any(|group| listed(&group.metrics)))
            && !listed(&self.without)
    }

    /// The labels of a metric that are told.
    pub(super) fn labels(&self, metric: Metric) -> impl Iterator<Item = Label> {
        let group = self.groups.iter().find(|group| group.metrics.iter().any(|name| is_name(metric, name)));
        let only = group.map(|group| &group.labels).filter(|labels| !labels.is_empty());
        let told = move |label: &Label| {
            let is = |name: &String| name == label.name();
            only.is_none_or(|only| only.iter().any(is)) && !self.without_labels.iter().any(is)
        };
        metric.labels().iter().copied().filter(told)
    }
}

/// Metrics may be named as they are registered or as they stand in the text.
fn is_name(metric: Metric, name: &str) -> bool {
    name == metric.name() || name.strip_suffix("_total") == Some(metric.name())
}
