//! The tables: every kind of object that administrators make, field by field.

mod budget;
mod credential;
mod customer;
mod key;
mod member;
mod model;
mod organization;
mod project;
mod tag;
mod team;
mod user;

pub(crate) use budget::BUDGET;
pub(crate) use credential::CREDENTIAL;
pub(crate) use customer::CUSTOMER;
pub(crate) use key::KEY;
pub(crate) use member::MEMBER;
pub(crate) use model::MODEL;
pub(crate) use organization::ORGANIZATION;
pub(crate) use project::PROJECT;
pub(crate) use tag::TAG;
pub(crate) use team::TEAM;
pub(crate) use user::USER;

use gatewright_store::Kind;

use crate::Table;

/// All tables.
pub const TABLES: [&Table; 11] =
    [&KEY, &TEAM, &USER, &ORGANIZATION, &PROJECT, &CUSTOMER, &BUDGET, &TAG, &MEMBER, &MODEL, &CREDENTIAL];

/// The table of a kind.
pub fn table(kind: Kind) -> Option<&'static Table> {
    TABLES.into_iter().find(|table| table.kind == kind)
}
