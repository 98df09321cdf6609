#![doc = include_str!("../README.md")]

mod breaker;
mod cache;
mod canonical;
mod entry;
mod figures;
mod fill;
mod flight;
mod key;
mod memory;
mod redis;
mod settings;
mod shelf;
mod tiers;
mod vectors;
mod wire;

pub use self::redis::{Link, Redis, RedisSettings, Server};
pub use cache::Cache;
pub use entry::{Entry, EntryHead};
pub use figures::{Figures, Snapshot};
pub use key::Key;
pub use memory::Memory;
pub use settings::{Kind, Scope, Settings};
pub use shelf::{Found, Kept, Search, Shelf, Tier};
pub use tiers::Tiers;

pub mod similar;
