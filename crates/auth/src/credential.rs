//! The key that a request carries, wherever its client puts it.

use gatewright_core::Secret;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName};

use crate::Settings;

/// A key as the client sent it: not checked yet, never printed.
#[derive(Clone)]
pub struct Credential(Secret);

/// Headers that carry keys, the first match wins: our own, OpenAI's, Azure's, Anthropic's.
const BEFORE_QUERY: [HeaderName; 5] = [
    HeaderName::from_static("x-litellm-api-key"),
    AUTHORIZATION,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
];
/// Azure's API management comes after Google's `?key=`.
const AFTER_QUERY: HeaderName = HeaderName::from_static("ocp-apim-subscription-key");

// === impl Credential ===

impl Credential {
    /// Finds the key of a request: the configured header, `x-litellm-api-key`, `Authorization`, `api-key`,
    /// `x-api-key`, `x-goog-api-key`, `?key=`, `Ocp-Apim-Subscription-Key`. Empty ones count as absent.
    pub fn from_parts(headers: &HeaderMap, query: Option<&str>, settings: &Settings) -> Option<Self> {
        settings
            .key_header
            .iter()
            .chain(&BEFORE_QUERY)
            .find_map(|name| from_header(headers, name))
            .or_else(|| from_query(query?))
            .or_else(|| from_header(headers, &AFTER_QUERY))
            .map(|key| Self(key.into()))
    }

    /// The key itself, for the one place that compares it.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

/// A key that is no text is still a key, though never the right one.
fn from_header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let text = String::from_utf8_lossy(headers.get(name)?.as_bytes());
    let text = text.trim();
    let bare = match text.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
        None if text.eq_ignore_ascii_case("bearer") => "",
        _ => text,
    };
    (!bare.is_empty()).then(|| bare.to_owned())
}

fn from_query(query: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(name, value)| *name == "key" && !value.is_empty())?;
    Some(decoded(value))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = tail.get(if escaped.is_some() { 2 } else { 0 }..).unwrap_or_default();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(headers: &[(&'static str, &str)], query: Option<&str>, expected: Option<&str>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let settings = Settings { key_header: Some(HeaderName::from_static("x-own")), ..Settings::default() };
        let found = Credential::from_parts(&map, query, &settings);
        assert_eq!(found.as_ref().map(Credential::reveal), expected, "{headers:?} {query:?}");
    }

    #[test]
    fn the_first_place_with_a_key_wins() {
        let places = [
            ("x-own", "a"),
            ("x-litellm-api-key", "b"),
            ("authorization", "Bearer c"),
            ("api-key", "d"),
            ("x-api-key", "e"),
            ("x-goog-api-key", "f"),
            ("?key=", "g"),
            ("ocp-apim-subscription-key", "h"),
        ];
        for (nth, expected) in ["a", "b", "c", "d", "e", "f", "g", "h"].iter().enumerate() {
            let headers: Vec<_> =
                places.iter().skip(nth).filter(|(name, _)| *name != "?key=").copied().collect();
            check(&headers, (nth < 7).then_some("alt=sse&key=g"), Some(expected));
        }
    }

    #[test]
    fn a_key_comes_with_or_without_its_scheme() {
        for (value, expected) in [
            ("Bearer sk-1", Some("sk-1")),
            ("bearer  sk-1 ", Some("sk-1")),
            ("sk-1", Some("sk-1")),
            ("Basic c2st", Some("Basic c2st")),
            ("Bearer ", None),
            ("Bearer", None),
            ("", None),
            ("Bearer sk-ü", Some("sk-ü")),
        ] {
            check(&[("authorization", value)], None, expected);
        }
        check(&[("authorization", "Bearer "), ("x-api-key", "sk-2")], None, Some("sk-2"));
        check(&[], None, None);
    }

    #[test]
    fn a_key_in_the_query_is_decoded() {
        for (query, expected) in [
            ("key=sk-1", Some("sk-1")),
            ("a=b&key=sk%2D1%2f+", Some("sk-1/+")),
            ("key=%zz%4", Some("%zz%4")),
            ("key=", None),
            ("monkey=x", None),
            ("key", None),
        ] {
            check(&[], Some(query), expected);
        }
    }
}
