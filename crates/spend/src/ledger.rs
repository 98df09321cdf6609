//! The port to the database: what a ledger must be able to do so that every entry is in it exactly once.

use std::fmt;
use std::future::Future;

use crate::entry::Entry;
use crate::instance::InstanceId;
use crate::reader::Position;

/// Where entries are kept for good.
pub trait Ledger: Send + Sync + 'static {
    /// How far the journal of this instance was applied.
    fn applied(&self, instance: InstanceId) -> impl Future<Output = Result<Applied, LedgerError>> + Send;

    /// Applies all of a batch or nothing. An attempt that is there already counts in nothing a second time.
    fn apply(&self, batch: &Batch) -> impl Future<Output = Result<Receipt, LedgerError>> + Send;
}

/// How far the journal of an instance was applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Whatever was written before this is applied and never needed again: the oldest attempt that was open began here.
    pub whole: Position,
    /// Of the attempts that began after `whole`, those are applied that ended before this.
    pub read: Position,
}

/// Entries, and how far the journals are applied with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The attempts that ended.
    pub entries: Vec<Entry>,
    /// How far each instance is with them.
    pub applied: Vec<(InstanceId, Applied)>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Entries that are in the ledger by it.
    pub inserted: u64,
    /// Entries that had been there already.
    pub known: u64,
    /// Entries from before the time that the ledger keeps: whether they had been there can no longer be told.
    pub refused: u64,
}

/// Why a ledger did not take something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerError {
    /// It may take the same later.
    Away(String),
    /// It will never take it: there is something in it that cannot be kept.
    Refused(String),
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Away(why) | Self::Refused(why)) = self;
        f.write_str(why)
    }
}

impl std::error::Error for LedgerError {}
