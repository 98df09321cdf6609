//! Decides who is calling.

use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{Caller, Clock, Error, ErrorKind, Result, Secret};
use moka::future::Cache;

use crate::{Asked, Credential, Grant, KeyHash, Keys, Settings};

/// How many keys are remembered, wrong ones included, and for how long: so long another replica's change may take to
/// be seen here.
const REMEMBERED: u64 = 100_000;
const FOR: Duration = Duration::from_secs(60);

/// Knows the keys that are accepted.
#[derive(Clone)]
pub struct Authenticator {
    master: Option<KeyHash>,
    privileged: Arc<Caller>,
    virtual_keys: Option<VirtualKeys>,
}

/// Where virtual keys are kept, and what is remembered of it.
#[derive(Clone)]
struct VirtualKeys {
    keys: Arc<dyn Keys>,
    known: Cache<KeyHash, Option<Arc<Grant>>>,
    clock: Arc<dyn Clock>,
}

// === impl Authenticator ===

impl Authenticator {
    /// Accepts the master key; without one it accepts everybody.
    pub fn new(settings: &Settings) -> Self {
        let key = settings.master_key.as_ref().map(Secret::reveal).filter(|key| !key.is_empty());
        let privileged = if key.is_some() { Caller::master() } else { Caller::anonymous() };
        Self { master: key.map(KeyHash::of), privileged: Arc::new(privileged), virtual_keys: None }
    }

    /// Accepts the virtual keys of `keys` too.
    pub fn with_keys(self, keys: Arc<dyn Keys>, clock: Arc<dyn Clock>) -> Self {
        let known = Cache::builder().max_capacity(REMEMBERED).time_to_live(FOR).build();
        Self { virtual_keys: Some(VirtualKeys { keys, known, clock }), ..self }
    }

    /// Who this is. Every refusal is a 401 of type `auth_error`; LiteLLM answers a wrong key with 400
    /// `no_db_connection` where it has no database, which tells a client nothing.
    pub async fn authenticate(
        &self,
        credential: Option<&Credential>,
        asked: &Asked<'_>,
    ) -> Result<Arc<Caller>> {
        let Some(master) = &self.master else { return Ok(self.privileged.clone()) };
        let Some(key) = credential.map(Credential::reveal) else {
            return Err(refused("Authentication Error, No api key passed in."));
        };
        let hash = KeyHash::of(key);
        if hash == *master {
            return Ok(self.privileged.clone());
        }
        if !key.starts_with("sk-") {
            let words = "LiteLLM Virtual Key expected. Received=****, expected to start with 'sk-'.";
            return Err(refused(words));
        }
        let wrong = refused("Authentication Error, Invalid API key provided.");
        let Some(virtual_keys) = &self.virtual_keys else { return Err(wrong) };
        match virtual_keys.find(hash).await? {
            Some(grant) => grant.admit(asked, virtual_keys.clock.wall()),
            None => Err(wrong.with_type("token_not_found_in_db").with_param("key")),
        }
    }

    /// Forgets what is remembered of a key, because it was changed.
    pub async fn forget(&self, key: &KeyHash) {
        if let Some(virtual_keys) = &self.virtual_keys {
            virtual_keys.known.invalidate(key).await;
        }
    }

    /// Forgets what is remembered of all keys, because something above them was changed.
    pub fn forget_all(&self) {
        if let Some(virtual_keys) = &self.virtual_keys {
            virtual_keys.known.invalidate_all();
        }
    }
}

// === impl VirtualKeys ===

impl VirtualKeys {
    /// Asked many times for a key at once, the port is asked once. An error is not remembered.
    async fn find(&self, hash: KeyHash) -> Result<Option<Arc<Grant>>> {
        if let Some(known) = self.known.get(&hash).await {
            return Ok(known);
        }
        let look = async {
            let holder = self.keys.find(hash).await?;
            Ok(holder.map(|holder| Arc::new(Grant::new(&holder, self.clock.wall()))))
        };
        self.known.try_get_with(hash, look).await.map_err(|err: Arc<Error>| (*err).clone())
    }
}

fn refused(message: &'static str) -> Error {
    Error::new(ErrorKind::Unauthenticated, message)
}
