//! How a request proves to the provider who pays for it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gatewright_core::{Result, Secret};
use gatewright_transport::Request;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

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

    /// `Authorization: Basic …` for the user of an address, `name:password`.
    pub fn basic(user: &str) -> Option<Self> {
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        let [name, password] = [name, password].map(|text| percent_decode_str(text).collect::<Vec<u8>>());
        let coded = STANDARD.encode([name.as_slice(), b":", &password].concat());
        Self::sensitive(AUTHORIZATION, &format!("Basic {coded}"))
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
