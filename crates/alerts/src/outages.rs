//! Outages: deployments, and regions of providers, that fail again and again within a short time.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::{Alert, Args, Kind, Severity};

/// A deployment as people know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its id.
    pub deployment: Arc<str>,
    /// `provider/model` as configured.
    pub model: Arc<str>,
    /// The public model name.
    pub group: Arc<str>,
    /// The provider.
    pub provider: Arc<str>,
    /// Where it is.
    pub region: Option<Arc<str>>,
}

/// Counts failures. A time begins with the first one and ends after the TTL, whatever comes in it.
pub struct Outages {
    args: Args,
    runs: Mutex<Runs>,
}

#[derive(Default)]
struct Runs {
    deployments: HashMap<Arc<str>, Run>,
    regions: HashMap<(Arc<str>, Arc<str>), Run>,
}

/// Failures since the first one.
struct Run {
    since: Instant,
    timeouts: u32,
    faults: u32,
    told: Option<Severity>,
    /// Whose they were; of a region one bad deployment says nothing.
    deployments: HashSet<Arc<str>>,
}

/// What is counted at most at the same time. Of further ones nothing is known until some are over.
const MOST: usize = 4096;

const TIMEOUT: u16 = 408;

// === impl Outages ===

impl Outages {
    /// Counts as `args` say.
    pub fn new(args: Args) -> Self {
        Self { args, runs: Mutex::default() }
    }

    /// An attempt there failed with this status. Answers what people should know now: at most one alert for the deployment
    /// and one for its region. As with LiteLLM only timeouts and what the provider is to blame for counts.
    pub fn failed(&self, place: &Place, status: u16, now: Instant) -> Vec<Alert> {
        if status != TIMEOUT && status < 500 {
            return Vec::new();
        }
        let mut runs = self.runs.lock();
        let Runs { deployments, regions } = &mut *runs;
        let ttl = (self.args.outage_alert_ttl, self.args.region_outage_alert_ttl);
        let own = run_of(deployments, &place.deployment, now, ttl.0);
        let own = own.and_then(|run| run.count(place, status, (&self.args, 1)));
        let own = own.map(|(run, severity)| run.alert(Kind::OutageAlerts, place, severity));
        let region = place.region.as_ref().map(|region| (place.provider.clone(), region.clone()));
        let region = region.and_then(|region| run_of(regions, &region, now, ttl.1));
        let region = region.and_then(|run| run.count(place, status, (&self.args, 2)));
        let region = region.map(|(run, severity)| run.alert(Kind::RegionOutageAlerts, place, severity));
        own.into_iter().chain(region).collect()
    }
}

// === impl Run ===

impl Run {
    /// One more failure. Answers how bad it is where that is to be told: `least` deployments must have failed for it.
    fn count(
        &mut self,
        place: &Place,
        status: u16,
        (args, least): (&Args, usize),
    ) -> Option<(&Self, Severity)> {
        if self.timeouts + self.faults < args.max_outage_alert_list_size {
            match status {
                TIMEOUT => self.timeouts += 1,
                _ => self.faults += 1,
            }
        }
        if self.deployments.len() < least {
            self.deployments.insert(place.deployment.clone());
        }
        let severity = match self.timeouts + self.faults {
            failures if failures >= args.major_outage_alert_threshold => Severity::High,
            failures if failures >= args.minor_outage_alert_threshold => Severity::Medium,
            _ => return None,
        };
        let tells = self.deployments.len() >= least && self.told < Some(severity);
        tells.then(|| {
            self.told = Some(severity);
            (&*self, severity)
        })
    }

