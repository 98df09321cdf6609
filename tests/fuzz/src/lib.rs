#![doc = include_str!("../README.md")]

pub mod aws_events;
pub mod body;
pub mod codec;
pub mod dice;
pub mod mutate;
pub mod sse;
mod words;
