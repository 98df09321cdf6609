//! The way to one sink: a queue in memory, batches, retries, and a spool for what cannot be delivered yet.

use std::future::pending;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::future::BoxFuture;
use gatewright_core::SinkFigures;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::carry::{Carried, Means, carry};
use crate::disk::Depot;
use crate::payload::Payloads;
use crate::queue::{Queue, QueueLimits};
use crate::spool::Load;
use crate::tally::Tally;
use crate::{Parcel, Record, Sink};

/// A sink, and what it gets.
#[derive(Clone)]
pub struct Registered {
    /// The sink.
    pub sink: Arc<dyn Sink>,
    /// Whether it gets calls that succeeded.
    pub success: bool,
    /// Whether it gets calls that failed.
    pub failure: bool,
    /// Whether it gets what was asked and answered.
    pub content: bool,
    /// How many records are sent together, and how long the first of them waits.
    pub pace: Pace,
}

/// How many records are sent together, and how long the first of them waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// So many make a batch.
    pub batch: usize,
    /// What is there is sent so often.
    pub every: Duration,
}

/// How a sink that cannot be reached is asked again.
#[derive(Clone)]
pub struct Retries {
    /// The wait after the first failure; it doubles with each that follows.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// A number from 0 to 1: where in the second half of a wait it ends, so that gateways do not ask all at once.
    pub jitter: fn() -> f64,
}

/// The half of a way that calls see.
pub(crate) struct Lane {
    pub(crate) registered: Registered,
    queue: Queue,
    tally: Tally,
}

/// The half that works in the background.
pub(crate) struct Courier {
    lane: Arc<Lane>,
    spool: Depot,
    payloads: Arc<Payloads>,
    means: Means,
    retries: Retries,
    /// Failures in a row.
    failures: u32,
    retry_at: Instant,
}

/// A delivery under way.
struct Trip {
    from: From,
    carried: BoxFuture<'static, Carried>,
}

/// Where the parcels of a delivery come from.
enum From {
    /// The queue; what is left of them has this place in the spool.
    Queue(u64),
    /// The spool.
    Spool(Load),
}

/// How long a target is left alone at most, whatever it says.
const LONGEST_AFTER: Duration = Duration::from_secs(300);

/// Records are rendered without a pause up to so many.
const AT_ONCE: usize = 16;

impl Default for Pace {
    /// LiteLLM's.
    fn default() -> Self {
        Self { batch: 512, every: Duration::from_secs(5) }
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(30), jitter: by_chance }
    }
}

/// Every hasher of the standard library has keys of its own.
#[expect(clippy::cast_precision_loss, reason = "a wait need not be exact")]
fn by_chance() -> f64 {
    let chance = RandomState::new().build_hasher().finish();
    chance as f64 / u64::MAX as f64
}

// === impl Lane ===

impl Lane {
    pub(crate) fn new(registered: Registered, limits: QueueLimits) -> Self {
        let queue = Queue::new(limits, registered.pace.batch);
        Self { registered, queue, tally: Tally::default() }
    }

    pub(crate) fn name(&self) -> &str {
        self.registered.sink.name()
    }

    pub(crate) fn wants(&self, succeeded: bool) -> bool {
        if succeeded { self.registered.success } else { self.registered.failure }
    }

