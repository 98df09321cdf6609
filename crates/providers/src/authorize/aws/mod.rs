//! Requests signed for AWS, with credentials that may have to be fetched and renewed.

mod credentials;
mod fetch;
mod profile;
mod sign;
mod source;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::UNIX_EPOCH;

use arc_swap::ArcSwapOption;
use futures_core::future::BoxFuture;
use gatewright_core::{Clock, Error, ErrorKind, Result};
use gatewright_transport::{Request, Transport};
use http::header::{DATE, HeaderMap};
use tokio::sync::Mutex;
use tracing::warn;

use self::credentials::Credentials;
use self::fetch::Asker;
use self::sign::Scope;
use self::source::Source;
pub(crate) use self::source::{Told, VARIABLES};
use super::Authorize;

/// How long before their end credentials are renewed, in seconds.
const AHEAD: u64 = 300;

/// After how long credentials without an end are looked up again, in seconds: somebody may have written a profile anew.
const LOOKED_UP_AGAIN: u64 = 900;

/// How long after a renewal that failed another is tried while the old credentials are still good, in seconds.
const PAUSE: u64 = 30;

/// By how much two clocks may differ before it matters, in seconds.
const TOLERATED: i64 = 60;

/// Signs requests for one region of one service.
pub(crate) struct Aws {
    source: Source,
    region: String,
    service: String,
    clock: Arc<dyn Clock>,
    /// By how many seconds AWS's clock is ahead of this machine's, where they differ by much.
    ahead: AtomicI64,
    kept: ArcSwapOption<Kept>,
    /// Held by whoever fetches.
    fetching: Mutex<()>,
}

/// Credentials at hand.
struct Kept {
    credentials: Credentials,
    /// From when on somebody should fetch others, in Unix seconds.
    renew_at: u64,
}

// === impl Aws ===

impl Aws {
    /// A signer; `None` where nothing says where credentials may come from.
    pub(crate) fn new(service: &str, told: &Told<'_>, clock: Arc<dyn Clock>) -> Option<Self> {
        Source::find(told).map(|source| Self::with(source, (told.region, service), clock))
    }

    fn with(source: Source, (region, service): (&str, &str), clock: Arc<dyn Clock>) -> Self {
        let kept = match &source {
            Source::Keys(keys) => Some(Arc::new(Kept { credentials: keys.clone(), renew_at: u64::MAX })),
            _ => None,
        };
        Self {
            source,
            region: region.to_owned(),
            service: service.to_owned(),
            clock,
            ahead: AtomicI64::new(0),
            kept: ArcSwapOption::new(kept),
            fetching: Mutex::default(),
        }
    }

    /// Fetches, unless another did while this one waited.
    async fn renew(&self, transport: &Transport) -> Result<()> {
        let _fetching = self.fetching.lock().await;
        let now = self.clock.unix_seconds();
        let kept = self.kept.load_full();
        if kept.as_ref().is_some_and(|kept| now < kept.renew_at) {
            return Ok(());
        }
        match (Asker { transport, now }.fetch(&self.source).await, kept) {
            (Ok(credentials), _) => {
                self.kept.store(Some(Arc::new(Kept::new(credentials, now))));
                Ok(())
            }
            (Err(err), Some(kept)) if kept.is_good(now) => {
                warn!(
                    detail = err.detail(),
                    "AWS credentials could not be renewed; the old ones are still good"
                );
                let credentials = kept.credentials.clone();
                self.kept.store(Some(Arc::new(Kept { credentials, renew_at: now + PAUSE })));
                Ok(())
            }
            (Err(err), _) => Err(err),
        }
    }
}

impl Authorize for Aws {
    fn refresh<'a>(&'a self, transport: &'a Transport) -> Option<BoxFuture<'a, Result<()>>> {
        let now = self.clock.unix_seconds();
        let kept = self.kept.load();
        let waits = match kept.as_ref() {
            Some(kept) if now < kept.renew_at => false,
            // Another fetches already, and what is at hand will do until then.
            Some(kept) if kept.is_good(now) => self.fetching.try_lock().is_ok(),
            _ => true,
        };
        waits.then(|| Box::pin(self.renew(transport)) as BoxFuture<'a, Result<()>>)
    }

    fn authorize(&self, request: &mut Request) -> Result<()> {
        let kept = self.kept.load();
        let kept =
            kept.as_ref().ok_or_else(|| Error::new(ErrorKind::Internal, "no AWS credentials at hand"))?;
        let now = self.clock.unix_seconds().saturating_add_signed(self.ahead.load(Ordering::Relaxed));
        sign::sign(request, &kept.credentials, Scope { region: &self.region, service: &self.service, now })
    }

    /// A signature is good for five minutes: a machine whose clock is off by more signs by AWS's clock from then on.
    fn heed(&self, headers: &HeaderMap) {
        let said = headers.get(DATE).and_then(|value| httpdate::parse_http_date(value.to_str().ok()?).ok());
        let Some(theirs) = said.and_then(|time| time.duration_since(UNIX_EPOCH).ok()) else { return };
        let ours = self.clock.unix_seconds();
        let ahead = theirs.as_secs().cast_signed().saturating_sub(ours.cast_signed());
        self.ahead.store(if ahead.abs() > TOLERATED { ahead } else { 0 }, Ordering::Relaxed);
    }
}

// === impl Kept ===

impl Kept {
    fn new(credentials: Credentials, now: u64) -> Self {
        let renew_at = match credentials.expires {
            // Those that live for minutes are renewed at half of it, or they would be renewed with every call.
            Some(end) => end - AHEAD.min(end.saturating_sub(now) / 2).min(end),
            None => now + LOOKED_UP_AGAIN,
        };
        Self { credentials, renew_at }
    }

    fn is_good(&self, now: u64) -> bool {
        self.credentials.expires.is_none_or(|end| now < end)
    }
}
