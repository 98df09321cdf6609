//! The meter: what calls and attempts are counted in, and the text that tells it.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use gatewright_core::{Auditor, Caller, Money, ServedBy, Target};

use parking_lot::Mutex;

use super::call::{ENDED, FAILED, MeteredCalls};
use super::cell::{Bounds, Spread, nanos};
use super::family::{Family, Sample};
use super::figures::{DeploymentFigures, Figures, counter, gauge};
use super::label::Label;
use super::marks::{Failed, Marks};
use super::series::AllSeries;
use super::settings::MetricSettings;
use super::standing::{self, Left, Standing, number};
use super::table::{Kind, Metric};
use super::text::{Text, TextFormat};
use super::words::Words;
use crate::lane::{Lane, Lanes};
use crate::{Pricing, Refusal};

/// Bounds of our own overhead, in seconds: it is far below what LiteLLM's buckets tell apart.
const OVERHEAD: [f64; 12] =
    [0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1.0];

/// Counts calls and attempts. Clones share what they count.
#[derive(Clone)]
pub struct Meter(pub(super) Arc<Kept>);

pub(super) struct Kept {
    pub(super) settings: MetricSettings,
    pub(super) series: AllSeries,
    pub(super) pricing: OnceLock<Pricing>,
    pub(super) upstreams: OnceLock<Upstreams>,
    balances: OnceLock<Arc<dyn Balances>>,
    /// Who has a budget and may not have called yet.
    expected: Mutex<Vec<Standing>>,
    began: Instant,
    overhead: Spread,
    /// Bytes of the last text: the next one is about as long.
    last: AtomicUsize,
}

/// Gives calls what they are counted in.
#[derive(Clone)]
pub(super) struct Keeper {
    kept: Arc<Kept>,
    handles: Arc<Lanes<Handle>>,
}

/// What a call holds on to. Each lane has one: of one for all, all workers would count the holders in one place.
pub(super) struct Handle(Arc<Kept>);

/// Finds the deployment of a target, where its answer or failure does not name it.
pub(super) type Upstreams = Arc<dyn Fn(&Target) -> Option<Arc<ServedBy>> + Send + Sync>;

/// Knows what is spent of budgets now.
pub trait Balances: Send + Sync + 'static {
    /// What is spent of the budget of one thing in the period that runs; `None` where nothing was counted yet.
    fn spent(&self, scope: &str, id: &str, period: Option<&str>) -> Option<Money>;
}

/// What is read when somebody looks.
pub(super) struct Reading<'m> {
    kept: &'m Kept,
    samples: HashMap<Metric, Vec<Sample>>,
    at: Instant,
}

// === impl Keeper ===

impl Keeper {
    fn of(kept: &Arc<Kept>) -> Self {
        Self { kept: kept.clone(), handles: Arc::new(Lanes::new()) }
    }

    /// To hold on to.
    pub(super) fn handle(&self) -> Arc<Handle> {
        let handle = || Handle(self.kept.clone());
        self.handles.of(Lane::own(), handle).cloned().unwrap_or_else(|| Arc::new(handle()))
    }
}

impl Deref for Keeper {
    type Target = Kept;

    fn deref(&self) -> &Kept {
        &self.kept
    }
}

// === impl Handle ===

impl Deref for Handle {
    type Target = Kept;

    fn deref(&self) -> &Kept {
        &self.0
    }
}

// === impl Meter ===

impl Meter {
    /// Counts nothing yet.
    pub fn new(settings: MetricSettings) -> Self {
        let families = Metric::ALL.iter().map(|metric| Family::new(*metric, &settings)).collect();
        let bounds = Bounds::new(&settings.buckets);
        let series = AllSeries::new(families, bounds, &settings);
        Self(Arc::new(Kept {
            settings,
            series,
            pricing: OnceLock::new(),
            upstreams: OnceLock::new(),
            balances: OnceLock::new(),
            expected: Mutex::default(),
            began: Instant::now(),
            overhead: Spread::new(&Bounds::new(&OVERHEAD)),
            last: AtomicUsize::new(0),
        }))
    }

    /// Knows by this whether a price is known; only the first time counts.
    pub fn priced_by(self, pricing: Pricing) -> Self {
        let _ = self.0.pricing.set(pricing);
        self
    }

    /// Finds by this the deployments that do not name themselves; only the first time counts.
    pub fn knowing(self, find: impl Fn(&Target) -> Option<Arc<ServedBy>> + Send + Sync + 'static) -> Self {
        let _ = self.0.upstreams.set(Arc::new(find));
        self
    }

    /// Reads here what is spent of budgets; only the first time counts.
    pub fn with_balances(self, balances: Arc<dyn Balances>) -> Self {
        let _ = self.0.balances.set(balances);
        self
    }

    /// Tells the budgets of these too, as long as they have not called themselves; in place of those that were named before.
    pub fn expect(&self, holders: Vec<Caller>) {
        let stands = |caller| Standing { at: self.0.began, caller: Arc::new(caller), left: Left::default() };
        *self.0.expected.lock() = holders.into_iter().map(stands).collect();
    }

    /// The outermost layer of a call.
    pub fn calls(&self) -> MeteredCalls {
        MeteredCalls(Keeper::of(&self.0))
    }

