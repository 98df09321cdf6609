//! Upstreams that break and clients that leave: what clients of every dialect, neighbours, the ledger and the memory see.

mod bounds;
mod client;
mod goes_on;
mod kinds;
mod leaves;
mod matrix;
mod memory;
mod wire;
