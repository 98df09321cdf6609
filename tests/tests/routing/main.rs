//! Where calls go: checks before the call, tags, policies, strategies, and what is told of the way.

mod going_on;
mod mirror;
mod policies;
mod queue;
mod sticky;
mod strategies;
mod tags;
mod times;
mod told;
mod window;
