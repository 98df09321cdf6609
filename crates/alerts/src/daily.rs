//! How the deployments did since the last report, and how often others answered in their place.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::{Alert, Kind, Place, Severity};

/// What this process saw since the last report.
#[derive(Default)]
pub struct Daily {
    deployments: Mutex<HashMap<Arc<str>, Sums>>,
    /// How often each happened.
    fallbacks: Mutex<HashMap<Fallback, u64>>,
}

/// The group that was asked for and the one that answered.
type Fallback = (Arc<str>, Arc<str>);

/// One attempt.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// How long it took.
    pub took: Duration,
    /// Tokens of output, where they are known.
    pub output: Option<u64>,
    /// Whether it failed.
    pub failed: bool,
}

#[derive(Default)]
struct Sums {
    place: Place,
    attempts: u64,
    failed: u64,
    /// Of attempts that did not fail.
    took: Duration,
    output: u64,
}

/// What is counted at most.
const MOST: usize = 4096;

/// The lines of a list.
const TOP: usize = 5;

// === impl Daily ===

impl Daily {
    /// An attempt there has ended.
    pub fn ended(&self, place: impl FnOnce() -> Place, deployment: &Arc<str>, seen: Seen) {
        let mut deployments = self.deployments.lock();
        if !deployments.contains_key(deployment) {
            if deployments.len() >= MOST {
                return;
            }
            deployments.insert(deployment.clone(), Sums { place: place(), ..Sums::default() });
        }
        let Some(sums) = deployments.get_mut(deployment) else { return };
        sums.attempts += 1;
        match seen.failed {
            true => sums.failed += 1,
            false => {
                sums.took += seen.took;
                // As with LiteLLM an answer without tokens counts as one.
                sums.output += seen.output.unwrap_or(0).max(1);
            }
        }
    }

    /// A call that asked for one group was answered by another.
    pub fn fell_back(&self, asked: &Arc<str>, answered: &Arc<str>) {
        let mut fallbacks = self.fallbacks.lock();
        let key = (asked.clone(), answered.clone());
        if fallbacks.len() < MOST || fallbacks.contains_key(&key) {
            *fallbacks.entry(key).or_default() += 1;
        }
    }

    /// The report on the deployments, and a new beginning; nothing where nothing was asked of them. `subject` tells it
    /// from others.
    pub fn report(&self, subject: &str) -> Option<Alert> {
        let deployments = std::mem::take(&mut *self.deployments.lock());
        if deployments.is_empty() {
            return None;
        }
        let mut all: Vec<Sums> = deployments.into_values().collect();
        all.sort_by(|a, b| a.place.deployment.cmp(&b.place.deployment));
        let attempts: u64 = all.iter().map(|sums| sums.attempts).sum();
        let failed: u64 = all.iter().map(|sums| sums.failed).sum();
        let title = "How the deployments did since the last report";
        let mut alert = Alert::new(Kind::DailyReports, subject, Severity::Low, title)
            .fact("Attempts", attempts)
            .fact("Failed", failed);
        all.sort_by_key(|sums| std::cmp::Reverse(sums.failed));
        for sums in all.iter().filter(|sums| sums.failed > 0).take(TOP) {
            let line = format!("{}: {} of {}", sums.name(), sums.failed, sums.attempts);
            alert = alert.fact("Most failures", line);
        }
        all.sort_by(|a, b| b.per_token().total_cmp(&a.per_token()));
        for sums in all.iter().filter(|sums| sums.output > 0).take(TOP) {
            let line = format!("{}: {:.3} s a token of output", sums.name(), sums.per_token());
            alert = alert.fact("Slowest", line);
        }
        Some(alert)
    }

    /// The same of fallbacks.
    pub fn fallbacks(&self, subject: &str) -> Option<Alert> {
        let fallbacks = std::mem::take(&mut *self.fallbacks.lock());
        if fallbacks.is_empty() {
            return None;
        }
        let mut all: Vec<_> = fallbacks.into_iter().collect();
        all.sort_by(|(one, first), (other, second)| second.cmp(first).then_with(|| one.cmp(other)));
        let title = "Groups that answered in place of others since the last report";
        let mut alert = Alert::new(Kind::FallbackReports, subject, Severity::Low, title);
        for ((asked, answered), times) in all.iter().take(4 * TOP) {
            alert = alert.fact("Fallback", format!("{asked} to {answered}: {times}"));
        }
        Some(alert)
    }
}

// === impl Sums ===

impl Sums {
    fn name(&self) -> String {
        format!("{} ({})", self.place.model, self.place.deployment)
    }

    fn per_token(&self) -> f64 {
        match self.output {
            0 => 0.0,
            tokens => self.took.as_secs_f64() / tokens as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(id: &str) -> Place {
        Place { deployment: id.into(), model: format!("openai/{id}").into(), ..Place::default() }
    }

    #[test]
    fn a_report_tells_the_worst_and_begins_anew() {
        let daily = Daily::default();
        let end = |id: &str, millis: u64, output: Option<u64>, failed: bool| {
            let took = Duration::from_millis(millis);
            daily.ended(|| place(id), &id.into(), Seen { took, output, failed });
        };
        end("quick", 1_000, Some(100), false);
        end("slow", 1_000, Some(2), false);
        end("slow", 900_000, Some(2), true);
        let alert = daily.report("x").unwrap();
        let told: Vec<String> = alert.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(
            told,
            [
                "Attempts: 3",
                "Failed: 1",
                "Most failures: openai/slow (slow): 1 of 2",
                "Slowest: openai/slow (slow): 0.500 s a token of output",
                "Slowest: openai/quick (quick): 0.010 s a token of output",
            ]
        );
        assert_eq!(daily.report("y"), None);
    }

    #[test]
    fn fallbacks_are_told_by_how_often_they_happened() {
        let daily = Daily::default();
        for (asked, answered) in [("a", "b"), ("a", "c"), ("a", "c")] {
            daily.fell_back(&asked.into(), &answered.into());
        }
        let facts = daily.fallbacks("x").unwrap().facts;
        assert_eq!(facts, [("Fallback", "a to c: 2".to_owned()), ("Fallback", "a to b: 1".to_owned())]);
        assert_eq!(daily.fallbacks("y"), None);
    }
}
