//! Spend reports: what the sums of days and the entries of the ledger say.

mod activity;
mod cost;
mod days;
mod global;
mod logs;
mod tags;

pub(crate) use activity::{
    activity, activity_of_models, by_customer, by_organization, by_tag, by_team, by_user, cache_hits,
};
pub(crate) use cost::calculate;
pub(crate) use global::{end_users, keys, models, providers, report, spend, spend_by_day, teams};
pub(crate) use logs::{logs, pages};
pub(crate) use tags::{spend_per_tag, tags};
