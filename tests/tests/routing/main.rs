//! Where calls go: checks before the call, tags, strategies, and what is told of the way.

mod mirror;
mod sticky;
mod window;
