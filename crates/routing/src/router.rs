//! The middleware that turns one call into attempts.

use std::sync::Arc;

use gatewright_core::{Call, CallService, Middleware, Reply, Result};

use crate::trip::Trip;
use crate::{Dice, LiveTable, MachineDice};

/// Chooses deployments, retries, falls back. The service it wraps answers one attempt: a call with a target.
///
/// An attempt commits at its first content: whatever fails before it is tried again or elsewhere. When every way
/// failed, the client gets the last error of the group that it asked for.
#[derive(Clone)]
pub struct Router {
    table: LiveTable,
    dice: Arc<dyn Dice>,
}

// === impl Router ===

impl Router {
    /// A router over the table in use.
    pub fn new(table: LiveTable) -> Self {
        Self { table, dice: Arc::new(MachineDice) }
    }

    /// The same with another source of chance.
    pub fn with_dice(self, dice: impl Dice) -> Self {
        Self { dice: Arc::new(dice), ..self }
    }
}

impl Middleware for Router {
    async fn handle(&self, call: Call, next: &impl CallService) -> Result<Reply> {
        let table = self.table.load();
        let (trip, route) = Trip::plan(&table, &*self.dice, call)?;
        trip.run(route, next).await
    }
}
