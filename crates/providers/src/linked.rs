//! Media at addresses, for providers that fetch nothing: they are fetched here and sent as bytes ([`Quirk::InlineMedia`]).
//!
//! A client names the address, so only public ones are reached, each look-up and each redirect anew.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::{StreamExt, TryStreamExt, stream};
use gatewright_catalogue::Quirk;
use gatewright_core::chat::{Chat, Media, MediaKind, MediaSource, Part};
use gatewright_core::{Call, Error, ErrorKind, Operation, Result};
use gatewright_transport::{Request, Response, Transport, Trust};
use http::Uri;
use http::header::{CONTENT_TYPE, LOCATION};
use tokio::time::{timeout, timeout_at};

use crate::endpoint::Endpoint;

/// What may be fetched for one call.
#[derive(Clone, Debug)]
pub struct Links {
    /// How many addresses.
    pub max_count: usize,
    /// The most bytes of each; all together have at most twice as many.
    pub max_bytes: usize,
    /// How long each may take.
    pub timeout: Duration,
    /// Whether addresses that are not public are refused.
    pub public_only: bool,
    /// Hosts (`host` or `host:port`) that may be reached although their addresses are not public.
    pub trusted_hosts: Vec<String>,
}

/// Bytes in base64 by the addresses that they came from.
pub(crate) type Fetched = HashMap<String, MediaSource>;

/// How many are fetched at the same time.
const AT_ONCE: usize = 4;

/// How often an address may point to another.
const REDIRECTS: usize = 3;

/// Types by the endings of names, where a server tells none that a model could read.
const ENDINGS: [(&str, &str); 12] = [
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("pdf", "application/pdf"),
    ("txt", "text/plain"),
    ("csv", "text/csv"),
    ("md", "text/markdown"),
    ("wav", "audio/wav"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
];

// === impl Links ===

impl Default for Links {
    fn default() -> Self {
        Self {
            max_count: 20,
            max_bytes: 50 << 20,
            timeout: Duration::from_secs(10),
            public_only: true,
            trusted_hosts: Vec::new(),
        }
    }
}

impl Links {
    fn trust(&self, uri: &Uri) -> Trust {
        let host = uri.host().unwrap_or_default();
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let named = |own: &String| own.eq_ignore_ascii_case(host) || own.eq_ignore_ascii_case(authority);
        match self.public_only && !self.trusted_hosts.iter().any(named) {
            true => Trust::Untrusted,
            false => Trust::Operator,
        }
    }
}

/// Fetches what a call's conversation only links to, where the provider would not.
pub(crate) async fn fetch(
    call: &Call,
    endpoint: &Endpoint,
    transport: &Transport,
    links: &Links,
) -> Result<Fetched> {
    let asks = matches!(call.operation, Operation::Chat | Operation::CountTokens);
    if !asks || !endpoint.quirks.contains(&Quirk::InlineMedia) {
        return Ok(Fetched::new());
    }
    let addresses: HashMap<&str, MediaKind> = addresses(call.chat()?).collect();
    if addresses.len() > links.max_count {
        return Err(refused(format!(
            "at most {} linked media can be fetched for a request",
            links.max_count
        )));
    }
    let one = |(address, kind): (&str, MediaKind)| {
        let address = address.to_owned();
        async move {
            let fetch = Fetch { transport, links };
            let source = timeout(links.timeout, fetch.media(&address, kind)).await;
            let source = source.map_err(|_| failed(&address, "it took too long"))??;
            Ok::<_, Error>((address, source))
        }
    };
    let most = links.max_bytes.saturating_mul(2);
    let within = |(mut all, total): (Fetched, usize), (address, source): (String, MediaSource)| async move {
        let total = size(&source).saturating_add(total);
        all.insert(address, source);
        if total > most { Err(refused("the linked media are too large together")) } else { Ok((all, total)) }
    };
    // What was fetched is counted as it comes, so that a request never holds much more than it may.
    let coming = stream::iter(addresses.into_iter().map(one)).buffer_unordered(AT_ONCE);
    let fetched = coming.try_fold((Fetched::new(), 0), within);
    let in_time = timeout_at(call.target()?.deadline.into(), fetched).await;
    in_time.map_err(|_| refused("the linked media took too long"))?.map(|(all, _)| all)
}

/// Puts what was fetched in the place of its address.
pub(crate) fn inline(chat: &mut Chat, fetched: &Fetched) {
    let parts = chat.turns.iter_mut().flat_map(|turn| &mut turn.parts);
    for media in parts.flat_map(media_of_mut) {
        if let MediaSource::Url(address) = &media.source
            && let Some(source) = fetched.get(address)
        {
            media.source = source.clone();
        }
    }
}

fn addresses(chat: &Chat) -> impl Iterator<Item = (&str, MediaKind)> {
    let parts = chat.turns.iter().flat_map(|turn| &turn.parts);
    parts.flat_map(media_of).filter_map(|media| match &media.source {
        // Others are places that the provider knows (`s3:`).
        MediaSource::Url(address) if address.starts_with("http") => Some((address.as_str(), media.kind)),
        _ => None,
    })
}

/// The media of a part, those in a tool's result included.
fn media_of(part: &Part) -> Vec<&Media> {
    match part {
        Part::Media(media) => vec![media],
        Part::ToolResult(result) => result.parts.iter().flat_map(media_of).collect(),
        _ => Vec::new(),
    }
}

fn media_of_mut(part: &mut Part) -> Vec<&mut Media> {
    match part {
        Part::Media(media) => vec![media],
        Part::ToolResult(result) => result.parts.iter_mut().flat_map(media_of_mut).collect(),
        _ => Vec::new(),
    }
}

struct Fetch<'a> {
    transport: &'a Transport,
    links: &'a Links,
}

