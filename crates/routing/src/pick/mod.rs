//! Choosing one deployment among those that are fit: the strategies.

mod cost;
mod latencies;
mod latency;
mod least_busy;
mod pool;
mod round_robin;
mod simple_shuffle;
pub(crate) mod sticky;
mod two_choices;
mod usage;

use gatewright_core::Call;
use tokio::time::Instant;

pub use self::cost::LowestCost;
pub(crate) use self::latencies::Latencies;
pub use self::latencies::Pace;
pub use self::latency::{LatencySettings, LowestLatency};
pub use self::least_busy::LeastBusy;
pub use self::pool::{Candidate, Pool};
pub(crate) use self::pool::{Fit, Run, Tier};
pub use self::round_robin::RoundRobin;
pub use self::simple_shuffle::SimpleShuffle;
pub(crate) use self::simple_shuffle::shares;
pub use self::sticky::Affinity;
pub use self::two_choices::TwoChoices;
pub use self::usage::LowestUsage;
use crate::seen::{Seen, Trial};

/// Chooses one deployment of a group for an attempt.
pub trait Pick: Send + Sync + 'static {
    /// The place of the chosen one in the pool; `None` where nobody is fit.
    fn pick(&self, call: &Call, pool: &Pool<'_>, dice: &dyn Dice) -> Option<usize>;

    /// An attempt at a deployment ended.
    fn learn(&self, _seen: &Seen, _trial: &Trial, _now: Instant) {}
}

/// Where chance comes from.
pub trait Dice: Send + Sync + 'static {
    /// A number in `[0, 1)`, all equally likely.
    fn roll(&self) -> f64;
}

/// The chance of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineDice;

impl Dice for MachineDice {
    fn roll(&self) -> f64 {
        rand::random()
    }
}

/// One of `count` places, all equally likely.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a place among some thousands"
)]
fn one_of(count: usize, dice: &dyn Dice) -> usize {
    ((dice.roll() * count as f64) as usize).min(count.saturating_sub(1))
}
