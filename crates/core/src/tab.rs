//! What the attempts of a call have cost so far.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::Money;

/// A running sum of what attempts cost. The ledger adds what it books, once an attempt; whoever holds money for the
/// call reads it when the call ends.
#[derive(Debug, Default)]
pub struct Tab {
    total: AtomicI64,
    over: Option<Arc<Self>>,
}

impl Tab {
    /// An empty one. What is added to it is added to the one above it too.
    pub fn under(over: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self { total: AtomicI64::new(0), over })
    }

    /// One that begins with this amount.
    pub fn from(total: Money) -> Arc<Self> {
        Arc::new(Self { total: AtomicI64::new(total.0), over: None })
    }

    /// One attempt cost this.
    pub fn add(&self, cost: Money) {
        let mut tab = Some(self);
        while let Some(this) = tab {
            this.total.fetch_add(cost.0, Ordering::Relaxed);
            tab = this.over.as_deref();
        }
    }

    /// What all have cost.
    pub fn total(&self) -> Money {
        Money(self.total.load(Ordering::Relaxed))
    }
}
