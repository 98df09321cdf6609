#![doc = include_str!("../README.md")]

mod text;
pub use text::estimate_text;

mod exact;
pub use exact::exact;

mod media;

mod chat;
pub use chat::estimate;

mod body;
pub use body::{Input, estimate_bytes, input};
