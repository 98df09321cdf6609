#![doc = include_str!("../README.md")]

pub mod body;
pub mod codec;
pub mod dice;
pub mod mutate;
pub mod sse;
mod words;
