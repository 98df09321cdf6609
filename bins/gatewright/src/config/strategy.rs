//! Strategies by their names: for all groups, and for some.

use std::sync::Arc;
use std::time::Duration;

use gatewright_routing::{
    LatencySettings, LeastBusy, LowestCost, LowestLatency, LowestUsage, Pick, PickOf, RoundRobin,
    SimpleShuffle, TwoChoices,
};
use serde_json::{Map, Value};

use super::problem::Problems;
use super::read::Section;

/// What chooses among the deployments of groups.
pub(super) struct Strategies {
    pub(super) default: Arc<dyn Pick>,
    pub(super) own: Vec<PickOf>,
    names: Vec<String>,
}

/// LiteLLM's names, and those of our own.
pub(super) const NAMES: [&str; 8] = [
    "simple-shuffle",
    "round-robin",
    "least-busy",
    "latency-based-routing",
    "usage-based-routing",
    "usage-based-routing-v2",
    "cost-based-routing",
    "two-choices",
];

/// Strategies that keep to a deployment's `rpm` and `tpm`.
const KEEP_TO_RATES: [&str; 4] =
    ["latency-based-routing", "usage-based-routing", "usage-based-routing-v2", "cost-based-routing"];

// === impl Strategies ===

impl Strategies {
    pub(super) fn read(router: &Section<'_>, problems: &mut Problems) -> Self {
        let (default, name) = read(router, problems);
        let mut strategies = Self { default, own: Vec::new(), names: vec![name] };
        let groups = match router.value("routing_groups") {
            None => return strategies,
            Some(Value::Array(groups)) => groups,
            Some(_) => {
                problems.error(router.at("routing_groups"), "expected a list of groups");
                return strategies;
            }
        };
        for (nth, group) in groups.iter().enumerate() {
            let path = format!("{}[{nth}]", router.at("routing_groups"));
            let Value::Object(map) = group else {
                problems.error(path, "expected `models` and their `routing_strategy`");
                continue;
            };
            let section = Section::new(path, map);
            let models = section.texts("models", problems);
            let (pick, name) = read(&section, problems);
            let groups = models.iter().map(|model| Arc::from(model.as_str())).collect();
            strategies.own.push(PickOf { groups, pick });
            strategies.names.push(name);
        }
        strategies
    }

    /// Whether this strategy is used for any group.
    pub(super) fn any(&self, name: &str) -> bool {
        self.names.iter().any(|used| used == name)
    }

    /// Whether any of them keeps to rates.
    pub(super) fn keep_to_rates(&self) -> bool {
        KEEP_TO_RATES.iter().any(|name| self.any(name))
    }
}

fn read(section: &Section<'_>, problems: &mut Problems) -> (Arc<dyn Pick>, String) {
    let name = section.text("routing_strategy", problems).unwrap_or_else(|| "simple-shuffle".to_owned());
    let empty = Map::new();
    let args = section.value("routing_strategy_args").and_then(Value::as_object).unwrap_or(&empty);
    let args = Section::new(section.at("routing_strategy_args"), args);
    let pick: Arc<dyn Pick> = match name.as_str() {
        "simple-shuffle" => Arc::new(SimpleShuffle),
        "round-robin" => Arc::new(RoundRobin),
        "least-busy" => Arc::new(LeastBusy),
        "latency-based-routing" => Arc::new(LowestLatency(latency(&args, problems))),
        "usage-based-routing" | "usage-based-routing-v2" => Arc::new(LowestUsage),
        "cost-based-routing" => Arc::new(LowestCost),
        "two-choices" => Arc::new(TwoChoices),
        _ => {
            let known = NAMES.join("`, `");
            let path = section.at("routing_strategy");
            problems.error(path, format!("there is no strategy `{name}`; there are `{known}`"));
            Arc::new(SimpleShuffle)
        }
    };
    (pick, name)
}

fn latency(args: &Section<'_>, problems: &mut Problems) -> LatencySettings {
    let defaults = LatencySettings::default();
    let remembered = args.count("max_latency_list_size", problems).and_then(|n| usize::try_from(n).ok());
    LatencySettings {
        remembered: remembered.unwrap_or(defaults.remembered),
        fresh: args.seconds("ttl", problems).filter(|ttl| *ttl > Duration::ZERO).unwrap_or(defaults.fresh),
        buffer: args.number("lowest_latency_buffer", problems).unwrap_or(defaults.buffer),
    }
}
