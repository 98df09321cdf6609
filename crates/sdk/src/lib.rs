#![doc = include_str!("../README.md")]

mod client;
pub use client::Client;

mod builder;
pub use builder::{Builder, Deployment};

mod ask;
pub use ask::Ask;

mod answer;
pub use answer::{Answered, Vectors};

mod stream;
pub use stream::Stream;

mod attempt;
pub use attempt::Attempted;

pub use gatewright_core::chat;
pub use gatewright_core::{Error, ErrorKind, Money, Result, Usage};
