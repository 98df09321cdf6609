#![doc = include_str!("../README.md")]

mod admin;
pub use admin::{Admin, Counts, Prices, Reload};

mod routes;
pub use routes::{BODIES, ROUTES, Route};

mod access;
pub use access::{ACCESSES, Access, Standing};

mod actor;

mod ask;

mod failure;

mod field;
pub use field::{Field, Form, Place, Shown, Unset, Writer};

mod table;
mod veil;
pub use table::{Table, document};

mod tables;
pub use tables::{TABLES, table};

mod form;

mod calendar;
pub use calendar::{Period, Times};

mod objects;

mod resets;

mod spent;
pub use spent::{Spent, booked_as, spent, spent_by};

mod page;

mod giver;

mod keys;

mod rotation;
pub use rotation::{Successor, due};

mod members;
pub use members::id as membership;

mod teams;

mod users;
pub use users::ROLES;

mod organizations;

mod projects;

mod customers;

mod budgets;

mod tags;

mod reports;

mod audit;

mod vault;
pub use vault::{Unreadable, Vault, sealing_key};

mod secrets;
pub use secrets::{opened, sealed};

mod deployments;
pub use deployments::{Change, Configured, Deployed, Deployments, Waiting};

mod models;
pub use models::{place, public_name};

mod cost_map;
pub use cost_map::{CostMap, CostMapState, NotReloaded};

mod cache;
pub use cache::{Answers, AnswersState, CACHE_SETTINGS, cache_settings_schema, opened_cache_settings};

mod services;
pub use services::Services;

mod credentials;

mod adopt;
pub use adopt::{Unfit, adopted, moment};
