//! Keeps questions in Qdrant, through its REST interface.

mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gatewright_core::{Clock, Secret};
use gatewright_transport::{Pieces, Request, Transport};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode, Uri};
use parking_lot::Mutex;
use serde_json::Value;

use super::{Answered, Asking, Fault, Neighbour, Neighbours, Place};

/// Where Qdrant is, and how it keeps what it is given.
#[derive(Clone)]
pub struct QdrantSettings {
    /// Its URL, without a path.
    pub base: String,
    /// What it is asked with.
    pub api_key: Option<Secret>,
    /// The collection; made where there is none.
    pub collection: String,
    /// How a collection that is made packs its vectors.
    pub quantization: Quantization,
    /// The only length of vectors that is kept; any where it is not set.
    pub dimensions: Option<usize>,
    /// The largest answer that is read, in bytes.
    pub largest_entry: usize,
    /// How long an answer is kept where nothing else is said.
    pub usual: Duration,
}

/// How vectors are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quantization {
    /// A bit a number.
    #[default]
    Binary,
    /// A byte a number.
    Scalar,
    /// Sixteen times smaller, by codebooks.
    Product,
}

/// Keeps questions in Qdrant.
pub struct Qdrant {
    settings: QdrantSettings,
    transport: Transport,
    clock: Arc<dyn Clock>,
    api_key: Option<HeaderValue>,
    /// Whether the collection is there, as far as is known.
    ready: AtomicBool,
    /// When what is over is swept out next: Qdrant knows no lifetimes.
    sweep: Mutex<Instant>,
}

/// Between two sweeps.
const SWEEP: Duration = Duration::from_secs(600);

/// What an answer takes besides the entry in it, which is a third longer on the wire.
const AROUND: usize = 64 * 1024;

// === impl Qdrant ===

impl Qdrant {
    /// Asks nothing yet. Fails, in words, where the settings make no URL or no header.
    pub fn new(
        settings: QdrantSettings,
        transport: Transport,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, &'static str> {
        let api_key = settings.api_key.as_ref().map(|key| HeaderValue::from_str(key.reveal())).transpose();
        let mut api_key = api_key.map_err(|_| "the API key of Qdrant is no header")?;
        api_key.iter_mut().for_each(|key| key.set_sensitive(true));
        let sweep = Mutex::new(clock.now() + SWEEP);
        let this = Self { settings, transport, clock, api_key, ready: AtomicBool::new(false), sweep };
        match this.uri("").ok().as_ref().and_then(Uri::scheme_str) {
            Some("http" | "https") => Ok(this),
            _ => Err("expected the URL of Qdrant (`http://host:6333`) and the name of a collection"),
        }
    }

    async fn find(&self, place: &Place, least: f32) -> Result<Option<Neighbour>, Fault> {
        self.fits(place)?;
        let now = self.clock.unix_seconds();
        let (status, told) =
            self.send(Method::POST, "/points/query", Some(wire::query(place, least, now))).await?;
        match status {
            // No collection: nothing is kept yet.
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::OK => wire::nearest(&told, place, least, now),
            status => Err(failed(status)),
        }
    }

    async fn put(&self, place: Place, kept: Answered) -> Result<(), Fault> {
        self.fits(&place)?;
        if !self.ready.load(Ordering::Relaxed) {
            self.make(place.vector.dimensions()).await?;
            self.ready.store(true, Ordering::Relaxed);
        }
        let ttl = kept.ttl.unwrap_or(self.settings.usual);
        let until = self.clock.unix_seconds().saturating_add(ttl.as_secs());
        let point = wire::point(&place, &kept, until);
        let (status, _) = self.send(Method::PUT, "/points?wait=true", Some(point)).await?;
        if status == StatusCode::NOT_FOUND {
            // It was deleted since.
            self.ready.store(false, Ordering::Relaxed);
        }
        done(status)?;
        self.sweep_when_due().await
    }

    /// Makes the collection where there is none, and lets it find the fields that are asked for.
    async fn make(&self, dimensions: usize) -> Result<(), Fault> {
        let (status, told) = self.send(Method::GET, "/exists", None).await?;
        done(status)?;
        if !wire::exists(&told)? {
            let made = wire::collection(dimensions, self.settings.quantization);
            match self.send(Method::PUT, "", Some(made)).await?.0 {
                // Another replica was faster.
                StatusCode::CONFLICT => {}
                status => done(status)?,
            }
        }
        for index in wire::indexes() {
            done(self.send(Method::PUT, "/index?wait=true", Some(index)).await?.0)?;
        }
        Ok(())
    }

    async fn sweep_when_due(&self) -> Result<(), Fault> {
        let now = self.clock.now();
        let due = {
            let mut sweep = self.sweep.lock();
            let due = *sweep <= now;
            if due {
                *sweep = now + SWEEP;
            }
            due
        };
        match due {
            true => self.delete("/points/delete", wire::over(self.clock.unix_seconds())).await,
            false => Ok(()),
        }
    }

    async fn delete(&self, path: &str, which: Value) -> Result<(), Fault> {
        match self.send(Method::POST, path, Some(which)).await?.0 {
            StatusCode::NOT_FOUND => Ok(()),
            status => done(status),
        }
    }

    fn fits(&self, place: &Place) -> Result<(), Fault> {
        match self.settings.dimensions.is_none_or(|stated| stated == place.vector.dimensions()) {
            true => Ok(()),
            false => Err(Fault::away("the embedding model's vectors are not as long as is configured")),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(StatusCode, Bytes), Fault> {
        let uri = self.uri(path).map_err(|_| Fault::away("no URL"))?;
        let body = body.map(|body| Bytes::from(body.to_string()));
        let mut request = Request::new(method, uri, Pieces::from_iter(body));
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = &self.api_key {
            request.headers.insert("api-key", key.clone());
        }
        let answer = self.transport.send(request).await.map_err(|err| Fault::away(err.to_string()))?;
        let (status, most) = (answer.status, self.settings.largest_entry / 3 * 4 + AROUND);
        let told = answer.decoded(most).await.map_err(|err| Fault::away(err.to_string()))?;
        Ok((status, told))
    }

    fn uri(&self, path: &str) -> Result<Uri, http::uri::InvalidUri> {
        let QdrantSettings { base, collection, .. } = &self.settings;
        format!("{}/collections/{collection}{path}", base.trim_end_matches('/')).parse()
    }
}

impl Neighbours for Qdrant {
    fn nearest<'a>(&'a self, place: &'a Place, least: f32) -> Asking<'a, Option<Neighbour>> {
        Box::pin(self.find(place, least))
    }

    fn keep(&self, place: Place, kept: Answered) -> Asking<'_, ()> {
        Box::pin(self.put(place, kept))
    }

    fn forget<'a>(&'a self, keys: &'a [Arc<str>]) -> Asking<'a, ()> {
        Box::pin(self.delete("/points/delete?wait=true", wire::named(keys)))
    }

    fn forget_all(&self) -> Asking<'_, ()> {
        Box::pin(self.delete("/points/delete?wait=true", wire::ours()))
    }
}

fn done(status: StatusCode) -> Result<(), Fault> {
    match status.is_success() {
        true => Ok(()),
        false => Err(failed(status)),
    }
}

/// Without the body, which may repeat what was asked.
fn failed(status: StatusCode) -> Fault {
    Fault::away(format!("status {}", status.as_u16()))
}
