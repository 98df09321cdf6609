//! The sinks that come with the gateway.

mod file;
mod helicone;
mod langfuse;
mod langfuse_otel;
mod lunary;
mod post;
mod s3;
mod webhook;
mod when;

pub use file::JsonLines;
pub use helicone::Helicone;
pub use langfuse::{Langfuse, LangfuseAccess};
pub use langfuse_otel::LangfuseOtel;
pub use lunary::Lunary;
pub use post::{Line, check_address};
pub use s3::{S3, S3Settings, Sign};
pub use webhook::{Format, Webhook};
