#![doc = include_str!("../README.md")]

mod alert;
pub use alert::{Alert, Severity};

mod event;
pub use event::{Event, EventGroup, EventKind};

mod kind;
pub use kind::{Kind, Kinds, Pace};

mod settings;
pub use settings::{Args, ChannelSettings, EmailSettings, Encryption, Settings, Where};

mod desk;
pub use desk::{Alerts, Counts, Rounds};

mod claims;
pub use claims::{Claims, Nobody};

mod calls;
pub use calls::{Alerted, Calls};

mod outages;
pub use outages::{Outages, Place};

mod daily;
pub use daily::{Daily, Seen};

mod channel;
mod told;
