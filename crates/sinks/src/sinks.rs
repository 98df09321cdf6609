//! All sinks together: who gets which record, and their beginning and end.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use gatewright_core::{Call, Clock, OwnSink, SinkFigures};
use http::HeaderName;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use crate::carry::Means;
use crate::disk::Depot;
use crate::lane::{Courier, Lane, Registered, Retries};
use crate::payload::{Describe, Payloads, Privacy};
use crate::queue::QueueLimits;
use crate::record::Record;

/// All sinks. Clones share them.
#[derive(Clone)]
pub struct Sinks(Arc<Desk>);

/// How records are kept, sent, and what is left out of them.
#[derive(Clone)]
pub struct Settings {
    /// What is left out.
    pub privacy: Privacy,
    /// Who knows the models; their part of a payload is empty where nobody does.
    pub models: Option<Arc<dyn Describe>>,
    /// How much of a call's content a record holds.
    pub content: ContentLimits,
    /// How much waits in memory, a sink.
    pub queue: QueueLimits,
    /// The longest that one delivery may take.
    pub deadline: Duration,
    /// Deliveries at the same time, a sink.
    pub parallel: usize,
    /// How a sink that cannot be reached is asked again.
    pub retries: Retries,
    /// Where that is kept which cannot be delivered yet; `None` keeps a little of it in memory.
    pub folder: Option<PathBuf>,
    /// How much of it is kept, in bytes, a sink.
    pub spool_bytes: u64,
    /// Sinks of callers' own at the same time.
    pub own_sinks: usize,
}

/// How much of a call's content a record holds, in bytes. What is larger is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentLimits {
    /// The request.
    pub asked: usize,
    /// The answer.
    pub answered: usize,
}

/// Opens a caller's own sink; `None` where what it says of it is of no use.
pub type Opener = Box<dyn Fn(&OwnSink) -> Option<Registered> + Send + Sync>;

struct Desk {
    lanes: Vec<Arc<Lane>>,
    own: Option<OwnLanes>,
    settings: Settings,
    payloads: Arc<Payloads>,
    clock: Arc<dyn Clock>,
    tasks: TaskTracker,
    stop: CancellationToken,
    hurry: CancellationToken,
    runtime: Handle,
}

/// Ways to callers' own sinks, opened when their first record comes.
struct OwnLanes {
    open: Opener,
    lanes: Mutex<HashMap<OwnSink, Option<OwnLane>>>,
    /// Records for which there was no way.
    dropped: AtomicU64,
}

struct OwnLane {
    lane: Arc<Lane>,
    stop: CancellationToken,
}

/// What a caller's own sink may keep while it is away. In memory: where it is and how it is entered is not known any more
/// when the process starts again.
const OWN_SPOOL: u64 = 1 << 20;

/// How much waits for a caller's own sink.
const OWN_QUEUE: QueueLimits = QueueLimits { records: 2_000, bytes: 4 << 20 };

/// How long a stopping gateway waits for its disk.
const KEEPING: Duration = Duration::from_secs(2);

/// How the records are called for which no own sink could be opened.
const OWN: &str = "own";

impl Default for Settings {
    fn default() -> Self {
        Self {
            privacy: Privacy { client_disables: true, ..Privacy::default() },
            models: None,
            content: ContentLimits { asked: 1 << 20, answered: 1 << 20 },
            queue: QueueLimits::default(),
            deadline: Duration::from_secs(15),
            parallel: 8,
            retries: Retries::default(),
            folder: None,
            spool_bytes: 256 << 20,
            own_sinks: 64,
        }
    }
}

// === impl Sinks ===

impl Sinks {
    /// Starts a task a sink, on the runtime of whoever asks. `open` opens callers' own sinks, where there may be some.
    pub fn start(
        settings: Settings,
        sinks: Vec<Registered>,
        open: Option<Opener>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let own = open.map(|open| OwnLanes { open, lanes: Mutex::default(), dropped: AtomicU64::new(0) });
        let lanes = sinks.into_iter().map(|sink| Arc::new(Lane::new(sink, settings.queue))).collect();
        let desk = Desk {
            lanes,
            own,
            payloads: Arc::new(Payloads {
                privacy: settings.privacy.clone(),
                models: settings.models.clone(),
            }),
            settings,
            clock,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            hurry: CancellationToken::new(),
            runtime: Handle::current(),
        };
        for lane in &desk.lanes {
            let folder = desk.settings.folder.as_ref().map(|folder| folder.join(lane.name()));
            desk.send(lane, (folder, desk.settings.spool_bytes), desk.stop.clone());
        }
        Self(Arc::new(desk))
    }

    /// None at all: every call passes untouched.
    pub fn none(clock: Arc<dyn Clock>) -> Self {
        Self::start(Settings::default(), Vec::new(), None, clock)
    }

    /// How deliveries go, a sink.
    pub fn figures(&self) -> Vec<SinkFigures> {
        let mut all: Vec<_> = self.0.lanes.iter().map(|lane| lane.figures()).collect();
        if let Some(own) = &self.0.own {
            all.extend(own.figures());
        }
        all
    }

    /// Sends what waits, for at most `within`; what is not there by then is kept for the next process. A disk that does
    /// not take it within a short time more keeps nobody: what is in memory is lost then.
    pub async fn stop(&self, within: Duration) {
        self.0.stop.cancel();
        self.0.tasks.close();
        if timeout(within, self.0.tasks.wait()).await.is_ok() {
            return;
        }
        self.0.hurry.cancel();
        if timeout(KEEPING, self.0.tasks.wait()).await.is_err() {
            for SinkFigures { name, queued, .. } in self.figures().iter().filter(|one| one.queued > 0) {
                error!(
                    sink = name,
                    records = queued,
                    "a disk does not answer: records that wait for it are lost"
                );
            }
        }
    }

