//! Tokens of identity providers (JWT): whether one is genuine, and whom it stands for.

mod claimed;
mod keyset;
mod settings;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gatewright_core::{Clock, Error, ErrorKind, Result};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use moka::sync::Cache;
use serde_json::{Map, Value};

use crate::KeyHash;
use keyset::KeySet;

pub use claimed::Claimed;
pub use keyset::Fetch;
pub use settings::{BearerSettings, ClaimNames, Role, ScopeGrant};

/// Tokens that were checked and are remembered.
const REMEMBERED: u64 = 10_000;

/// Signatures with a private key. With a shared one, whoever knows the public key could sign.
const ALLOWED: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Checks tokens.
pub(crate) struct Bearer {
    settings: BearerSettings,
    keys: KeySet,
    clock: Arc<dyn Clock>,
    /// By the digest of the whole token: no two have the same.
    checked: Cache<KeyHash, Checked>,
}

#[derive(Clone)]
struct Checked {
    claimed: Arc<Claimed>,
    until: SystemTime,
}

// === impl Bearer ===

impl Bearer {
    pub(crate) fn new(settings: BearerSettings, fetch: Arc<dyn Fetch>, clock: Arc<dyn Clock>) -> Self {
        let times = (settings.fresh, settings.stale);
        let keys = KeySet::new(settings.keys.clone(), times, fetch, clock.clone());
        let checked = Cache::builder().max_capacity(REMEMBERED).build();
        Self { settings, keys, clock, checked }
    }

    /// Whom a token stands for, if it is genuine and its time has come and is not over.
    pub(crate) async fn check(&self, token: &str) -> Result<Arc<Claimed>> {
        let digest = KeyHash::of(token);
        let now = self.clock.wall();
        if let Some(known) = self.checked.get(&digest).filter(|known| known.until > now) {
            return Ok(known.claimed);
        }
        let claims = self.genuine(token).await?;
        let ends = self.in_time(&claims, self.clock.wall())?;
        self.for_us(&claims)?;
        let claimed = Arc::new(Claimed::new(&self.settings, &claims)?);
        // A key that its provider took back is not trusted for longer than keys are remembered.
        let until = ends.min(now + self.settings.fresh);
        self.checked.insert(digest, Checked { claimed: claimed.clone(), until });
        Ok(claimed)
    }

    /// The claims, if somebody signed them whose key we know.
    async fn genuine(&self, token: &str) -> Result<Map<String, Value>> {
        let header = decode_header(token).map_err(|_| refused("the token cannot be read"))?;
        if !ALLOWED.contains(&header.alg) {
            return Err(refused("the token is signed in a way that is not accepted"));
        }
        let mut validation = Validation::new(header.alg);
        // Times and audiences are looked at with our own clock and settings.
        (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
        validation.required_spec_claims.clear();
        for key in self.keys.of(&header).await? {
            let Ok(key) = DecodingKey::from_jwk(&key) else { continue };
            if let Ok(told) = decode::<Map<String, Value>>(token, &key, &validation) {
                return Ok(told.claims);
            }
        }
        Err(refused("the token is signed with a key that is not known"))
    }

    fn in_time(&self, claims: &Map<String, Value>, now: SystemTime) -> Result<SystemTime> {
        let leeway = self.settings.leeway;
        let ends =
            moment(claims.get("exp")).ok_or_else(|| refused("the token does not say when it expires"))?;
        if ends + leeway <= now {
            return Err(refused("the token has expired").with_type("expired_key"));
        }
        match claims.get("nbf").map(|begins| moment(Some(begins))) {
            Some(begins) if begins.is_none_or(|begins| begins > now + leeway) => {
                Err(refused("the token is not valid yet"))
            }
            _ => Ok(ends),
        }
    }

    fn for_us(&self, claims: &Map<String, Value>) -> Result<()> {
        let named = |name: &str, allowed: &[String]| {
            let is = |value: &Value| value.as_str().is_some_and(|text| allowed.iter().any(|one| one == text));
            allowed.is_empty()
                || match claims.get(name) {
                    Some(Value::Array(list)) => list.iter().any(is),
                    Some(value) => is(value),
                    None => false,
                }
        };
        if !named("iss", &self.settings.issuers) {
            return Err(refused("the token is of another issuer"));
        }
        if !named("aud", &self.settings.audiences) {
            return Err(refused("the token is for another audience"));
        }
        Ok(())
    }
}

/// Whether a credential has the form of a token.
pub(crate) fn is_token(credential: &str) -> bool {
    let mut parts = credential.split('.');
    let three = parts.by_ref().take(3).filter(|part| !part.is_empty()).count() == 3;
    three && parts.next().is_none() && credential.starts_with("ey")
}

/// Seconds since 1970, with or without a fraction.
fn moment(value: Option<&Value>) -> Option<SystemTime> {
    let seconds = value?.as_f64().filter(|seconds| *seconds >= 0.0)?;
    UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
}

fn refused(why: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, format!("Authentication Error, {why}."))
}
