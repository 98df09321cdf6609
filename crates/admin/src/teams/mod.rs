//! `/team/*`: teams and their members.

pub(crate) mod callback;
mod change;
mod list;
mod member;

pub(crate) use change::shown;
pub(crate) use change::{
    block, delete, model_add, model_delete, new, permissions, permissions_update, unblock, update,
};
pub(crate) use list::{info, list, pages, told};
pub(crate) use member::{
    join, member_add, member_delete, member_reset_budget, member_reset_spend, member_update, members_add,
};
