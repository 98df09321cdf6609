//! OAuth 2.0 client credentials (RFC 6749, 4.4): a client shows its secret and is given a token.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gatewright_core::{Result, Secret};
use http::header::{AUTHORIZATION, HeaderMap};

use super::exchange::{Exchange, Token, coded, secret_header};

/// A client of a token server.
pub(crate) struct Client {
    /// The token server's address.
    pub(crate) address: String,
    /// The client's name.
    pub(crate) id: String,
    /// Its secret.
    pub(crate) secret: Secret,
    /// What the tokens are for, where the server wants to know.
    pub(crate) scope: Option<String>,
}

// === impl Client ===

impl Client {
    pub(super) async fn token(&self, exchange: &Exchange<'_>) -> Result<Token> {
        let pair = format!("{}:{}", coded(&self.id), coded(self.secret.reveal()));
        let shown = secret_header(AUTHORIZATION, &format!("Basic {}", STANDARD.encode(pair)))?;
        let scope = self.scope.as_deref().map(|scope| ("scope", scope));
        let fields: Vec<(&str, &str)> =
            [("grant_type", "client_credentials")].into_iter().chain(scope).collect();
        let asked = exchange.post(&self.address, HeaderMap::from_iter([shown]), &fields).await;
        asked.map_err(|refused| refused.error)
    }
}
