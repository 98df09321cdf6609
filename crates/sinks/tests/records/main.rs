//! Records from a call's end to their sinks: what is in them, who gets them, and that nothing is lost on the way.

#![expect(clippy::unwrap_used, reason = "a test; helpers of one are not seen as such")]

mod delivery;
mod fake;
mod payload;
mod target;
mod vendors;
mod wishes;
