//! Budgets: what they hold, who waits, and what is spent in the end.
#![cfg(test)]

#[path = "../support/call.rs"]
mod call;

mod budgets;
mod costs;
mod fitting;
mod properties;
mod renewed;
mod told;
mod waiting;
mod wall;
