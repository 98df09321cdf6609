//! Where calls go: checks before the call, tags, policies, strategies, and what is told of the way.

mod policies;
mod queue;
mod strategies;
mod tags;
mod told;
mod window;
