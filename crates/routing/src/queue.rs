//! Calls that wait for capacity: in what order, and what tells them that it came back.

mod line;
mod lines;
mod room;

#[cfg(test)]
mod properties;

pub(crate) use self::line::Tenant;
pub(crate) use self::lines::{Lines, Place, Standing};
pub(crate) use self::room::{Freeing, Listening, Room};
