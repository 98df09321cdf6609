//! Any HTTP endpoint: LiteLLM's `generic_api`.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gatewright_core::Secret;
use http::Uri;
use http::header::{HeaderName, HeaderValue};

use super::post::{Line, address, secret};
use crate::{Delivered, Parcel, Sink, Undelivered};

/// Posts records to an address.
pub struct Webhook {
    name: String,
    uri: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    format: Format,
    line: Line,
}

/// How records lie in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A JSON array of them.
    #[default]
    JsonArray,
    /// One a line.
    Ndjson,
    /// Each in a request of its own.
    Single,
}

// === impl Webhook ===

impl Webhook {
    /// Posts to this address, with these headers. Says what is wrong with them, without their values.
    pub fn new(
        name: impl Into<String>,
        endpoint: &str,
        headers: &[(String, Secret)],
        (format, line): (Format, Line),
    ) -> Result<Self, String> {
        let header = |(name, value): &(String, Secret)| {
            let name: HeaderName =
                name.trim().parse().map_err(|_| format!("`{name}` is not the name of a header"))?;
            secret(name, value)
        };
        let headers = headers.iter().map(header).collect::<Result<_, _>>()?;
        Ok(Self { name: name.into(), uri: address(endpoint, "")?, headers, format, line })
    }
}

impl Sink for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    fn most_parcels(&self) -> usize {
        if self.format == Format::Single { 1 } else { usize::MAX }
    }

    fn deliver<'a>(&'a self, parcels: &'a [Parcel]) -> BoxFuture<'a, Result<Delivered, Undelivered>> {
        let lines: Vec<String> = parcels.iter().map(Parcel::to_line).collect();
        let body = match self.format {
            Format::JsonArray => format!("[{}]", lines.join(",")),
            Format::Ndjson => lines.join("\n"),
            Format::Single => lines.concat(),
        };
        let request = self.line.post(&self.uri, &self.headers, body);
        self.line.send(request).map(|answer| answer.map(|_| Delivered::default())).boxed()
    }
}

// === impl Format ===

impl Format {
    /// Reads LiteLLM's word for it.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "json_array" => Some(Self::JsonArray),
            "ndjson" => Some(Self::Ndjson),
            "single" => Some(Self::Single),
            _ => None,
        }
    }
}
