//! Upstreams that break in every way, seen by clients of every dialect, by their neighbours, by the ledger and by the memory.

mod client;
mod kinds;
mod matrix;
mod memory;
mod wire;
