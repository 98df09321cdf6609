#![doc = include_str!("../README.md")]

mod settings;
pub use settings::{Place, Settings};

mod error;
pub use error::{Error, Result};

mod moment;

mod value;
pub use value::clean;

mod bare;

mod database;

mod insert;

mod migration;

mod store;
pub use store::Store;

mod object;
pub use object::{Draft, Kind, Object, Parents};

mod query;
pub use query::{Column, Cursor, Filter, Order, Query};

mod objects;
pub use objects::Objects;

mod together;
pub use together::Step;

mod lineage;
pub use lineage::{Lineage, Root};

mod archive;
pub use archive::Archived;

mod audit;
pub use audit::{Audit, AuditQuery};

mod changes;
pub use changes::{Change, Changes, News};

mod names;

mod scope;
pub use scope::{Scope, member_id};

mod balances;
pub use balances::{Balance, Balances};

mod entries;

mod line;

mod recall;
pub use recall::EntryQuery;

mod pages;
pub use pages::{EntryPage, PageQuery};

mod sums;
pub use sums::{Dimension, Sums};

mod rollups;

mod sheets;

mod report;
pub use report::{Rank, Report, ReportQuery, RollupQuery};

mod ledger;

mod retention;

mod claims;

mod responses;
pub use responses::StoredResponse;

mod foreign;
pub use foreign::{Foreign, ForeignTable};

mod carried;
pub use carried::{CarriedBalance, CarriedDay};
