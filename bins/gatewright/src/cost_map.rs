//! The price map that is laid over the shipped prices: fetched, checked, put into force, and told of.

use std::fs::File;
use std::io::Read;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use gatewright_admin::{CostMapState, NotReloaded, Waiting};
use gatewright_catalogue::CostMap;
use gatewright_core::{Clock, shown_address};
use gatewright_transport::{Request, Transport};
use http::Uri;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::config::{CostMapSettings, CostMapSource};
use crate::live::Live;

/// How long a map may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

const HOUR: u64 = 3600;

/// The price map. Clones are of the same.
#[derive(Clone)]
pub(crate) struct LiveCostMap(Arc<Inner>);

struct Inner {
    settings: CostMapSettings,
    transport: Transport,
    live: Arc<Live>,
    clock: Arc<dyn Clock>,
    hours: watch::Sender<Option<NonZeroU64>>,
    /// One is loaded at a time: the last one that was asked for stays.
    one: tokio::sync::Mutex<()>,
    told: Mutex<Told>,
}

/// What became of it.
#[derive(Default)]
struct Told {
    /// Models of the map in force; zero where there is none.
    models: usize,
    failure: Option<String>,
    last: Option<SystemTime>,
    next: Option<SystemTime>,
}

// === impl LiveCostMap ===

impl LiveCostMap {
    pub(crate) fn new(
        settings: CostMapSettings,
        transport: Transport,
        live: Arc<Live>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (hours, _) = watch::channel(settings.hours.filter(|_| settings.source.is_some()));
        let (one, told) = (tokio::sync::Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { settings, transport, live, clock, hours, one, told }))
    }

    /// Loads it once, tells so, and goes on as it is scheduled.
    pub(crate) async fn run(self, first: oneshot::Sender<()>) {
        if self.0.settings.source.is_some() {
            // The log says how it went.
            let _ = self.load().await;
        }
        // Whoever does not wait any more serves the shipped prices already.
        let _ = first.send(());
        let act = || async { drop(self.load().await) };
        on_time(self.0.hours.subscribe(), |every| self.0.plan(every), act).await;
    }

    async fn load(&self) -> Result<usize, NotReloaded> {
        let Some(source) = self.0.settings.source.clone() else { return Err(self.0.unnamed()) };
        let _one = self.0.one.lock().await;
        let loaded = match source {
            CostMapSource::Url(uri) => match self.0.fetch(uri).await {
                Ok(json) => self.on_a_thread(move |map| map.take(&json)).await,
                Err(why) => Err(why),
            },
            CostMapSource::File(path) => self.on_a_thread(move |map| map.take(&read(&path)?)).await,
        };
        loaded.map_err(|why| {
            warn!(why, "the price map is not taken; the prices from before stay in force");
            self.0.told.lock().failure = Some(why.clone());
            NotReloaded::Kept(why)
        })
    }

    /// Reading a map and building its table takes time that other tasks need.
    async fn on_a_thread(
        &self,
        work: impl FnOnce(&Inner) -> Result<usize, String> + Send + 'static,
    ) -> Result<usize, String> {
        let map = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&map)).await;
        done.unwrap_or_else(|_| Err("it was given up".to_owned()))
    }
}

impl gatewright_admin::CostMap for LiveCostMap {
    fn reload(&self) -> Waiting<'_, Result<usize, NotReloaded>> {
        Box::pin(self.load())
    }

    fn schedule(&self, hours: Option<NonZeroU64>) -> Result<(), NotReloaded> {
        if hours.is_some() && self.0.settings.source.is_none() {
            return Err(self.0.unnamed());
        }
        self.0.plan(hours.map(interval));
        self.0.hours.send_replace(hours);
        Ok(())
    }

    fn state(&self) -> CostMapState {
        let (settings, told) = (&self.0.settings, self.0.told.lock());
        let (kind, address) = match &settings.source {
            None => ("local", None),
            Some(CostMapSource::Url(uri)) => ("remote", Some(shown_address(&uri.to_string()))),
            Some(CostMapSource::File(path)) => ("file", Some(path.display().to_string())),
        };
        CostMapState {
            source: if told.models == 0 { "local" } else { kind },
            address,
            is_forced: settings.is_forced,
            failure: told.failure.clone(),
            models: self.0.live.catalogue.count(),
            hours: *self.0.hours.borrow(),
            last: told.last,
            next: told.next,
        }
    }
}

