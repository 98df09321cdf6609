//! The public keys of identity providers: fetched, remembered, and fetched again when they change.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use gatewright_core::{Clock, Error, ErrorKind, Result};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, Header};
use parking_lot::RwLock;
use serde_json::Value;
use tokio::sync::Mutex;

/// Fetches documents of identity providers.
pub trait Fetch: Send + Sync + 'static {
    /// The document at this address, if it is not too large and comes in time.
    fn fetch<'a>(&'a self, url: &'a str) -> Pin<Box<dyn Future<Output = Result<Bytes>> + Send + 'a>>;
}

/// How long nobody asks again after a token with a key that nobody knows: anybody can make such tokens.
const PAUSE: Duration = Duration::from_secs(10);

/// How long nobody asks again after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// The most keys of all providers, and of those the most that are tried on a token which names none.
const MOST_KEYS: usize = 200;
const MOST_TRIES: usize = 8;

/// The keys of all providers that tokens may come from.
pub(crate) struct KeySet {
    urls: Vec<String>,
    fresh: Duration,
    stale: Duration,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    loaded: RwLock<Loaded>,
    /// Held while they are fetched: those that wait look at what was found meanwhile.
    gate: Mutex<()>,
}

#[derive(Default)]
struct Loaded {
    keys: Arc<[Jwk]>,
    at: Option<SystemTime>,
    tried: Option<SystemTime>,
}

// === impl KeySet ===

impl KeySet {
    pub(crate) fn new(
        urls: Vec<String>,
        (fresh, stale): (Duration, Duration),
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (loaded, gate) = (RwLock::default(), Mutex::new(()));
        Self { urls, fresh, stale, fetch, clock, loaded, gate }
    }

    /// The keys that a token with this head may be signed with; none where nobody knows one.
    pub(crate) async fn of(&self, header: &Header) -> Result<Vec<Jwk>> {
        let kept = self.age().is_some_and(|age| age < self.fresh).then(|| self.fitting(header));
        if let Some(keys) = kept.filter(|keys| !keys.is_empty()) {
            return Ok(keys);
        }
        let _held = self.gate.lock().await;
        let keys = self.fitting(header);
        let (age, since) = (self.age(), self.since_tried());
        let fresh = age.is_some_and(|age| age < self.fresh);
        let pause = if fresh { PAUSE } else { RETRY };
        if (fresh && !keys.is_empty()) || since.is_some_and(|since| since < pause) {
            return self.usable(age, keys);
        }
        let found = self.load().await;
        let mut loaded = self.loaded.write();
        let now = self.clock.wall();
        loaded.tried = Some(now);
        match found {
            Ok(keys) => (loaded.keys, loaded.at) = (keys.into(), Some(now)),
            Err(err) => {
                tracing::warn!(error = %err.message(), "cannot fetch the keys of identity providers");
            }
        }
        drop(loaded);
        self.usable(self.age(), self.fitting(header))
    }

    fn usable(&self, age: Option<Duration>, keys: Vec<Jwk>) -> Result<Vec<Jwk>> {
        if age.is_some_and(|age| age < self.fresh + self.stale) {
            return Ok(keys);
        }
        Err(Error::new(ErrorKind::Unavailable, "the keys of the identity provider cannot be fetched now"))
    }

    fn fitting(&self, header: &Header) -> Vec<Jwk> {
        let keys = self.loaded.read().keys.clone();
        keys.iter().filter(|key| fits(key, header)).take(MOST_TRIES).cloned().collect()
    }

    fn age(&self) -> Option<Duration> {
        Some(self.clock.wall().duration_since(self.loaded.read().at?).unwrap_or_default())
    }

    fn since_tried(&self) -> Option<Duration> {
        Some(self.clock.wall().duration_since(self.loaded.read().tried?).unwrap_or_default())
    }

    /// The keys of all providers that answer; an error where none does.
    async fn load(&self) -> Result<Vec<Jwk>> {
        let (mut keys, mut failure) = (Vec::new(), None);
        for url in &self.urls {
            match self.load_one(url).await {
                Ok(more) => keys.extend(more),
                Err(err) => failure = Some(err),
            }
        }
        keys.truncate(MOST_KEYS);
        match failure {
            Some(err) if keys.is_empty() => Err(err),
            _ => Ok(keys),
        }
    }

