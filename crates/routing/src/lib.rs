#![doc = include_str!("../README.md")]

mod router;
pub use router::Router;

mod table;
pub use table::{LiveTable, Problem, Route, Table};

mod deployment;
pub use deployment::Deployment;

mod settings;
pub use settings::{Agents, Alias, PerKind, PickOf, ProviderOf, Queueing, Rule, Settings};

mod screen;
pub use screen::{Checks, TagRules};

mod abilities;
pub use abilities::{Abilities, Know, Model};

mod pick;
pub use pick::{
    Affinity, Candidate, Dice, LatencySettings, LeastBusy, LowestCost, LowestLatency, LowestUsage,
    MachineDice, Pace, Pick, Pool, RoundRobin, SimpleShuffle, TwoChoices,
};

mod mirror;
pub use mirror::{MirrorCounts, Mirrors};

mod seen;
pub use seen::{Seen, Share, Trial};

mod health;
pub use health::Health;

mod witness;
pub use witness::Witness;

mod extra;
mod fallbacks;
mod going_on;
mod patience;
mod pattern;
mod queue;
mod tally;
mod trip;
mod visit;
mod words;

#[cfg(test)]
mod tests;
