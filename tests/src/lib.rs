#![doc = include_str!("../README.md")]

pub mod answer;
pub mod books;
pub mod client;
pub mod collector;
pub mod dashboard;
pub mod disk;
pub mod gateway;
pub mod google;
pub mod issuer;
pub mod journal;
pub mod mail;
mod ports;
pub mod postgres;
pub mod recording;
pub mod redis;
pub mod upstream;
