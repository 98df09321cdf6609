#![doc = include_str!("../README.md")]

mod cache;
mod canonical;
mod entry;
mod figures;
mod fill;
mod flight;
mod key;
mod memory;
mod settings;
mod shelf;

pub use cache::Cache;
pub use entry::{Entry, EntryHead};
pub use figures::{Figures, Snapshot};
pub use key::Key;
pub use memory::Memory;
pub use settings::{Kind, Scope, Settings};
pub use shelf::{Found, Search, Shelf, Tier, Tiers};

pub mod similar;
