//! Decides who is calling.

use std::sync::Arc;

use gatewright_core::{Caller, Error, ErrorKind, Result, Secret};

use crate::{Credential, KeyHash, Settings};

/// Knows the keys that are accepted.
#[derive(Clone)]
pub struct Authenticator {
    master: Option<KeyHash>,
    privileged: Arc<Caller>,
}

// === impl Authenticator ===

impl Authenticator {
    /// Accepts the master key; without one it accepts everybody.
    pub fn new(settings: &Settings) -> Self {
        let key = settings.master_key.as_ref().map(Secret::reveal).filter(|key| !key.is_empty());
        let privileged = if key.is_some() { Caller::master() } else { Caller::anonymous() };
        Self { master: key.map(KeyHash::of), privileged: Arc::new(privileged) }
    }

    /// Who this is. Every refusal is a 401 of type `auth_error`; LiteLLM answers a wrong key with 400
    /// `no_db_connection` where it has no database, which tells a client nothing.
    pub fn authenticate(&self, credential: Option<&Credential>) -> Result<Arc<Caller>> {
        let Some(master) = &self.master else { return Ok(self.privileged.clone()) };
        let Some(key) = credential.map(Credential::reveal) else {
            return Err(refused("Authentication Error, No api key passed in."));
        };
        if KeyHash::of(key) == *master {
            return Ok(self.privileged.clone());
        }
        match key.starts_with("sk-") {
            true => Err(refused("Authentication Error, Invalid API key provided.")),
            false => {
                Err(refused("LiteLLM Virtual Key expected. Received=****, expected to start with 'sk-'."))
            }
        }
    }
}

fn refused(message: &'static str) -> Error {
    Error::new(ErrorKind::Unauthenticated, message)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;

    fn settings(master_key: Option<&str>) -> Settings {
        Settings { master_key: master_key.map(Secret::from), key_header: None }
    }

    fn check(master_key: Option<&str>, key: Option<&str>, expected: Result<&str, &str>) {
        let settings = settings(master_key);
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {key}")).unwrap());
        }
        let credential = Credential::from_parts(&headers, None, &settings);
        let caller = Authenticator::new(&settings).authenticate(credential.as_ref());
        match (caller, expected) {
            (Ok(caller), Ok(id)) => assert_eq!((&*caller.id, caller.admin), (id, true)),
            (Err(err), Err(message)) => {
                assert_eq!((err.status(), err.message()), (StatusCode::UNAUTHORIZED, message));
                assert_eq!(err.kind().openai_type(), "auth_error");
            }
            (caller, _) => panic!("{key:?}: {:?}", caller.map(|caller| caller.id.clone())),
        }
    }

    #[test]
    fn only_the_master_key_opens() {
        let master = Some("sk-master");
        check(master, Some("sk-master"), Ok("master"));
        check(Some("no-prefix"), Some("no-prefix"), Ok("master"));
        check(master, None, Err("Authentication Error, No api key passed in."));
        for wrong in ["sk-maste", "sk-master2", "sk-Master", "sk-"] {
            check(master, Some(wrong), Err("Authentication Error, Invalid API key provided."));
        }
        let unprefixed = "LiteLLM Virtual Key expected. Received=****, expected to start with 'sk-'.";
        check(master, Some("master"), Err(unprefixed));
    }

    #[test]
    fn without_a_master_key_nobody_is_asked() {
        for none in [None, Some("")] {
            check(none, None, Ok("anonymous"));
            check(none, Some("sk-whatever"), Ok("anonymous"));
        }
    }
}
