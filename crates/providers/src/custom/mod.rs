//! Providers with behaviour of their own: one file each.

pub(crate) mod mock;
