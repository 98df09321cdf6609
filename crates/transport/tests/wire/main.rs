//! The client against real servers on this machine.

mod http1;
mod http2;
mod reach;
mod support;