// === impl Fetch ===

impl Fetch<'_> {
    async fn media(&self, address: &str, kind: MediaKind) -> Result<MediaSource> {
        let uri: Uri = address.parse().map_err(|_| failed(address, "it is no address"))?;
        let response = self.follow(uri, address).await?;
        let told = response.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = readable(told, address, kind)
            .ok_or_else(|| failed(address, "it is not what the request says"))?;
        let bytes = response.decoded(self.links.max_bytes).await;
        let bytes = bytes.map_err(|err| failed(address, &err.to_string()))?;
        Ok(MediaSource::Base64 { media_type, data: BASE64.encode(bytes) })
    }

    async fn follow(&self, mut uri: Uri, address: &str) -> Result<Response> {
        for _ in 0..=REDIRECTS {
            let request = Request { trust: self.links.trust(&uri), ..Request::fetch(uri.clone()) };
            let response = self.transport.send(request).await;
            let response = response.map_err(|err| failed(address, &err.to_string()))?;
            if response.status.is_success() {
                return Ok(response);
            }
            let next = response.headers.get(LOCATION).filter(|_| response.status.is_redirection());
            let Some(next) = next.and_then(|next| joined(&uri, next.to_str().ok()?)) else {
                return Err(failed(address, &format!("its server answered {}", response.status.as_u16())));
            };
            uri = next;
        }
        Err(failed(address, "it points to others without end"))
    }
}

/// Where a redirect leads: another address, or another path of the same host.
fn joined(from: &Uri, to: &str) -> Option<Uri> {
    if !to.starts_with('/') || to.starts_with("//") {
        return to.parse::<Uri>().ok().filter(|uri| uri.scheme().is_some());
    }
    let mut parts = from.clone().into_parts();
    parts.path_and_query = Some(to.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// The media type that a model is told: the server's, else that of the name's ending.
fn readable(told: Option<&str>, address: &str, kind: MediaKind) -> Option<String> {
    let kinds: &[&str] = match kind {
        MediaKind::Image => &["image/"],
        MediaKind::Audio => &["audio/"],
        MediaKind::Video => &["video/"],
        MediaKind::Document => &["application/pdf", "text/", "image/"],
    };
    let fits = |media_type: &str| kinds.iter().any(|kind| media_type.starts_with(kind));
    let told = told.and_then(|told| told.split(';').next()).map(|told| told.trim().to_ascii_lowercase());
    let told = told.filter(|told| fits(told));
    told.or_else(|| {
        let (_, ending) = address.split(['?', '#']).next()?.rsplit_once('.')?;
        let known = ENDINGS.iter().find(|(own, _)| own.eq_ignore_ascii_case(ending));
        known.map(|(_, media_type)| (*media_type).to_owned()).filter(|known| fits(known))
    })
}

fn size(source: &MediaSource) -> usize {
    match source {
        MediaSource::Base64 { data, .. } => data.len() / 4 * 3,
        _ => 0,
    }
}

/// Only the host is told: what stands behind it may be a secret.
fn failed(address: &str, why: &str) -> Error {
    let host = address.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    refused(format!("linked media at '{host}' could not be fetched: {why}"))
}

fn refused(words: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidRequest, words.into()).with_param("messages")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_the_servers_or_that_of_the_names_ending() {
        use MediaKind::{Document, Image};
        for (told, address, kind, want) in [
            (Some("image/PNG; charset=x"), "http://a/b", Image, Some("image/png")),
            (Some("application/octet-stream"), "http://a/b.JPG?x=.gif", Image, Some("image/jpeg")),
            (Some("text/html"), "http://a/b", Image, None),
            (Some("text/html"), "http://a/b", Document, Some("text/html")),
            (None, "http://a/b.pdf#p", Document, Some("application/pdf")),
            (None, "http://a/b.pdf", Image, None),
            (Some("application/zip"), "http://a/b.zip", Document, None),
            (None, "http://a.png/b", Image, None),
        ] {
            assert_eq!(readable(told, address, kind).as_deref(), want, "{told:?} {address}");
        }
    }

    #[test]
    fn a_redirect_leads_to_an_address_or_another_path() {
        let from: Uri = "https://a.example/x/y?z".parse().unwrap();
        for (to, want) in [
            ("/p?q", Some("https://a.example/p?q")),
            ("http://b.example/", Some("http://b.example/")),
            ("//b.example/p", None),
            ("p", None),
        ] {
            assert_eq!(joined(&from, to).map(|uri| uri.to_string()).as_deref(), want, "{to}");
        }
    }

    #[test]
    fn hosts_that_are_named_are_trusted_and_no_others() {
        let links =
            Links { trusted_hosts: vec!["Files.corp".into(), "10.0.0.1:8080".into()], ..Links::default() };
        for (address, trust) in [
            ("http://files.corp/a", Trust::Operator),
            ("http://files.corp:81/a", Trust::Operator),
            ("http://10.0.0.1:8080/a", Trust::Operator),
            ("http://10.0.0.1/a", Trust::Untrusted),
            ("http://evil-files.corp/a", Trust::Untrusted),
        ] {
            assert_eq!(links.trust(&address.parse().unwrap()), trust, "{address}");
        }
    }
}
