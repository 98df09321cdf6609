//! What the cache promises, whatever it keeps answers in.
#![cfg(test)]

mod away;
mod contract;
mod flights;
mod keys;
mod stage;
mod vectors;
