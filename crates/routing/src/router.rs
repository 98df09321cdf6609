//! The middleware that turns one call into attempts.

use std::sync::Arc;

use gatewright_core::{Call, CallService, Middleware, Reply, Result, Shared, SoFar};

use crate::going_on::{self, GoingOn};
use crate::mirror::{Means, Mirroring};
use crate::trip::{Aides, Trip};
use crate::{Dice, LiveTable, MachineDice, Mirrors, Table};

/// Chooses deployments, retries, falls back. The service it wraps answers one attempt: a call with a target.
///
/// An attempt commits at its first content: whatever fails before it is tried again or elsewhere. When every way
/// failed, the client gets the last error of the group that it asked for.
#[derive(Clone)]
pub struct Router {
    table: LiveTable,
    dice: Arc<dyn Dice>,
    mirroring: Option<Mirroring>,
    going_on: Option<GoingOn>,
}

// === impl Router ===

impl Router {
    /// A router over the table in use.
    pub fn new(table: LiveTable) -> Self {
        Self { table, dice: Arc::new(MachineDice), mirroring: None, going_on: None }
    }

    /// The same with another source of chance.
    pub fn with_dice(self, dice: impl Dice) -> Self {
        Self { dice: Arc::new(dice), ..self }
    }

    /// The same, which goes on with streams that break off, where the settings say so. `below` is the service that the
    /// router will wrap.
    pub fn going_on<S: CallService>(self, below: Shared<S>) -> Self {
        Self { going_on: Some(GoingOn::new(below)), ..self }
    }

    /// The same, which mirrors calls where a deployment says so. `below` is the service that the router will wrap.
    pub fn mirroring<S: CallService>(self, mirrors: Mirrors, below: Shared<S>) -> Self {
        Self { mirroring: Some(Mirroring::new(mirrors, below)), ..self }
    }
}

impl Middleware for Router {
    async fn handle(&self, mut call: Call, next: &impl CallService) -> Result<Reply> {
        let table = self.table.load();
        let going_on = self.going_on.as_ref().filter(|_| going_on::is_wanted(&call, &table.settings));
        if going_on.is_some() {
            call.so_far = Some(Arc::new(SoFar::new(table.settings.go_on_text)));
        }
        let (mut trip, route) = Trip::plan(table, call)?;
        let mirror = self.mirroring.as_ref().map(|mirroring| {
            |table: &Arc<Table>, call: &Call, model: &Arc<str>| {
                mirroring.begin(call, model, || Means { table: table.clone(), dice: self.dice.clone() });
            }
        });
        let mirror = mirror.as_ref().map(|mirror| mirror as &_);
        let reply = trip.run(route, next, Aides { dice: &*self.dice, mirror }).await?;
        Ok(match going_on {
            Some(going_on) => going_on.attend(reply, trip, self.dice.clone()),
            None => reply,
        })
    }
}
