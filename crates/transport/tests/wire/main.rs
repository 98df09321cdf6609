//! The client against real servers on this machine.

#[cfg(test)]
mod http1;
#[cfg(test)]
mod http2;
#[cfg(test)]
mod reach;
#[cfg(test)]
mod support;
