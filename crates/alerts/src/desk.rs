//! Where alerts are raised, and the rounds in which they are delivered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use futures_util::future::{join, join_all};
use gatewright_core::Clock;
use gatewright_transport::Transport;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tracing::info;

use crate::channel::Channel;
use crate::told::Told;
use crate::{Alert, Args, Claims, Event, EventGroup, EventKind, Kind, Kinds, Settings, Severity};

/// Where alerts are raised. Raising one does no I/O and waits for nothing. Clones are of the same.
#[derive(Clone)]
pub struct Alerts(Arc<Desk>);

struct Desk {
    kinds: Kinds,
    args: Args,
    clock: Arc<dyn Clock>,
    told: Mutex<Told>,
    queue: mpsc::Sender<Ready>,
    dropped: AtomicU64,
    channels: Vec<(Arc<Channel>, Arc<Tally>)>,
}

/// Delivers what is raised, for as long as it runs.
pub struct Rounds {
    queue: mpsc::Receiver<Ready>,
    lines: Vec<Line>,
    claims: Arc<dyn Claims>,
    clock: Arc<dyn Clock>,
    args: Args,
}

/// One channel, what is told there, and how that went.
struct Line {
    channel: Arc<Channel>,
    kinds: Kinds,
    tally: Arc<Tally>,
}

/// An alert that is to be told.
#[derive(Clone)]
pub(crate) struct Ready {
    pub(crate) alert: Alert,
    /// When it was raised, in Unix seconds.
    pub(crate) at: u64,
    /// How often the same was kept back since it was told last.
    pub(crate) kept_back: u64,
}

/// How deliveries of one channel went, or of several with the same name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The channel's name.
    pub channel: &'static str,
    /// Those that it took.
    pub sent: u64,
    /// Those that it did not take, however often it was asked.
    pub failed: u64,
    /// Those that were not tried because too many waited.
    pub dropped: u64,
}

#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) sent: AtomicU64,
    pub(crate) failed: AtomicU64,
    dropped: AtomicU64,
}

/// What counts the alerts that no channel had a chance to drop.
const DESK: &str = "all";

// === impl Alerts ===

impl Alerts {
    /// Alerts that are delivered as `settings` say while the rounds run. `claims` knows what other replicas told.
    pub fn new(
        settings: Settings,
        transport: &Transport,
        claims: Arc<dyn Claims>,
        clock: Arc<dyn Clock>,
    ) -> (Self, Rounds) {
        let Settings { channels, args, base_url, .. } = settings;
        let kinds = Kind::ALL.iter().copied().filter(|kind| channels.iter().any(|c| c.kinds.has(*kind)));
        let kinds = kinds.collect();
        let (queue, raised) = mpsc::channel(args.alert_queue_size.max(1));
        let line = |one: crate::ChannelSettings| Line {
            kinds: one.kinds,
            channel: Arc::new(Channel::new(one.to, transport.clone(), args.alert_timeout, base_url.clone())),
            tally: Arc::default(),
        };
        let lines: Vec<Line> = channels.into_iter().map(line).collect();
        let channels = lines.iter().map(|line| (line.channel.clone(), line.tally.clone())).collect();
        let rounds = Rounds { queue: raised, lines, claims, clock: clock.clone(), args: args.clone() };
        let (told, dropped) = (Mutex::default(), AtomicU64::new(0));
        (Self(Arc::new(Desk { kinds, args, clock, told, queue, dropped, channels })), rounds)
    }

    /// Whether anybody is told of this kind.
    pub fn wants(&self, kind: Kind) -> bool {
        self.0.kinds.has(kind)
    }

    /// LiteLLM's `alerting_args`.
    pub fn args(&self) -> &Args {
        &self.0.args
    }

