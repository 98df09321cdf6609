#![doc = include_str!("../README.md")]

mod routes;
mod token_counter;
pub use routes::{Answers, ROUTES, Route};

mod gateway;
pub use gateway::{Gateway, Ports, Settings};

mod workers;
pub use workers::{WorkerThreads, Workers};

mod accept;

mod closing;

mod connection;

mod pump;

mod cors;

mod leave;
pub use leave::OnLeave;

mod admission;
pub use admission::{Admission, DoorFigures};

mod llm;

mod conversation;
mod google;
pub use conversation::{
    About, Answered, Conversation, Conversations, KeptResponse, MemoryLimits, Remembered, Upstreams,
};

mod cache_wishes;
mod call_name;

mod intake;

mod controls;

mod respond;

mod edge;
mod explain;
mod form;

mod models;
pub use models::{Described, Directory, ModelEntry};

mod info;

mod docs;
pub use docs::Asset;

mod health;
pub use health::{Health, LedgerHealth};
