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
    admit_unknown: bool,
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
            admit_unknown: settings.admit_unknown,
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
        let wrong = || refused("Authentication Error, Invalid API key provided.");
        let virtual_keys = self.virtual_keys.as_ref().ok_or_else(wrong)?;
        match virtual_keys.known.find(Sought::Key(hash)).await {
            Ok(Some(grant)) => grant.admit(asked, virtual_keys.clock.wall()),
            Ok(None) => Err(wrong().with_type("token_not_found_in_db").with_param("key")),
            Err(err) if err.kind() == ErrorKind::Unavailable && self.admit_unknown => unknown(asked),
            Err(err) => Err(err),
        }
    }

    /// Whom a token stands for in the first of its other teams that suits: a token that names several teams is one of
    /// each.
    pub async fn in_another_team(
        &self,
        credential: Option<&Credential>,
        asked: &Asked<'_>,
        suits: impl Fn(&Caller) -> bool + Send,
    ) -> Option<Arc<Caller>> {
        let VirtualKeys { known, clock } = self.virtual_keys.as_ref()?;
        let claimed = self.claims(credential?).await.filter(|claimed| !claimed.admin)?;
        for team in claimed.teams.iter().filter(|_| claimed.teams.len() > 1) {
            // A look at a team makes none.
            let one = Claimed { teams: vec![team.clone()], create_team: false, ..(*claimed).clone() };
            let Ok(Some(grant)) = known.find(Sought::claimed(Arc::new(one))).await else { continue };
            match grant.admit(asked, clock.wall()) {
                Ok(caller) if suits(&caller) => return Some(caller),
                Ok(_) | Err(_) => {}
            }
        }
        None
    }

    /// Whom a caller stands for by now: what is set for its key may have been changed. `None` where nobody can say, as of
    /// whoever came with a token.
    pub async fn renewed(&self, caller: &Caller) -> Option<Arc<Caller>> {
        match &caller.key {
            Some(key) => {
                let sought = Sought::Key(KeyHash::from_bytes(key.digest?));
                let grant = self.virtual_keys.as_ref()?.known.find(sought).await.ok()??;
                Some(grant.caller().clone())
            }
            None => Some(self.privileged.clone()).filter(|privileged| privileged.id == caller.id),
        }
    }

    /// What a credential claims that is a genuine token.
    pub async fn claims(&self, credential: &Credential) -> Option<Arc<Claimed>> {
        let bearer = self.bearer.as_ref().filter(|_| is_token(credential.reveal()))?;
        bearer.check(credential.reveal()).await.ok()
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

/// Whoever has a key that nobody can look up now: all of them are one caller, for models and for nothing else.
fn unknown(asked: &Asked<'_>) -> Result<Arc<Caller>> {
    const NAME: &str = "failed-to-connect-to-db";
    Routes::new(&["llm_api_routes".into()], None).admit(asked.path)?;
    Ok(Arc::new(Caller { name: NAME.into(), ..Caller::new(NAME) }))
}

fn refused(message: &'static str) -> Error {
    Error::new(ErrorKind::Unauthenticated, message)
}
