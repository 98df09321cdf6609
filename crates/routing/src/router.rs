//! The middleware that turns one call into attempts.

use std::sync::Arc;

use gatewright_core::{Call, CallService, Middleware, Reply, Result, Shared};

use crate::mirror::{Means, Mirroring};
use crate::trip::Trip;
use crate::{Dice, LiveTable, MachineDice, Mirrors};

/// Chooses deployments, retries, falls back. The service it wraps answers one attempt: a call with a target.
///
/// An attempt commits at its first content: whatever fails before it is tried again or elsewhere. When every way
/// failed, the client gets the last error of the group that it asked for.
#[derive(Clone)]
pub struct Router {
    table: LiveTable,
    dice: Arc<dyn Dice>,
    mirroring: Option<Mirroring>,
}

// === impl Router ===

impl Router {
    /// A router over the table in use.
    pub fn new(table: LiveTable) -> Self {
        Self { table, dice: Arc::new(MachineDice), mirroring: None }
    }

    /// The same with another source of chance.
    pub fn with_dice(self, dice: impl Dice) -> Self {
        Self { dice: Arc::new(dice), ..self }
    }

    /// The same, which mirrors calls where a deployment says so. `below` is the service that the router will wrap.
    pub fn mirroring<S: CallService>(self, mirrors: Mirrors, below: Shared<S>) -> Self {
        Self { mirroring: Some(Mirroring::new(mirrors, below)), ..self }
    }
}

impl Middleware for Router {
    async fn handle(&self, call: Call, next: &impl CallService) -> Result<Reply> {
        let table = self.table.load();
        let (mut trip, route) = Trip::plan(&table, &*self.dice, call)?;
        let Some(mirroring) = &self.mirroring else { return trip.run(route, next).await };
        let means = || Means { table: table.clone(), dice: self.dice.clone() };
        let mirror = |call: &Call, model: &Arc<str>| mirroring.begin(call, model, means);
        trip.mirror = Some(&mirror);
        trip.run(route, next).await
    }
}
