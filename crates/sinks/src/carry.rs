//! One trip to a sink: parcels are put together as it takes them, and what it does not take comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{Delivered, Parcel, Sink, Undelivered};

/// What a trip is made with.
#[derive(Clone)]
pub(crate) struct Means {
    /// The longest that one delivery may take.
    pub(crate) deadline: Duration,
    /// Deliveries at the same time.
    pub(crate) parallel: usize,
    /// There is no more time: whatever is not there yet comes back.
    pub(crate) hurry: CancellationToken,
}

/// How a trip went.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    pub(crate) sent: u64,
    pub(crate) refused: u64,
    /// What may be tried again.
    pub(crate) left: Vec<Parcel>,
    /// Why not all went well.
    pub(crate) why: Option<String>,
    /// How long the target wants to be left alone.
    pub(crate) after: Option<Duration>,
}

/// Brings these to the sink. After the first delivery that may go well later no other is begun.
pub(crate) async fn carry(sink: Arc<dyn Sink>, parcels: Vec<Parcel>, means: Means) -> Carried {
    let halted = AtomicBool::new(false);
    let deliver = async |delivery: Vec<Parcel>| {
        if halted.load(Relaxed) {
            return (delivery, None);
        }
        let answer = within(&*sink, &delivery, &means).await;
        if matches!(answer, Err(Undelivered::Later { .. })) {
            halted.store(true, Relaxed);
        }
        (delivery, Some(answer))
    };
    let deliveries = deliveries(&*sink, parcels);
    let mut answers = futures_util::stream::iter(deliveries).map(deliver).buffer_unordered(means.parallel);
    let mut carried = Carried::default();
    while let Some((delivery, answer)) = answers.next().await {
        carried.note(delivery, answer);
    }
    carried
}

async fn within(sink: &dyn Sink, delivery: &[Parcel], means: &Means) -> Result<Delivered, Undelivered> {
    tokio::select! {
        biased;
        () = means.hurry.cancelled() => Err(Undelivered::later("the gateway stops")),
        answer = timeout(means.deadline, sink.deliver(delivery)) => {
            answer.unwrap_or_else(|_| Err(Undelivered::later("no answer in time")))
        }
    }
}

/// As many together as the sink takes, in number and in bytes.
fn deliveries(sink: &dyn Sink, parcels: Vec<Parcel>) -> Vec<Vec<Parcel>> {
    let (most, most_bytes) = (sink.most_parcels().max(1), sink.most_bytes());
    let mut all: Vec<Vec<Parcel>> = Vec::new();
    let mut bytes = 0;
    for parcel in parcels {
        let fits = |open: &Vec<Parcel>| open.len() < most && bytes + parcel.bytes() <= most_bytes;
        match all.last_mut().filter(|open| fits(open)) {
            Some(open) => {
                bytes += parcel.bytes();
                open.push(parcel);
            }
            None => {
                bytes = parcel.bytes();
                all.push(vec![parcel]);
            }
        }
    }
    all
}

// === impl Carried ===

impl Carried {
    fn note(&mut self, delivery: Vec<Parcel>, answer: Option<Result<Delivered, Undelivered>>) {
        let count = delivery.len() as u64;
        match answer {
            Some(Ok(Delivered { refused })) => {
                let refused = refused.min(count);
                self.sent += count - refused;
                self.refused += refused;
                if refused > 0 {
                    self.why.get_or_insert_with(|| "refused one by one".to_owned());
                }
            }
            Some(Err(Undelivered::Never { why })) => {
                self.refused += count;
                self.why.get_or_insert(why);
            }
            Some(Err(Undelivered::Later { why, after })) => {
                self.left.extend(delivery);
                self.why = Some(why);
                self.after = self.after.max(after);
            }
            None => self.left.extend(delivery),
        }
    }
}
