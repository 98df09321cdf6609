//! Calls that wait for capacity: in what order, and what tells them that it came back.

mod lines;
mod room;

pub(crate) use self::lines::{Lines, Place, Standing};
pub(crate) use self::room::{Freeing, Listening, Room};
