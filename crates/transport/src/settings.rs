//! How the client is set up.

use std::time::Duration;

use bytes::Bytes;

use crate::Egress;

/// How the client is set up. The defaults suit a gateway in front of public providers.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The longest that a new connection may take: name, TCP, proxy and TLS together.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// How many unused connections are kept for one host.
    pub max_idle_per_host: usize,
    /// Whether HTTP/2 is spoken.
    pub http2: Http2,
    /// Proxies in front of the upstreams.
    pub proxies: Proxies,
    /// Which addresses an untrusted URL may reach.
    pub egress: Egress,
    /// Who resolves names.
    pub dns: Dns,
    /// Certificates of private authorities, PEM, trusted besides the public ones.
    pub tls_extra_roots: Vec<Bytes>,
    /// The machine's own authorities, PEM, trusted too. What cannot be read among them is passed over.
    pub tls_system_roots: Option<Bytes>,
}

/// Whether HTTP/2 is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Http2 {
    /// Over TLS where the server picks it.
    #[default]
    Auto,
    /// Never.
    Off,
    /// Always, without asking: also without TLS.
    PriorKnowledge,
}

/// Proxies in front of the upstreams, as the variables `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` name them.
#[derive(Clone, Default)]
pub struct Proxies {
    /// The proxy for `http` URLs.
    pub http: Option<String>,
    /// The proxy for `https` URLs.
    pub https: Option<String>,
    /// Hosts that are reached without one: names, suffixes, addresses, networks, `*`; separated by commas.
    pub no_proxy: Option<String>,
}

/// Who resolves names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dns {
    /// The machine's own resolver (`getaddrinfo`), on a thread for blocking work.
    #[default]
    System,
    /// A resolver in this process that reads `/etc/resolv.conf` and `/etc/hosts` and heeds the records' lifetimes.
    Hickory,
}

/// Settings that cannot work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError(pub(crate) String);

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            max_idle_per_host: 512,
            http2: Http2::default(),
            proxies: Proxies::default(),
            egress: Egress::default(),
            dns: Dns::default(),
            tls_extra_roots: Vec::new(),
            tls_system_roots: None,
        }
    }
}

impl std::fmt::Debug for Proxies {
    /// A proxy's URL may carry a password, so only its presence is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

impl std::fmt::Display for SettingsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SettingsError {}
