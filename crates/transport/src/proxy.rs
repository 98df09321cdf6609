//! Which proxy stands before a host, and how a tunnel through it is opened.

use http::header::HeaderValue;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::host::Origin;
use crate::stream::Stream;
use crate::{Failure, FailureKind, Proxies, SettingsError, Trust};

/// The most that a proxy may say before the tunnel is open.
const MAX_HEAD: usize = 8 * 1024;

/// How a host is reached.
#[derive(Clone, Debug)]
pub(crate) enum Route {
    /// Straight.
    Direct,
    /// The proxy takes the requests and passes them on.
    Forward(Proxy),
    /// The proxy takes a connection and passes on bytes.
    Tunnel(Proxy),
}

/// One proxy.
#[derive(Clone, Debug)]
pub(crate) struct Proxy(Intercept);

/// The rules.
#[derive(Debug)]
pub(crate) struct Rules(Matcher);

// === impl Rules ===

impl Rules {
    pub(crate) fn new(proxies: &Proxies) -> Result<Self, SettingsError> {
        check("http", proxies.http.as_deref())?;
        check("https", proxies.https.as_deref())?;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let matcher = Matcher::builder()
            .http(text(&proxies.http))
            .https(text(&proxies.https))
            .no(text(&proxies.no_proxy))
            .build();
        Ok(Self(matcher))
    }

    /// An untrusted host is always tunnelled, so that the proxy connects to the very address that was checked.
    pub(crate) fn route(&self, origin: &Origin) -> Route {
        let uri = http::Uri::builder()
            .scheme(origin.scheme())
            .authority(origin.authority.clone())
            .path_and_query("/")
            .build();
        match uri.ok().and_then(|uri| self.0.intercept(&uri)).map(Proxy) {
            None => Route::Direct,
            Some(proxy) if origin.tls || origin.trust == Trust::Untrusted => Route::Tunnel(proxy),
            Some(proxy) => Route::Forward(proxy),
        }
    }
}

/// The matcher drops what it cannot read, and then calls would pass by the proxy without a word.
fn check(which: &str, value: Option<&str>) -> Result<(), SettingsError> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Ok(());
    };
    let sample = http::Uri::from_static("http://example.com/");
    let proxy = Matcher::builder().http(value.to_owned()).build().intercept(&sample);
    match proxy.as_ref().and_then(|proxy| proxy.uri().scheme_str()) {
        Some("http" | "https") => Ok(()),
        Some(_) => Err(SettingsError(format!("the {which} proxy is neither http nor https"))),
        None => Err(SettingsError(format!("the {which} proxy is not a url"))),
    }
}

// === impl Proxy ===

impl Proxy {
    pub(crate) fn is_tls(&self) -> bool {
        self.0.uri().scheme_str() == Some("https")
    }

    pub(crate) fn name(&self) -> &str {
        let host = self.0.uri().host().unwrap_or_default();
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.uri().port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    pub(crate) fn credential(&self) -> Option<&HeaderValue> {
        self.0.basic_auth()
    }

    /// Asks the proxy for a tunnel to `target`, a host with its port.
    pub(crate) async fn tunnel(&self, stream: &mut Stream, target: &str) -> Result<(), Failure> {
        let mut ask = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n").into_bytes();
        if let Some(credential) = self.credential() {
            ask.extend_from_slice(b"proxy-authorization: ");
            ask.extend_from_slice(credential.as_bytes());
            ask.extend_from_slice(b"\r\n");
        }
        ask.extend_from_slice(b"\r\n");
        stream.write_all(&ask).await.map_err(|error| refused(error.to_string()))?;
        let head = read_head(stream).await?;
        match head.get(..12) {
            Some([b'H', b'T', b'T', b'P', b'/', b'1', b'.', _, b' ', b'2', _, _]) => Ok(()),
            Some(line) => Err(refused(format!("it answered {}", String::from_utf8_lossy(line)))),
            None => Err(refused("its answer is too short")),
        }
    }
}

/// Reads up to the empty line. Behind it the other side speaks only when spoken to.
async fn read_head(stream: &mut Stream) -> Result<Vec<u8>, Failure> {
    let mut head = Vec::with_capacity(256);
    loop {
        let read = stream.read_buf(&mut head).await.map_err(|error| refused(error.to_string()))?;
        match head.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(end) if end + 4 == head.len() => return Ok(head),
            // A refusal may carry a page for humans.
            Some(_) if !head.starts_with(b"HTTP/1.1 2") && !head.starts_with(b"HTTP/1.0 2") => {
                return Ok(head);
            }
            Some(_) => return Err(refused("it speaks before it was spoken to")),
            None if read == 0 => return Err(refused("it closed the connection")),
            None if head.len() > MAX_HEAD => return Err(refused("its answer is too long")),
            None => {}
        }
    }
}

fn refused(text: impl std::fmt::Display) -> Failure {
    Failure::unsent(FailureKind::Connect, format!("the proxy gave no tunnel: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(http: &str, https: &str, no: &str) -> Result<Rules, SettingsError> {
        let value = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Rules::new(&Proxies { http: value(http), https: value(https), no_proxy: value(no) })
    }

    #[track_caller]
    fn check_route(uri: &str, trust: Trust, no: &str, wanted: &str) {
        let rules = rules("http://plain.test:3128", "secure.test:3129", no).unwrap();
        let route = rules.route(&Origin::of(&uri.parse().unwrap(), trust).unwrap());
        let found = match &route {
            Route::Direct => "direct".to_owned(),
            Route::Forward(proxy) => format!("forward {}:{}", proxy.name(), proxy.port()),
            Route::Tunnel(proxy) => format!("tunnel {}:{}", proxy.name(), proxy.port()),
        };
        assert_eq!(found, wanted, "{uri}");
    }

    #[test]
    fn the_proxy_is_the_one_that_the_variables_name() {
        check_route("http://a.test/", Trust::Operator, "", "forward plain.test:3128");
        check_route("http://a.test/", Trust::Untrusted, "", "tunnel plain.test:3128");
        check_route("https://a.test/", Trust::Operator, "", "tunnel secure.test:3129");
        check_route("https://a.test/", Trust::Operator, "a.test", "direct");
        check_route("https://x.a.test:8443/", Trust::Operator, ".a.test", "direct");
        check_route("https://ba.test/", Trust::Operator, "a.test", "tunnel secure.test:3129");
        check_route("http://10.1.2.3/", Trust::Operator, "10.0.0.0/8", "direct");
        check_route("http://[fd00::1]/", Trust::Operator, "fd00::/8", "direct");
        check_route("http://a.test/", Trust::Operator, "*", "direct");
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_an_error() {
        assert!(rules("http://", "", "").is_err());
        assert!(rules("", "socks5://a.test:1080", "").is_err());
        assert!(rules("a.test:3128", "https://a.test:3128", "*").is_ok());
    }
}
