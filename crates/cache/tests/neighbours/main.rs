//! One suite for all that keep questions: in process, in Qdrant, in Redis.
#![cfg(test)]

mod fake_qdrant;
mod fake_redis;
mod looks;
mod suite;
mod wires;
