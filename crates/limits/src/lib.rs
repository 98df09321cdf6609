#![doc = include_str!("../README.md")]

mod rule;
pub use rule::{Counter, Rule, Rules, Ruling};

mod counters;
pub use counters::{Counters, Refused};

mod local;
pub use local::{Local, LocalHold};

mod refusal;

mod limits;
pub use limits::Limits;