    /// Takes a record, where there is room for it. Never waits.
    pub(crate) fn put(&self, record: &Arc<Record>) {
        if !self.queue.push(record) {
            self.tally.dropped.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn figures(&self) -> SinkFigures {
        self.tally.figures(self.name(), self.queue.len())
    }

    /// Whether nothing waits, anywhere.
    pub(crate) fn is_idle(&self) -> bool {
        let figures = self.figures();
        figures.queued + figures.spooled == 0
    }
}

// === impl Courier ===

impl Courier {
    pub(crate) fn new(
        lane: Arc<Lane>,
        spool: Depot,
        payloads: Arc<Payloads>,
        (means, retries): (Means, Retries),
    ) -> Self {
        let courier = Self { lane, spool, payloads, means, retries, failures: 0, retry_at: Instant::now() };
        courier.tell();
        courier
    }

    /// Delivers until `stop`, and then what is left, for which there is time until the means' `hurry`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let lane = Arc::clone(&self.lane);
        let (every, mut trip) = (lane.registered.pace.every, None::<Trip>);
        let mut flush_at = Instant::now() + every;
        loop {
            let (idle, down) = (trip.is_none(), self.failures > 0);
            let retries = idle && !self.spool.is_empty();
            tokio::select! {
                () = stop.cancelled() => break,
                carried = under_way(&mut trip) => self.settle(trip.take(), carried).await,
                () = lane.queue.filled(), if idle || down => self.send_batch(&mut trip).await,
                // The target is slow, or hangs: memory is not where records wait for it.
                () = lane.queue.pressed(), if !idle && !down => self.send_batch(&mut trip).await,
                () = sleep_until(flush_at) => {
                    flush_at = Instant::now() + every;
                    if idle || down {
                        self.send_batch(&mut trip).await;
                    }
                }
                () = sleep_until(self.retry_at), if retries => trip = self.carry_first().await,
            }
        }
        self.finish(trip).await;
    }

    /// The next batch goes out, or to the others that wait for the target.
    async fn send_batch(&mut self, trip: &mut Option<Trip>) {
        let parcels = self.render().await;
        if parcels.is_empty() {
            return;
        }
        match trip {
            None if self.spool.is_empty() => *trip = Some(self.set_out(parcels)),
            _ => self.put_by(parcels).await,
        }
    }

    /// These wait for the target with the others.
    async fn put_by(&mut self, parcels: Vec<Parcel>) {
        let (place, count) = (self.spool.place(), parcels.len() as u64);
        self.keep(place, parcels).await;
        self.lane.tally.in_hand.fetch_sub(count, Relaxed);
    }

    async fn render(&self) -> Vec<Parcel> {
        let records = self.lane.queue.take();
        self.lane.tally.in_hand.fetch_add(records.len() as u64, Relaxed);
        let mut parcels = Vec::with_capacity(records.len());
        for (count, record) in records.into_iter().enumerate() {
            if count % AT_ONCE == AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            parcels.push(self.payloads.render(&record, self.lane.registered.content));
        }
        parcels
    }

    async fn carry_first(&mut self) -> Option<Trip> {
        let (load, parcels) = self.spool.take_first().await?;
        let unreadable = load.parcels.saturating_sub(parcels.len() as u64);
        if unreadable > 0 {
            warn!(sink = self.lane.name(), records = unreadable, "spooled records cannot be read");
        }
        if parcels.is_empty() {
            self.lane.tally.dropped.fetch_add(unreadable, Relaxed);
            self.spool.settle(load, Vec::new()).await;
            self.tell();
            return None;
        }
        Some(self.trip(From::Spool(load), parcels))
    }

    fn set_out(&mut self, parcels: Vec<Parcel>) -> Trip {
        let place = self.spool.place();
        self.trip(From::Queue(place), parcels)
    }

    fn trip(&self, from: From, parcels: Vec<Parcel>) -> Trip {
        let carried = carry(Arc::clone(&self.lane.registered.sink), parcels, self.means.clone());
        Trip { from, carried: Box::pin(carried) }
    }

    /// Counts how a delivery went, and keeps what is left of it. Whoever asks is told before the disk has answered.
    async fn settle(&mut self, trip: Option<Trip>, carried: Carried) {
        let ended = carried.sent + carried.refused + carried.left.len() as u64;
        self.note(&carried);
        match trip.map(|trip| trip.from) {
            Some(From::Spool(load)) => self.spool.settle(load, carried.left).await,
            Some(From::Queue(place)) => {
                self.keep(place, carried.left).await;
                self.lane.tally.in_hand.fetch_sub(ended, Relaxed);
            }
            None => {}
        }
        self.tell();
    }

    fn note(&mut self, Carried { sent, refused, left, why, after }: &Carried) {
        let (name, tally) = (self.lane.name(), &self.lane.tally);
        tally.sent.fetch_add(*sent, Relaxed);
        tally.failed.fetch_add(*refused, Relaxed);
        match why {
            Some(why) if left.is_empty() => {
                warn!(sink = name, records = refused, why, "a sink refused records")
            }
            Some(why) => {
                if self.failures == 0 {
                    warn!(sink = name, why, "a sink does not take records; they wait for it");
                }
                tally.retried.fetch_add(1, Relaxed);
                self.failures += 1;
                self.retry_at = Instant::now() + self.wait(*after);
            }
            None => {}
        }
        if left.is_empty() {
            if self.failures > 0 {
                info!(sink = name, "the sink takes records again");
            }
            self.failures = 0;
            self.retry_at = Instant::now();
        }
        tally.down.store(self.failures > 0, Relaxed);
    }

    /// Half of the wait is certain, the other half is by chance.
    fn wait(&self, after: Option<Duration>) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(16);
        let wait = self.retries.first.saturating_mul(1 << doublings).min(self.retries.longest);
        let wait = wait.mul_f64(0.5 + (self.retries.jitter)().clamp(0.0, 1.0) / 2.0);
        wait.max(after.unwrap_or_default().min(LONGEST_AFTER))
    }

    async fn keep(&mut self, place: u64, parcels: Vec<Parcel>) {
        if !parcels.is_empty() {
            let lost = self.spool.push(place, parcels).await;
            self.lane.tally.dropped.fetch_add(lost, Relaxed);
            self.tell();
        }
    }

    fn tell(&self) {
        let level = self.spool.level();
        self.lane.tally.spooled.store(level.parcels, Relaxed);
        self.lane.tally.spooled_bytes.store(level.bytes, Relaxed);
    }

    /// What is under way ends, and what waits in memory is sent, or kept for the next process.
    async fn finish(mut self, mut trip: Option<Trip>) {
        loop {
            if trip.is_some() {
                let carried = under_way(&mut trip).await;
                self.settle(trip.take(), carried).await;
            }
            let parcels = self.render().await;
            if parcels.is_empty() {
                return;
            }
            match self.failures == 0 && self.spool.is_empty() && !self.means.hurry.is_cancelled() {
                true => trip = Some(self.set_out(parcels)),
                false => self.put_by(parcels).await,
            }
        }
    }
}

async fn under_way(trip: &mut Option<Trip>) -> Carried {
    match trip {
        Some(trip) => (&mut trip.carried).await,
        None => pending().await,
    }
}
