#![doc = include_str!("../README.md")]

mod upstream;
pub use upstream::{Settings, Upstream};

mod registry;
pub use registry::Registry;

mod deployment;
pub use deployment::{Deployment, Names, Params};

mod endpoint;

mod fill;

mod authorize;
pub use authorize::{Authorize, AwsAccess, AwsSigner, HeaderKey, QueryKey};

mod request;

mod reply;

mod stream;

mod asked;

mod batches;

mod linked;
pub use linked::Links;

mod marks;
pub use marks::{MarkAt, Place};

mod ordered;
pub use ordered::ordered;

mod retell;
mod room;

mod spoken;

mod kept;

mod fault;

mod forced_tool;

mod going_on;

mod quirks;

mod handling;

mod repair;

mod custom;