    /// Tells people, unless nobody wants to know or the same was told lately.
    pub fn raise(&self, alert: Alert) {
        let desk = &*self.0;
        if !desk.kinds.has(alert.kind) {
            return;
        }
        let ttl = alert.kind.pace().ttl(&desk.args);
        let Some(kept_back) = desk.told.lock().tell(&alert, desk.clock.now(), ttl) else { return };
        if desk.args.log_to_console {
            let Alert { kind, subject, title, .. } = &alert;
            info!(kind = kind.name(), subject, title, facts = ?alert.facts, "an alert was raised");
        }
        let ready = Ready { alert, at: desk.clock.unix_seconds(), kept_back };
        if desk.queue.try_send(ready).is_err() {
            desk.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Tells all channels of this name that this is a test, at once and whatever was told before. `None` where there is no
    /// such channel, else what is wrong with one of them.
    pub async fn test(&self, channel: &str) -> Option<Result<(), String>> {
        let channels: Vec<_> = self.0.channels.iter().filter(|(one, _)| one.name() == channel).collect();
        let ready = Ready { alert: trial(), at: self.0.clock.unix_seconds(), kept_back: 0 };
        let tests = channels.iter().map(|(channel, _)| channel.test(&ready));
        let told = join_all(tests).await;
        (!channels.is_empty()).then(|| told.into_iter().collect())
    }

    /// How deliveries went: a line for each channel's name, and one for alerts that were dropped before all of them.
    pub fn counts(&self) -> Vec<Counts> {
        let dropped = self.0.dropped.load(Relaxed);
        let mut counts = vec![Counts { channel: DESK, dropped, ..Counts::default() }];
        for (channel, tally) in &self.0.channels {
            let name = channel.name();
            let place = counts.iter().position(|line| line.channel == name).unwrap_or_else(|| {
                counts.push(Counts { channel: name, ..Counts::default() });
                counts.len() - 1
            });
            if let Some(line) = counts.get_mut(place) {
                line.sent += tally.sent.load(Relaxed);
                line.failed += tally.failed.load(Relaxed);
                line.dropped += tally.dropped.load(Relaxed);
            }
        }
        counts
    }
}

// === impl Rounds ===

impl Rounds {
    /// Delivers until it is dropped. Each channel has a queue of its own: one that hangs holds up no other.
    pub async fn run(self) {
        let Self { mut queue, lines, claims, clock, args } = self;
        let mut outboxes = Vec::new();
        let mut deliveries = Vec::new();
        for Line { channel, kinds, tally } in lines {
            let (outbox, inbox) = mpsc::channel(args.alert_queue_size.max(1));
            outboxes.push((kinds, outbox, tally.clone()));
            deliveries.push(channel.deliver(inbox, tally));
        }
        let sort = async {
            while let Some(ready) = queue.recv().await {
                if !is_ours(&ready.alert, &*claims, &args).await {
                    continue;
                }
                let age = clock.unix_seconds().saturating_sub(ready.at);
                tracing::debug!(kind = ready.alert.kind.name(), age, "an alert is delivered");
                for (_, outbox, tally) in outboxes.iter().filter(|(kinds, ..)| kinds.has(ready.alert.kind)) {
                    if outbox.try_send(ready.clone()).is_err() {
                        tally.dropped.fetch_add(1, Relaxed);
                    }
                }
            }
        };
        join(sort, join_all(deliveries)).await;
    }
}

/// What an administrator sends to see whether it comes. In LiteLLM's event it has spent nothing.
fn trial() -> Alert {
    let title = "A test: alerts of this gateway come here";
    let (event, event_group) = (EventKind::SpendTracked, EventGroup::Proxy);
    let event = Event { event, event_group, event_message: title.to_owned(), ..Event::default() };
    Alert::new(Kind::LlmExceptions, "test", Severity::Medium, title).event(event)
}

/// Whether no other replica tells it.
async fn is_ours(alert: &Alert, claims: &dyn Claims, args: &Args) -> bool {
    let name = format!("{}:{}", alert.kind.name(), alert.subject);
    claims.claim(&name, alert.kind.pace().ttl(args)).await
}
