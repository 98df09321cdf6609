//! Stories of calls at a scripted upstream, with paused time and loaded dice.

mod choices;
mod fallbacks;
mod faults;
mod fixture;
mod going_on;
mod mirrors;
mod mute;
mod names;
mod outage;
mod policies;
mod queue;
mod retries;
mod screens;
mod shares;
mod sticky;
mod strategies;
mod streams;
mod times;
mod witness;
