//! How a request proves to the provider who pays for it.

pub(crate) mod aws;
pub(crate) mod choice;
mod signer;
pub(crate) mod token;

pub use signer::{AwsAccess, AwsSigner};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_core::future::BoxFuture;
use gatewright_core::{Error, ErrorKind, Result, Secret};
use gatewright_transport::{Request, Transport};
use http::Uri;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Adds the credential to a request that is otherwise final: URL, headers and body stand.
pub trait Authorize: Send + Sync + 'static {
    /// What must be waited for before a request can be authorized; `None` while the credential at hand is good, so
    /// that hardly any call waits. Whatever is asked for goes through `transport`.
    fn refresh<'a>(&'a self, _transport: &'a Transport) -> Option<BoxFuture<'a, Result<()>>> {
        None
    }

    /// Adds the credential.
    fn authorize(&self, request: &mut Request) -> Result<()>;

    /// Learns from the head of an answer that refused a request.
    fn heed(&self, _headers: &HeaderMap) {}
}

/// A key in the address: `?key=…`.
pub struct QueryKey {
    pair: String,
}

impl QueryKey {
    /// `<name>=<key>`.
    pub fn new(name: &str, key: &Secret) -> Self {
        let encoded = utf8_percent_encode(key.reveal(), NON_ALPHANUMERIC);
        Self { pair: format!("{name}={encoded}") }
    }
}

impl Authorize for QueryKey {
    fn authorize(&self, request: &mut Request) -> Result<()> {
        let mut parts = request.uri.clone().into_parts();
        let path = parts.path_and_query.as_ref().map_or("/", |path| path.as_str());
        let joint = if path.contains('?') { '&' } else { '?' };
        let with_key = format!("{path}{joint}{}", self.pair);
        let wrong = |_| Error::new(ErrorKind::Internal, "the key cannot stand in an address");
        parts.path_and_query = Some(with_key.parse().map_err(wrong)?);
        request.uri = Uri::from_parts(parts).map_err(|_| Error::new(ErrorKind::Internal, "no address"))?;
        Ok(())
    }
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

/// Numbers that nobody can foresee.
pub(crate) fn random() -> Result<[u8; 16]> {
    let mut numbers = [0; 16];
    let none = |_| Error::new(ErrorKind::Internal, "the machine gives no random numbers");
    SystemRandom::new().fill(&mut numbers).map_err(none)?;
    Ok(numbers)
}