    fn alert(&self, kind: Kind, place: &Place, severity: Severity) -> Alert {
        let size = if severity == Severity::High { "Major" } else { "Minor" };
        let (what, subject) = match (kind, &place.region) {
            (Kind::RegionOutageAlerts, Some(region)) => {
                (format!("of {} in {region}", place.provider), format!("{} {region}", place.provider))
            }
            _ => (format!("of {}", place.model), place.deployment.to_string()),
        };
        let alert = Alert::new(kind, format!("{subject} {size}"), severity, format!("{size} outage {what}"));
        let alert = alert.fact("Provider", &place.provider).fact_if("Region", place.region.as_ref());
        let alert = match kind {
            Kind::RegionOutageAlerts => alert,
            _ => alert.fact("Model group", &place.group).fact("Deployment", &place.deployment),
        };
        alert.fact("Timeouts", self.timeouts).fact("Other failures", self.faults)
    }
}

/// The failures that this one belongs to; nothing where too many others are counted.
fn run_of<'a, K: Clone + Eq + Hash>(
    runs: &'a mut HashMap<K, Run>,
    whose: &K,
    now: Instant,
    ttl: Duration,
) -> Option<&'a mut Run> {
    let is_over = |run: &Run| now.saturating_duration_since(run.since) >= ttl;
    if runs.len() >= MOST && !runs.contains_key(whose) {
        runs.retain(|_, run| !is_over(run));
    }
    if runs.len() >= MOST && !runs.contains_key(whose) {
        return None;
    }
    let fresh = || Run { since: now, timeouts: 0, faults: 0, told: None, deployments: HashSet::new() };
    let run = runs.entry(whose.clone()).or_insert_with(fresh);
    if is_over(run) {
        *run = fresh();
    }
    Some(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(deployment: &str, region: Option<&str>) -> Place {
        let (model, group, provider) = ("openai/m".into(), "m".into(), "openai".into());
        Place { deployment: deployment.into(), model, group, provider, region: region.map(Into::into) }
    }

    fn told(alerts: &[Alert]) -> Vec<(Kind, Severity)> {
        alerts.iter().map(|alert| (alert.kind, alert.severity)).collect()
    }

    #[test]
    fn five_failures_within_the_time_are_a_minor_outage_and_ten_a_major_one() {
        let (outages, start) = (Outages::new(Args::default()), Instant::now());
        let fail = |status, second| {
            let at = start + Duration::from_secs(second);
            told(&outages.failed(&place("a", None), status, at))
        };
        let found: Vec<_> = (0..12).flat_map(|n| fail(if n % 2 == 0 { 408 } else { 500 }, n)).collect();
        let (minor, major) = ((Kind::OutageAlerts, Severity::Medium), (Kind::OutageAlerts, Severity::High));
        assert_eq!(found, [minor, major]);
        // What the client is to blame for, or a limit, is none.
        assert!((0..20).all(|n| fail([400, 401, 429][n % 3], 90).is_empty()));
        // A minute after the first one a new time begins.
        let found: Vec<_> = (0..5).flat_map(|_| fail(503, 60)).collect();
        assert_eq!(found, [minor]);
    }

    #[test]
    fn a_region_is_out_where_more_than_one_deployment_fails() {
        let (outages, now) = (Outages::new(Args::default()), Instant::now());
        let regional = |deployment: &str| {
            let alerts = outages.failed(&place(deployment, Some("eu")), 500, now);
            alerts.into_iter().filter(|alert| alert.kind == Kind::RegionOutageAlerts).count()
        };
        assert_eq!((0..9).map(|_| regional("a")).sum::<usize>(), 0);
        let alerts = outages.failed(&place("b", Some("eu")), 500, now);
        assert_eq!(told(&alerts), [(Kind::RegionOutageAlerts, Severity::High)]);
        assert_eq!(alerts[0].title, "Major outage of openai in eu");
    }

    #[test]
    fn however_many_fail_memory_is_bounded() {
        let (outages, now) = (Outages::new(Args::default()), Instant::now());
        for n in 0..2 * MOST {
            outages.failed(&place(&n.to_string(), None), 500, now);
        }
        assert_eq!(outages.runs.lock().deployments.len(), MOST);
        outages.failed(&place("later", None), 500, now + Duration::from_secs(60));
        assert_eq!(outages.runs.lock().deployments.len(), 1);
    }
}
