//! Stories of calls at a scripted upstream, with paused time and loaded dice.

mod fallbacks;
mod fixture;
mod mirrors;
mod names;
mod outage;
mod retries;
mod shares;
mod sticky;
mod streams;
mod times;
