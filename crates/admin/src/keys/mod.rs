//! `/key/*`: virtual keys.

mod change;
mod generate;
mod list;
mod regenerate;
mod scope;

pub(crate) use change::{block, delete, find, health, info, unblock, update};
pub(crate) use generate::{generate, grant, service_account};
pub(crate) use list::{aliases, list};
pub(crate) use regenerate::regenerate;
