//! The API's own documentation: its OpenAPI document, and a page that shows it without the internet.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use crate::respond;

/// A file of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asset {
    media: &'static str,
    /// Kept compressed; every browser reads that.
    gzip: bool,
    bytes: &'static [u8],
}

/// The page.
pub(crate) const PAGE: Asset = Asset {
    media: "text/html; charset=utf-8",
    gzip: false,
    bytes: include_bytes!("../assets/swagger-ui/index.html"),
};
/// Starts what the page shows.
pub(crate) const START: Asset = Asset {
    media: "text/javascript; charset=utf-8",
    gzip: false,
    bytes: include_bytes!("../assets/swagger-ui/start.js"),
};
/// Swagger UI.
pub(crate) const SCRIPT: Asset = Asset {
    media: "text/javascript; charset=utf-8",
    gzip: true,
    bytes: include_bytes!("../assets/swagger-ui/swagger-ui-bundle.js.gz"),
};
/// How it looks.
pub(crate) const STYLE: Asset = Asset {
    media: "text/css; charset=utf-8",
    gzip: true,
    bytes: include_bytes!("../assets/swagger-ui/swagger-ui.css.gz"),
};

/// A file of the page as an answer.
pub(crate) fn asset(asset: &Asset) -> Response {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.media));
    if asset.gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    respond::file(headers, Body::from(Bytes::from_static(asset.bytes)))
}

/// `GET /openapi.json`.
pub(crate) fn document(document: &Bytes) -> Response {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    respond::file(headers, Body::from(document.clone()))
}
