#![doc = include_str!("../README.md")]

mod wire;

mod record;
pub use record::{Begin, Certainty, Checkpoint, Ending, Hit, Settle, Spared, Tenant};

mod segment;

mod disk;

mod gone;

mod instance;
pub use instance::InstanceId;

mod reader;
pub use reader::{Damage, Position, Reader, Record};

mod tail;

mod recovery;

mod journal;
pub use journal::{Health, Journal, OnFull, Settings, Sync, Ticket};

mod flusher;

mod entry;
pub use entry::{Entries, Entry, State, entries};

mod ledger;
pub use ledger::{Applied, Batch, Ledger, LedgerError, Receipt};

mod follower;

mod aside;

mod shipper;
pub use shipper::{Shipper, Shipping, ShippingHealth};

mod bill;

mod ledgered;
pub use ledgered::{Charge, Ledgered, Quote, Tariff};

mod hits;
pub use hits::Hits;

mod report;
pub use report::{Report, Totals};
