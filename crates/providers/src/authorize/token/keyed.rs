//! A provider's short-lived tokens, which its token server gives for a key.

use gatewright_core::{Error, ErrorKind, Result, Secret};
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use uuid::Builder;

use super::exchange::{Exchange, Token, secret_header};
use crate::authorize::random;

/// Whoever has a key.
pub(crate) struct Keyed {
    /// The token server's address.
    pub(crate) address: String,
    /// The key, where it is shown as a basic header.
    pub(crate) basic: Option<Secret>,
    /// The form that is sent.
    pub(crate) fields: Vec<(String, Secret)>,
    /// The header that wants another UUID with every question.
    pub(crate) request_id: Option<HeaderName>,
}

// === impl Keyed ===

impl Keyed {
    pub(super) async fn token(&self, exchange: &Exchange<'_>) -> Result<Token> {
        let mut headers = HeaderMap::new();
        if let Some(key) = &self.basic {
            let (name, value) = secret_header(AUTHORIZATION, &format!("Basic {}", key.reveal()))?;
            headers.insert(name, value);
        }
        if let Some(name) = &self.request_id {
            headers.insert(name.clone(), fresh_id()?);
        }
        let fields: Vec<(&str, &str)> =
            self.fields.iter().map(|(name, value)| (name.as_str(), value.reveal())).collect();
        exchange.post(&self.address, headers, &fields).await.map_err(|refused| refused.error)
    }
}

/// A UUID of the fourth version, which is all random.
fn fresh_id() -> Result<HeaderValue> {
    let id = Builder::from_random_bytes(random()?).into_uuid();
    HeaderValue::try_from(id.to_string()).map_err(|_| Error::new(ErrorKind::Internal, "no id"))
}
