//! The client itself, and the hosts that it knows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::RwLock;
use tokio::time::{Instant, sleep};

use crate::dial::Dialler;
use crate::host::{Host, Limits, Origin};
use crate::{Failure, Request, Response, Settings, SettingsError, Trust};

/// The one HTTP client. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Transport(Arc<Hosts>);

/// Every host that has connections, or had some a moment ago.
struct Hosts {
    known: RwLock<HashMap<Origin, Arc<Host>>>,
    dialler: Arc<Dialler>,
    limits: Limits,
    swept: AtomicBool,
}

// === impl Transport ===

impl Transport {
    /// A client without connections.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        Ok(Self(Arc::new(Hosts {
            known: RwLock::default(),
            dialler: Arc::new(Dialler::new(&settings)?),
            limits: Limits {
                idle_timeout: settings.idle_timeout,
                max_idle: settings.max_idle_per_host,
                http2: settings.http2,
            },
            swept: AtomicBool::new(false),
        })))
    }

    /// Sends a request and waits for the head of its answer. Redirects are not followed.
    ///
    /// A request that was certainly not processed, because the connection that it was meant for had closed or the peer
    /// says so, is sent again; one that the peer may have seen never is. Dropping the future cancels the request.
    pub async fn send(&self, request: Request) -> Result<Response, Failure> {
        let host = self.0.host(&request.uri, request.trust)?;
        host.send(request).await
    }
}

// === impl Hosts ===

impl Hosts {
    fn host(self: &Arc<Self>, uri: &http::Uri, trust: Trust) -> Result<Arc<Host>, Failure> {
        let origin = Origin::of(uri, trust)?;
        if let Some(host) = self.known.read().get(&origin) {
            return Ok(host.clone());
        }
        if !self.swept.swap(true, Ordering::Relaxed) {
            let interval = (self.limits.idle_timeout / 2).max(Duration::from_secs(1));
            self.dialler.tasks().spawn(sweep(Arc::downgrade(self), interval));
        }
        let host = Arc::new(Host::new(origin.clone(), self.dialler.clone(), self.limits)?);
        Ok(self.known.write().entry(origin).or_insert(host).clone())
    }

    /// Closes what was unused for too long, and forgets hosts that nobody uses.
    fn sweep(&self, now: Instant) {
        let hosts: Vec<_> = self.known.read().values().cloned().collect();
        for host in &hosts {
            host.sweep(now);
        }
        drop(hosts);
        self.known.write().retain(|_, host| Arc::strong_count(host) > 1 || !host.is_empty());
    }
}

impl std::fmt::Debug for Hosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hosts").field("known", &self.known.read().len()).finish_non_exhaustive()
    }
}

async fn sweep(hosts: Weak<Hosts>, interval: Duration) {
    loop {
        sleep(interval).await;
        match hosts.upgrade() {
            Some(hosts) => hosts.sweep(Instant::now()),
            None => return,
        }
    }
}
