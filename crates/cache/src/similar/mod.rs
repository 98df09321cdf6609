//! Answers questions that were asked before in other words.

mod alike;
mod asked;
mod class;
mod embed;
mod fault;
mod guard;
mod local;
mod neighbours;
mod qdrant;
mod redis;
mod settings;
mod similarity;
mod vector;

pub use alike::Alike;
pub use class::Class;
pub use embed::Embed;
pub use fault::Fault;
pub use local::{Local, LocalLimits};
pub use neighbours::{Answered, Asking, Neighbour, Neighbours, Place};
pub use qdrant::{Qdrant, QdrantSettings, Quantization};
pub use redis::RedisSearch;
pub use settings::SimilarSettings;
pub use similarity::{Keeper, Look, Question, Similar};
pub use vector::Vector;
