//! A service account: it signs for itself that it may have a token.

use std::time::Duration;

use gatewright_core::{Error, ErrorKind, Result};
use http::header::HeaderMap;
use serde::Deserialize;
use serde_json::json;

use super::SCOPE;
use crate::authorize::token::assertion::{Scheme, Signer};
use crate::authorize::token::exchange::{Exchange, Refused, Token};

/// How long a signed claim holds.
const HOLDS: u64 = 3600;

/// How far the machine's clock may be off before the server's is believed.
const SKEW: Duration = Duration::from_secs(60);

/// A service account with its key.
pub(crate) struct Account {
    email: String,
    key_id: String,
    signer: Signer,
    token_uri: String,
}

/// The file that Google gives out.
#[derive(Deserialize)]
pub(super) struct File {
    client_email: String,
    #[serde(default)]
    private_key_id: String,
    private_key: String,
    #[serde(default = "usual")]
    token_uri: String,
}

fn usual() -> String {
    "https://oauth2.googleapis.com/token".to_owned()
}

// === impl Account ===

impl Account {
    pub(super) fn new(file: File) -> Result<Self> {
        let signer = Signer::new(&file.private_key, Scheme::Rs256).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidRequest,
                "the service account's private_key is no RSA key in PKCS #8",
            )
        })?;
        let File { client_email: email, private_key_id: key_id, token_uri, .. } = file;
        Ok(Self { email, key_id, signer, token_uri })
    }

    /// Asks for a token; once more by the server's clock where the machine's is off and the claim is refused.
    pub(super) async fn token(&self, exchange: &Exchange<'_>) -> Result<Token> {
        let now = exchange.clock.unix_seconds();
        let refused = match self.ask(exchange, now).await {
            Ok(token) => return Ok(token),
            Err(refused) => refused,
        };
        match refused.date.filter(|date| date.abs_diff(now) > SKEW.as_secs()) {
            Some(date) => self.ask(exchange, date).await.map_err(|refused| refused.error),
            None => Err(refused.error),
        }
    }

    async fn ask(&self, exchange: &Exchange<'_>, now: u64) -> Result<Token, Refused> {
        let claim = self.claim(now)?;
        let fields =
            [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", claim.as_str())];
        exchange.post(&self.token_uri, HeaderMap::new(), &fields).await
    }

    fn claim(&self, now: u64) -> Result<String> {
        // A little before, for clocks that go ahead.
        let issued = now.saturating_sub(10);
        let head = json!({"alg": Scheme::Rs256.name(), "typ": "JWT", "kid": self.key_id});
        let claims = json!({
            "iss": self.email, "scope": SCOPE, "aud": self.token_uri, "iat": issued, "exp": issued + HOLDS,
        });
        self.signer.sign(&head, &claims)
    }
}
