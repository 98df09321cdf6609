//! What the cache promises, whatever it keeps answers in.

mod away;
mod contract;
mod flights;
mod keys;
mod stage;
mod vectors;
