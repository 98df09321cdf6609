#![doc = include_str!("../README.md")]

mod rule;
pub use rule::{Counter, Renewed, Rule, Rules, Ruling, Window};

mod need;
pub use need::{Foresee, Need, Wanted};

mod counters;
pub use counters::{Counters, Grant, Refused, Reset, Used};

mod local;
pub use local::{Local, LocalHold, Spent};

mod redis;
pub use redis::{Place, Shared, SharedHold, SharedSettings, Sharing};

mod counts;
pub use counts::{Counts, CountsHold};

mod budget;
pub use budget::Mode;

mod calendar;
pub use calendar::{Calendar, Cycle, Every};

mod limits;
pub use limits::Limits;

mod fitted;
pub use fitted::Fitted;

mod soft;
pub use soft::{Crossing, Crossings, Mark, SoftBudgets};

mod attempt;
mod claim;
mod count;
mod held;
mod recent;
mod refusal;
mod shard;
mod sync;
mod time;
mod told;

#[cfg(test)]
mod interleavings;
