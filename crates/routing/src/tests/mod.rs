//! Stories of calls at a scripted upstream, with paused time and loaded dice.

mod fallbacks;
mod fixture;
mod names;
mod outage;
mod queue;
mod retries;
mod shares;
mod streams;
mod times;
