#![doc = include_str!("../README.md")]

mod upstream;
pub use upstream::{Settings, Upstream};

mod registry;
pub use registry::Registry;

mod deployment;
pub use deployment::{Deployment, Names, Params};

mod endpoint;

mod authorize;
pub use authorize::{Authorize, HeaderKey};

mod request;

mod reply;

mod stream;

mod retell;

mod fault;

mod forced_tool;

mod quirks;

mod custom;
