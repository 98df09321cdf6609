//! The management API, asked over HTTP without a socket.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot ask has failed")]

mod cache;
mod reports;
mod roles;
mod services;
mod world;
