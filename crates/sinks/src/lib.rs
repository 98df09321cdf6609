#![doc = include_str!("../README.md")]

mod recorded;
pub use recorded::Recorded;

mod sinks;
pub use sinks::{ContentLimits, Opener, Settings, Sinks};

mod record;
pub use record::{Content, Ending, Record};

mod payload;
pub use payload::{Describe, Privacy};

mod metadata;

mod failure;

mod content;

mod parcel;
pub use parcel::Parcel;

mod sink;
pub use sink::{Delivered, Sink, Undelivered};

mod lane;
pub use lane::{Pace, Registered, Retries};

mod carry;

mod queue;
pub use queue::QueueLimits;

mod disk;

mod spool;

mod tally;

mod vendor;
pub use vendor::{
    Format, Helicone, JsonLines, Langfuse, LangfuseAccess, LangfuseOtel, Line, Lunary, S3, S3Settings, Sign,
    Webhook, check_address,
};