    /// Whether anybody wants a record of the call.
    pub(crate) fn want(&self, call: &Call) -> bool {
        let own = || self.0.own.is_some() && own_sinks(call.caller.recording.as_deref()).next().is_some();
        let anybody = !self.0.lanes.is_empty() || own();
        anybody && (self.0.settings.privacy.ignore_no_log || !call.controls.record.skip)
    }

    /// Whether anybody gets what was asked and answered.
    pub(crate) fn wants_content(&self, call: &Call) -> bool {
        let recording = call.caller.recording.as_deref();
        let redacted = self.0.settings.privacy.redact
            || call.controls.record.redact
            || recording.is_some_and(|recording| recording.redact);
        let lanes = || self.0.lanes.iter().any(|lane| lane.registered.content);
        !redacted && (lanes() || own_sinks(recording).next().is_some())
    }

    pub(crate) fn content_limits(&self) -> ContentLimits {
        self.0.settings.content
    }

    /// The header that the operator has keys sent in.
    pub(crate) fn key_header(&self) -> Option<&HeaderName> {
        self.0.settings.privacy.key_header.as_ref()
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// Gives a record to all who want it. Never waits.
    pub(crate) fn take(&self, record: Record) {
        let (record, desk) = (Arc::new(record), &self.0);
        let succeeded = record.succeeded();
        let kept_from = |name: &str| {
            desk.settings.privacy.client_disables
                && record.controls.record.without.iter().any(|other| other.eq_ignore_ascii_case(name))
        };
        for lane in desk.lanes.iter().filter(|lane| lane.wants(succeeded) && !kept_from(lane.name())) {
            lane.put(&record);
        }
        for own in own_sinks(record.caller.recording.as_deref()) {
            let wanted = if succeeded { own.success } else { own.failure };
            if wanted && !kept_from(&own.name) {
                desk.put_own(own, &record);
            }
        }
    }
}

fn own_sinks(recording: Option<&gatewright_core::Recording>) -> impl Iterator<Item = &OwnSink> {
    recording.into_iter().flat_map(|recording| &recording.sinks)
}

// === impl Desk ===

impl Desk {
    /// Begins to deliver what comes, and what the last process left in a folder that takes so many bytes.
    fn send(&self, lane: &Arc<Lane>, (folder, most): (Option<PathBuf>, u64), stop: CancellationToken) {
        let Settings { deadline, parallel, retries, .. } = &self.settings;
        let means = Means { deadline: *deadline, parallel: (*parallel).max(1), hurry: self.hurry.clone() };
        let (lane, payloads, retries) = (Arc::clone(lane), Arc::clone(&self.payloads), retries.clone());
        let deliver = async move {
            let spool = Depot::open(folder, most).await;
            Courier::new(lane, spool, payloads, (means, retries)).run(stop).await;
        };
        self.tasks.spawn_on(deliver, &self.runtime);
    }

    fn put_own(&self, own: &OwnSink, record: &Arc<Record>) {
        let Some(lanes) = &self.own else { return };
        match lanes.find(own, self) {
            Some(lane) => lane.put(record),
            None => drop(lanes.dropped.fetch_add(1, Relaxed)),
        }
    }
}

// === impl OwnLanes ===

impl OwnLanes {
    fn find(&self, own: &OwnSink, desk: &Desk) -> Option<Arc<Lane>> {
        let mut lanes = self.lanes.lock();
        if let Some(known) = lanes.get(own) {
            return known.as_ref().map(|known| Arc::clone(&known.lane));
        }
        if lanes.len() >= desk.settings.own_sinks {
            // Those that nothing waits for make room.
            lanes.retain(|_, known| known.as_ref().is_some_and(|known| !known.end_if_idle()));
        }
        if lanes.len() >= desk.settings.own_sinks || desk.stop.is_cancelled() {
            return None;
        }
        let opened = (self.open)(own);
        if opened.is_none() {
            warn!(
                sink = &*own.name,
                "a sink of a caller's own cannot be opened: unknown, or its variables are of no use"
            );
        }
        let opened = opened.map(|registered| {
            let (lane, stop) = (Arc::new(Lane::new(registered, OWN_QUEUE)), desk.stop.child_token());
            desk.send(&lane, (None, OWN_SPOOL), stop.clone());
            OwnLane { lane, stop }
        });
        let lane = opened.as_ref().map(|opened| Arc::clone(&opened.lane));
        lanes.insert(own.clone(), opened);
        lane
    }

    /// Summed by their kind: which caller's they are is nobody's business who reads metrics.
    fn figures(&self) -> Vec<SinkFigures> {
        let mut all: Vec<SinkFigures> = Vec::new();
        for lane in self.lanes.lock().values().flatten() {
            let mut figures = lane.lane.figures();
            figures.name = format!("{OWN}:{}", figures.name);
            match all.iter_mut().find(|one| one.name == figures.name) {
                Some(one) => one.add(&figures),
                None => all.push(figures),
            }
        }
        let dropped = self.dropped.load(Relaxed);
        if dropped > 0 {
            all.push(SinkFigures { name: OWN.to_owned(), dropped, up: true, ..SinkFigures::default() });
        }
        all
    }
}

// === impl OwnLane ===

impl OwnLane {
    fn end_if_idle(&self) -> bool {
        let idle = self.lane.is_idle();
        if idle {
            self.stop.cancel();
        }
        idle
    }
}