// === impl Inner ===

impl Inner {
    async fn fetch(&self, uri: Uri) -> Result<Bytes, String> {
        let fetched = timeout(PATIENCE, async {
            let request = Request::fetch(uri);
            let response = self.transport.send(request).await.map_err(|err| err.to_string())?;
            match response.status.as_u16() {
                200 => response.decoded(CostMap::MOST_BYTES).await.map_err(|err| err.to_string()),
                status => Err(format!("it came with the status {status}")),
            }
        });
        fetched.await.unwrap_or_else(|_| Err(format!("it did not come within {PATIENCE:?}")))
    }

    /// Puts a map into force if it is good. Answers how many models it has.
    fn take(&self, json: &[u8]) -> Result<usize, String> {
        let before = self.told.lock().models;
        let map = CostMap::read(json, before, self.live.catalogue).map_err(|refused| refused.to_string())?;
        self.live.reprice(&map)?;
        let (models, of_known_providers) = (map.models(), map.of_known_providers());
        info!(models, of_known_providers, "the price map is in force");
        let mut told = self.told.lock();
        (told.models, told.failure, told.last) = (models, None, Some(self.clock.wall()));
        Ok(models)
    }

    fn plan(&self, every: Option<Duration>) {
        self.told.lock().next = every.and_then(|every| self.clock.wall().checked_add(every));
    }

    fn unnamed(&self) -> NotReloaded {
        NotReloaded::Unnamed(match self.settings.is_forced {
            true => "LITELLM_LOCAL_MODEL_COST_MAP keeps the shipped prices in force",
            false => {
                "there is no price map to load: name one with general_settings.model_cost_map or LITELLM_MODEL_COST_MAP_URL"
            }
        })
    }
}

/// Acts whenever it is time by the hours that are set then, and tells `plan` how long it is until that.
async fn on_time<F: Future<Output = ()>>(
    mut hours: watch::Receiver<Option<NonZeroU64>>,
    plan: impl Fn(Option<Duration>),
    act: impl Fn() -> F,
) {
    loop {
        let every = hours.borrow_and_update().map(interval);
        plan(every);
        let due = async {
            match every {
                Some(every) => sleep(every).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => act().await,
            changed = hours.changed() => if changed.is_err() { return },
        }
    }
}

fn interval(hours: NonZeroU64) -> Duration {
    Duration::from_secs(hours.get().saturating_mul(HOUR))
}

/// A file, as long as it is one and not too large.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let told = |err: std::io::Error| format!("{}: {err}", path.display());
    // A pipe would never end.
    if !path.metadata().map_err(told)?.is_file() {
        return Err(format!("{} is no file", path.display()));
    }
    let mut json = Vec::new();
    let most = CostMap::MOST_BYTES as u64 + 1;
    File::open(path).and_then(|file| file.take(most).read_to_end(&mut json)).map_err(told)?;
    Ok(json)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn hours(count: u64) -> Option<NonZeroU64> {
        NonZeroU64::new(count)
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_loaded_every_so_many_hours_from_when_that_was_said() {
        let (said, heard) = watch::channel(None);
        let loads = AtomicU32::new(0);
        let act = || async { loads.store(loads.load(Ordering::Relaxed) + 1, Ordering::Relaxed) };
        let minutes = |minutes: u64| sleep(Duration::from_secs(minutes * 60));
        let story = async {
            minutes(10_000).await;
            assert_eq!(loads.load(Ordering::Relaxed), 0, "nobody asked for it");
            said.send_replace(hours(6));
            minutes(359).await;
            assert_eq!(loads.load(Ordering::Relaxed), 0);
            minutes(2).await;
            assert_eq!(loads.load(Ordering::Relaxed), 1);
            minutes(360).await;
            assert_eq!(loads.load(Ordering::Relaxed), 2);
            said.send_replace(hours(1));
            minutes(61).await;
            assert_eq!(loads.load(Ordering::Relaxed), 3);
            said.send_replace(hours(0));
            minutes(10_000).await;
            assert_eq!(loads.load(Ordering::Relaxed), 3);
        };
        tokio::select! {
            () = on_time(heard, |_| {}, act) => panic!("it goes on as long as somebody may say something"),
            () = story => {}
        }
    }
}