    /// Counts attempts, where a ledger shows it what is booked; nothing where nobody wants to know of them.
    pub fn auditor(&self) -> Option<Arc<dyn Auditor>> {
        self.is_on().then(|| Arc::new(self.clone()) as Arc<dyn Auditor>)
    }

    /// Whether it counts anything but our own overhead.
    pub fn is_on(&self) -> bool {
        self.0.is_on()
    }

    /// A request was refused before it became a call.
    pub fn refused(&self, refusal: &Refusal<'_>) {
        let kept = &self.0;
        if !kept.is_on() {
            return;
        }
        let mut marks = kept.marks();
        marks.caller = refusal.caller;
        marks.agent(refusal.headers);
        marks.rest.route = Some((refusal.operation, refusal.dialect));
        marks.rest.status = Some(refusal.error.status());
        marks.rest.failed = Some(Failed::of(refusal.error));
        let adding = kept.series.of(&marks, Instant::now());
        ENDED.into_iter().chain(FAILED).for_each(|metric| adding.add(metric, 1));
    }

    /// All of it as text, with what is read elsewhere.
    pub fn text(&self, figures: &Figures, format: TextFormat, now: SystemTime) -> String {
        self.text_at(figures, format, now, Instant::now())
    }

    /// The same at this time of the clock that series live by.
    pub fn text_at(&self, figures: &Figures, format: TextFormat, now: SystemTime, at: Instant) -> String {
        let kept = &self.0;
        kept.series.sweep(at);
        let mut text = Text::new(format, kept.last.load(Relaxed) + 4096);
        figures.write(&mut text);
        let help = "Time of a call until its answer's head that it did not wait for its upstream";
        text.family("gatewright_overhead_seconds", Kind::Seconds, help);
        kept.overhead.write("", &mut text);
        let (series, refused) = kept.series.room().figures();
        gauge(&mut text, "gatewright_metrics_series", "Series of calls and attempts", series as u64);
        let help = "Series that there was no room for: they are told together";
        counter(&mut text, "gatewright_metrics_series_refused", help, refused);
        let mut reading = Reading { kept, samples: HashMap::new(), at };
        if kept.is_on() {
            reading.all(figures, now);
        }
        for family in kept.series.families().iter().filter(|family| family.on) {
            let read = reading.samples.get(&family.metric).map(Vec::as_slice);
            family.write(read.unwrap_or_default(), &mut text);
        }
        let text = text.finish();
        kept.last.store(text.len(), Relaxed);
        text
    }
}

// === impl Kept ===

impl Kept {
    /// Whether anything but our own overhead is told.
    pub(super) fn is_on(&self) -> bool {
        self.settings.litellm || self.settings.services
    }

    pub(super) fn words<'a>(&self) -> Words<'a> {
        Words::new(self.settings.longest_value)
    }

    pub(super) fn marks<'a>(&self) -> Marks<'a> {
        Marks::new(self.settings.longest_value)
    }

    pub(super) fn note_overhead(&self, time: Duration) {
        self.overhead.observe(Lane::own(), nanos(time));
    }
}

// === impl Reading ===

impl<'m> Reading<'m> {
    pub(super) fn words<'a>(&self) -> Words<'a> {
        self.kept.words()
    }

    /// One sample, as long as there are not too many of its metric.
    pub(super) fn tell(&mut self, metric: Metric, words: &Words<'_>, value: f64) {
        let Some(family) = self.kept.series.family(metric) else { return };
        let samples = self.samples.entry(metric).or_default();
        if samples.len() < self.kept.settings.most_series {
            samples.push((family.labels(words), value));
        }
    }

    fn all(&mut self, figures: &Figures, now: SystemTime) {
        let words = self.words();
        self.tell(Metric::InFlight, &words, number(figures.door.inside));
        self.tell(Metric::SpendQueue, &words, number(figures.ledger.backlog));
        for sink in &figures.sinks {
            let mut words = self.words();
            words.put(Label::CallbackName, &sink.name);
            self.tell(Metric::CallbackFailures, &words, number(sink.lost()));
        }
        figures.deployments.iter().for_each(|one| self.deployment(one));
        let balances = self.kept.balances.get().map(|balances| &**balances);
        let mut standings = self.kept.series.standings();
        standings.extend(self.kept.expected.lock().iter().cloned());
        standing::tell(standings, balances, now, self);
    }

    fn deployment(&mut self, figures: &DeploymentFigures) {
        let mut words = self.words();
        words.served_by(&figures.served_by);
        if let Some(state) = self.kept.series.cell(Metric::DeploymentState, &words, self.at) {
            // What is no longer out has failed last: nobody has tried it since.
            let level = if figures.is_out { 2.0 } else { state.level().min(1.0) };
            state.set(level);
        }
        for (metric, limit) in [
            (Metric::DeploymentRequestLimit, figures.requests),
            (Metric::DeploymentTokenLimit, figures.tokens),
        ] {
            limit.inspect(|limit| self.tell(metric, &words, number(*limit)));
        }
        for (status, times) in &figures.rests {
            let status = status.to_string();
            let mut words = words;
            words.put(Label::ExceptionStatus, &status);
            self.tell(Metric::DeploymentCooledDown, &words, number(*times));
        }
    }
}
