//! Decides who is calling.

use std::sync::Arc;

use gatewright_core::{Caller, Clock, Error, ErrorKind, Result, Secret};

use crate::bearer::{Bearer, is_token};
use crate::known::{Known, Sought};
use crate::routes::Routes;
use crate::{Asked, BearerSettings, Claimed, Credential, Fetch, KeyHash, Keys, Part, Remembered, Settings};

/// Knows the keys that are accepted.
#[derive(Clone)]
pub struct Authenticator {
    master: Option<KeyHash>,
    privileged: Arc<Caller>,
    virtual_keys: Option<VirtualKeys>,
    bearer: Option<Arc<Bearer>>,
}

/// What is known of virtual keys.
#[derive(Clone)]
struct VirtualKeys {
    known: Known,
    clock: Arc<dyn Clock>,
}

// === impl Authenticator ===

impl Authenticator {
    /// Accepts the master key; without one it accepts everybody.
    pub fn new(settings: &Settings) -> Self {
        let key = settings.master_key.as_ref().map(Secret::reveal).filter(|key| !key.is_empty());
        let privileged = if key.is_some() { Caller::master() } else { Caller::anonymous() };
        Self {
            master: key.map(KeyHash::of),
            privileged: Arc::new(privileged),
            virtual_keys: None,
            bearer: None,
        }
    }

    /// Accepts the virtual keys of `keys` too.
    pub fn with_keys(self, settings: &Settings, keys: Arc<dyn Keys>, clock: Arc<dyn Clock>) -> Self {
        let known = Known::new(settings, keys, clock.clone());
        Self { virtual_keys: Some(VirtualKeys { known, clock }), ..self }
    }

    /// Accepts the tokens of identity providers too, whose public keys are fetched by `fetch`.
    pub fn with_bearer(self, settings: BearerSettings, fetch: Arc<dyn Fetch>, clock: Arc<dyn Clock>) -> Self {
        Self { bearer: Some(Arc::new(Bearer::new(settings, fetch, clock))), ..self }
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
        if let Some(bearer) = self.bearer.as_ref().filter(|_| is_token(key)) {
            return self.claimed(bearer.check(key).await?, asked).await;
        }
        if !key.starts_with("sk-") {
            let words = "LiteLLM Virtual Key expected. Received=****, expected to start with 'sk-'.";
            return Err(refused(words));
        }
        let wrong = refused("Authentication Error, Invalid API key provided.");
        let Some(virtual_keys) = &self.virtual_keys else { return Err(wrong) };
        match virtual_keys.known.find(Sought::Key(hash)).await? {
            Some(grant) => grant.admit(asked, virtual_keys.clock.wall()),
            None => Err(wrong.with_type("token_not_found_in_db").with_param("key")),
        }
    }

    /// Whoever a checked token stands for.
    async fn claimed(&self, claimed: Arc<Claimed>, asked: &Asked<'_>) -> Result<Arc<Caller>> {
        if claimed.admin {
            Routes::new(&claimed.routes, None).admit(asked.path)?;
            return Ok(Arc::new(Caller {
                user: claimed.user.clone(),
                admin: true,
                ..Caller::new("jwt admin")
            }));
        }
        let unknown = || {
            let words = "Authentication Error, the token's user or team is not known here.";
            Error::new(ErrorKind::Forbidden, words)
        };
        let virtual_keys = self.virtual_keys.as_ref().ok_or_else(unknown)?;
        let grant = virtual_keys.known.find(Sought::claimed(claimed)).await?.ok_or_else(unknown)?;
        grant.admit(asked, virtual_keys.clock.wall())
    }

    /// Forgets the keys in which one of these has a say, because it was changed.
    pub fn forget(&self, parts: &[Part]) {
        if let Some(virtual_keys) = &self.virtual_keys {
            virtual_keys.known.forget(parts);
        }
    }

    /// Everything that is remembered of keys, to be written down; empty where it is not asked for.
    pub fn remembered(&self) -> Vec<Remembered> {
        self.virtual_keys.as_ref().map(|virtual_keys| virtual_keys.known.remembered()).unwrap_or_default()
    }

    /// Grows with everything that is remembered or forgotten.
    pub fn turn(&self) -> u64 {
        self.virtual_keys.as_ref().map_or(0, |virtual_keys| virtual_keys.known.turn())
    }

    /// Remembers what an earlier process wrote down, in doubt. Answers how many there are of use.
    pub fn recall(&self, remembered: Vec<Remembered>) -> usize {
        self.virtual_keys.as_ref().map_or(0, |virtual_keys| virtual_keys.known.recall(remembered))
    }

    /// Looks all keys up again before they are used, because anything may have been changed; those that cannot be looked
    /// up are used as they were.
    pub fn doubt(&self) {
        if let Some(virtual_keys) = &self.virtual_keys {
            virtual_keys.known.doubt();
        }
    }
}

fn refused(message: &'static str) -> Error {
    Error::new(ErrorKind::Unauthenticated, message)
}
