#![doc = include_str!("../README.md")]

mod provider;
pub use provider::{
    Also, Auth, Billing, KeyExchange, Maker, Models, ProviderRef, ProviderRow, TokenFrom, Variable,
};

mod quirk;
pub use quirk::{Quirk, StreamUsage};

mod row;
pub use row::{Limits, ModelRow};

mod field;
pub use field::{Meter, PriceField, ServiceTier};

mod price;
pub use price::Prices;

mod cost;
pub use cost::{Breakdown, SearchSize, Terms};

mod off_peak;

mod overrides;
pub use overrides::{InvalidPrice, Overrides};

mod entry;
pub use entry::Entry;

pub mod table;

pub mod source;

mod cost_map;
pub use cost_map::{CostMap, Refused};

mod names;

mod facts;

mod catalogue;
pub use catalogue::{Catalogue, UnknownProvider};
