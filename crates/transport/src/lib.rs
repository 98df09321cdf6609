//! The one HTTP client.
#![doc = include_str!("../README.md")]

mod body;
mod dial;
mod egress;
mod failure;
mod host;
mod line;
mod link;
mod names;
mod proxy;
mod request;
mod response;
mod settings;
mod stream;
mod tls;
mod transport;
mod trunk;

pub use body::Body;
pub use egress::{Egress, Network};
pub use failure::{Failure, FailureKind};
pub use request::{Pieces, Request, Trust};
pub use response::Response;
pub use settings::{Dns, Http2, Proxies, Settings, SettingsError};
pub use transport::Transport;
