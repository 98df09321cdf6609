#![doc = include_str!("../README.md")]

mod router;
pub use router::Router;

mod table;
pub use table::{LiveTable, Problem, Route, Table};

mod deployment;
pub use deployment::Deployment;

mod settings;
pub use settings::{Alias, ProviderOf, Rule, Settings};

mod pick;
pub use pick::{Candidate, Dice, MachineDice, Pick, SimpleShuffle};

mod health;
pub use health::Health;

mod fallbacks;
mod patience;
mod pattern;
mod trip;
mod visit;

#[cfg(test)]
mod tests;
