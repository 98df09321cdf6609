//! How a request proves to the provider who pays for it.

use gatewright_core::{Result, Secret};
use gatewright_transport::Request;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};

/// Adds the credential to a request that is otherwise final: URL, headers and body stand.
pub trait Authorize: Send + Sync + 'static {
    /// Adds the credential.
    fn authorize(&self, request: &mut Request) -> Result<()>;
}

/// A key in one header: `Authorization: Bearer …`, `x-api-key: …`.
pub struct HeaderKey {
    name: HeaderName,
    value: HeaderValue,
}

impl HeaderKey {
    /// `Authorization: Bearer <key>`; `None` where the key cannot stand in a header.
    pub fn bearer(key: &Secret) -> Option<Self> {
        Self::sensitive(AUTHORIZATION, &format!("Bearer {}", key.reveal()))
    }

    /// `<name>: <key>`; `None` where the key cannot stand in a header.
    pub fn named(name: HeaderName, key: &Secret) -> Option<Self> {
        Self::sensitive(name, key.reveal())
    }

    fn sensitive(name: HeaderName, text: &str) -> Option<Self> {
        let mut value = HeaderValue::from_str(text.trim()).ok()?;
        value.set_sensitive(true);
        Some(Self { name, value })
    }
}

impl Authorize for HeaderKey {
    fn authorize(&self, request: &mut Request) -> Result<()> {
        request.headers.insert(self.name.clone(), self.value.clone());
        Ok(())
    }
}