    async fn load_one(&self, url: &str) -> Result<Vec<Jwk>> {
        let mut document = self.document(url).await?;
        if let Some(keys) = document.get("jwks_uri").and_then(Value::as_str) {
            document = self.document(keys).await?;
        }
        let keys = document.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or_else(|| Error::new(ErrorKind::Unavailable, "no set of keys"))?;
        // Keys of kinds that nobody here knows are none of ours.
        Ok(keys.iter().filter_map(|key| serde_json::from_value(key.clone()).ok()).collect())
    }

    async fn document(&self, url: &str) -> Result<Value> {
        let bytes = self.fetch.fetch(url).await?;
        serde_json::from_slice(&bytes).map_err(|_| Error::new(ErrorKind::Unavailable, "no JSON document"))
    }
}

/// Whether a key may have signed a token with this head.
fn fits(key: &Jwk, header: &Header) -> bool {
    let common = &key.common;
    let named = header.kid.is_none() || common.key_id == header.kid;
    let signs = !matches!(common.public_key_use, Some(PublicKeyUse::Encryption));
    let algorithm = common.key_algorithm.and_then(|name| name.to_string().parse::<Algorithm>().ok());
    named && signs && (common.key_algorithm.is_none() || algorithm == Some(header.alg))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::time::{Instant, UNIX_EPOCH};

    use serde_json::json;

    use super::*;

    /// A provider with one key, and a clock.
    #[derive(Default)]
    struct Provider {
        away: AtomicBool,
        fetched: AtomicU32,
        seconds: AtomicU32,
    }

    impl Fetch for Provider {
        fn fetch<'a>(&'a self, _: &'a str) -> Pin<Box<dyn Future<Output = Result<Bytes>> + Send + 'a>> {
            self.fetched.fetch_add(1, Ordering::Relaxed);
            let key = json!({"kty": "EC", "crv": "P-256", "kid": "a", "x": "AA", "y": "AA"});
            let unknown = json!({"kty": "new", "kid": "b"});
            let found = match self.away.load(Ordering::Relaxed) {
                true => Err(Error::new(ErrorKind::Unavailable, "away")),
                false => Ok(json!({"keys": [unknown, key]}).to_string().into()),
            };
            Box::pin(std::future::ready(found))
        }
    }

    impl Clock for Provider {
        fn now(&self) -> Instant {
            Instant::now()
        }

        fn wall(&self) -> SystemTime {
            UNIX_EPOCH + Duration::from_secs(1_000_000 + u64::from(self.seconds.load(Ordering::Relaxed)))
        }
    }

    #[tokio::test]
    async fn keys_are_kept_for_a_while_when_their_provider_is_away() {
        let provider = Arc::new(Provider::default());
        let times = (Duration::from_secs(600), Duration::from_secs(3600));
        let set = KeySet::new(vec!["https://a".to_owned()], times, provider.clone(), provider.clone());
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("a".to_owned());
        for (second, away, found, fetched) in [
            (0, true, None, 1),
            (0, false, None, 1),
            (1, false, Some(1), 2),
            (500, false, Some(1), 2),
            (700, true, Some(1), 3),
            (700, true, Some(1), 3),
            (4200, true, Some(1), 4),
            (4202, true, None, 5),
            (4300, false, Some(1), 6),
        ] {
            provider.seconds.store(second, Ordering::Relaxed);
            provider.away.store(away, Ordering::Relaxed);
            assert_eq!(set.of(&header).await.map(|keys| keys.len()).ok(), found, "second {second}");
            assert_eq!(provider.fetched.load(Ordering::Relaxed), fetched, "second {second}");
        }
        header.kid = Some("b".to_owned());
        assert_eq!(set.of(&header).await.unwrap(), []);
        assert_eq!(provider.fetched.load(Ordering::Relaxed), 6, "asked for a moment ago");
    }
}
