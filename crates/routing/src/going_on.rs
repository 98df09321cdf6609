//! Streams that broke off after their first content, and go on with another attempt.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use gatewright_core::{Call, CallService, Error, Frame, Frames, Operation, Reply, Result, Shared, frames};
use tracing::debug;

use crate::trip::{Aides, Stand, Trip};
use crate::{Dice, Settings};

/// Goes on with streams. It has the service below the router for itself: a stream outlives the call's future.
#[derive(Clone)]
pub(crate) struct GoingOn(Arc<dyn Below>);

/// A call whose stream broke off.
pub(crate) struct Cut {
    trip: Trip,
    stand: Stand,
    err: Error,
    dice: Arc<dyn Dice>,
}

/// A service that answers attempts, whichever it is.
trait Below: Send + Sync {
    fn go_on(self: Arc<Self>, cut: Cut) -> Pin<Box<dyn Future<Output = Result<Frames>> + Send>>;
}

/// Whether the answer to this call goes on where it breaks off. Nobody reads a mirrored one.
pub(crate) fn is_wanted(call: &Call, settings: &Settings) -> bool {
    settings.go_on && call.stream && call.operation == Operation::Chat && call.mirror_of.is_none()
}

// === impl GoingOn ===

impl GoingOn {
    pub(crate) fn new<S: CallService>(below: Shared<S>) -> Self {
        Self(Arc::new(below))
    }

    /// The reply, which goes on where it breaks off.
    pub(crate) fn attend(&self, mut reply: Reply, trip: Trip, dice: Arc<dyn Dice>) -> Reply {
        match reply.frames.is_one() {
            true => reply,
            false => {
                reply.head.so_far = trip.call.as_ref().and_then(|call| call.so_far.clone());
                Reply { head: reply.head, frames: attended(reply.frames, self.0.clone(), trip, dice) }
            }
        }
    }
}

// === impl Below ===

impl<S: CallService> Below for Shared<S> {
    fn go_on(self: Arc<Self>, cut: Cut) -> Pin<Box<dyn Future<Output = Result<Frames>> + Send>> {
        Box::pin(async move {
            let Cut { mut trip, stand, err, dice } = cut;
            let aides = Aides { dice: &*dice, mirror: None };
            let reply = trip.go_on(stand, err, &*self, aides).await?;
            let used = trip.call.as_ref().and_then(|call| call.so_far.as_ref()).map(|so_far| so_far.used());
            let used = used.unwrap_or_default();
            // Each attempt is booked with its own use; those above see one answer, with the use of all of them.
            let of_all =
                move |frame: Frame| Ok(Frame { usage: frame.usage.map(|usage| used.plus(&usage)), ..frame });
            Ok(attended(frames::map(reply.frames, of_all), self, trip, dice))
        })
    }
}

/// The frames, which go on elsewhere where they break off. A client whose stream cannot go on is told why it broke off, and
/// not what became of the attempts to go on.
fn attended(frames: Frames, below: Arc<dyn Below>, mut trip: Trip, dice: Arc<dyn Dice>) -> Frames {
    let Some(stand) = trip.stand.take() else { return frames };
    frames::then(frames, move |err| async move {
        if !trip.may_go_on(&err) {
            return Err(err);
        }
        debug!(group = %stand.route.name, kind = ?err.kind(), "a stream broke off and goes on");
        let cut = Cut { trip, stand, err: err.clone(), dice };
        below.go_on(cut).await.map_err(|failed| {
            debug!(kind = ?failed.kind(), "a stream that broke off could not go on");
            err
        })
    })
}
