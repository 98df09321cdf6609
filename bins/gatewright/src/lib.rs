#![doc = include_str!("../README.md")]

pub mod cli;

pub mod config;
mod cost_map;
mod counts;

mod pipeline;

mod cache;

mod similar;

mod adapters;
mod alerts;

mod live;

mod openapi;
pub use openapi::document;

mod changes;

mod ledger;

mod replicas;

mod checkup;

mod rotation;

mod seal;

mod sinks;

mod serve;
pub use serve::{Reread, StartError, serve};

mod start;
pub use start::run;

mod journal;

mod import;
