//! How providers are reached: through which proxies, and whose certificates are trusted.

use std::fs;

use bytes::Bytes;
use gatewright_auth::TrustedProxies;
use gatewright_providers::Links;
use gatewright_transport::Proxies;
use serde_json::Value;

use super::file::Env;
use super::problem::Problems;
use super::read::Section;

/// Authorities that are trusted besides the public ones, PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authorities {
    /// Those that the operator names.
    pub named: Vec<Bytes>,
    /// The machine's own.
    pub system: Option<Bytes>,
}

/// Where machines keep the authorities that they trust; the first one that is there counts.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The proxies that the environment names, in either spelling.
pub(super) fn proxies(env: Env<'_>, problems: &mut Problems) -> Proxies {
    let either = |upper: &'static str| {
        let value = env(upper).or_else(|| env(&upper.to_ascii_lowercase()));
        value.filter(|value| !value.is_empty()).map(|value| (upper, value))
    };
    // `HTTP_PROXY` in capitals can be a client's header under CGI; this process is never run that way.
    let http = either("HTTP_PROXY").or_else(|| either("ALL_PROXY"));
    let https = either("HTTPS_PROXY").or_else(|| either("ALL_PROXY"));
    let mut told = None;
    for (name, value) in [&http, &https].into_iter().flatten() {
        let scheme = value.split_once("://").map_or("http", |(scheme, _)| scheme).to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https") && told.replace(name) != Some(name) {
            let message = format!("{name} names a {scheme} proxy; only http and https proxies are supported");
            problems.error("environment", message);
        }
    }
    let url = |found: Option<(&str, String)>| found.map(|(_, value)| value);
    Proxies { http: url(http), https: url(https), no_proxy: url(either("NO_PROXY")) }
}

/// Who is believed about where a request comes from: nobody, unless both keys say so.
pub(super) fn trusted_proxies(general: &Section<'_>, problems: &mut Problems) -> TrustedProxies {
    const ASKED: &str = "use_x_forwarded_for";
    const RANGES: &str = "trusted_proxy_ranges";
    let ranges = general.texts(RANGES, problems);
    if general.flag(ASKED, problems) != Some(true) {
        return TrustedProxies::default();
    }
    if ranges.is_empty() {
        problems
            .warn(general.at(ASKED), format!("it has no effect without `{RANGES}`: nobody's word is taken"));
    }
    TrustedProxies::new(&ranges).unwrap_or_else(|text| {
        problems.error(general.at(RANGES), format!("'{text}' is neither an address nor a network"));
        TrustedProxies::default()
    })
}

/// What is fetched for providers that fetch nothing, and from where.
pub(super) fn links(litellm: &Section<'_>, general: &Section<'_>, problems: &mut Problems) -> Links {
    let defaults = Links::default();
    let count = |key: &str, problems: &mut Problems| {
        general.count(key, problems).map(|count| usize::try_from(count).unwrap_or(usize::MAX))
    };
    let megabytes = count("max_linked_media_mb", problems);
    let max_bytes = megabytes.map_or(defaults.max_bytes, |mb| mb.saturating_mul(1 << 20));
    let both = [litellm, general];
    let checked = both.iter().find_map(|section| section.flag("user_url_validation", problems));
    let hosts = both.iter().flat_map(|section| section.texts("user_url_allowed_hosts", problems));
    Links {
        trusted_hosts: hosts.collect(),
        public_only: checked.unwrap_or(defaults.public_only),
        max_count: count("max_linked_media", problems).unwrap_or(defaults.max_count),
        max_bytes,
        timeout: general.seconds("linked_media_timeout", problems).unwrap_or(defaults.timeout),
    }
}

/// Authorities from `ssl_verify`, `SSL_CERT_FILE` and the machine.
pub(super) fn authorities(litellm: &Section<'_>, env: Env<'_>, problems: &mut Problems) -> Authorities {
    let mut named = Vec::new();
    let mut read = |at: String, path: &str, problems: &mut Problems| match fs::read(path) {
        Ok(pem) => named.push(Bytes::from(pem)),
        Err(err) => problems.error(at, format!("cannot read the certificates in {path}: {err}")),
    };
    if let Some(path) = env("SSL_CERT_FILE").filter(|path| !path.is_empty()) {
        read("environment".to_owned(), &path, problems);
    }
    const VERIFY: &str = "ssl_verify";
    match litellm.value(VERIFY) {
        Some(Value::String(path)) if path.contains(['/', '.']) => read(litellm.at(VERIFY), path, problems),
        _ if litellm.flag(VERIFY, problems) == Some(false) => {
            let message =
                "certificates are always verified; name a file with your authority's certificate instead";
            problems.warn(litellm.at(VERIFY), message);
        }
        _ => {}
    }
    let system = BUNDLES.iter().find_map(|path| fs::read(path).ok()).map(Bytes::from);
    // Where the variable names the machine's own, they are kept once.
    Authorities { system: system.filter(|pem| !named.contains(pem)), named }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn told(problems: &Problems) -> Vec<String> {
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_proxy_that_is_not_supported_is_told() {
        for (variables, proxy, complaints) in [
            (
                vec![("ALL_PROXY", "socks5://p:1")],
                Some("socks5://p:1"),
                vec!["ALL_PROXY names a socks5 proxy"],
            ),
            (
                vec![("https_proxy", "SOCKS5h://p:1")],
                Some("SOCKS5h://p:1"),
                vec!["HTTPS_PROXY names a socks5h"],
            ),
            (vec![("all_proxy", "http://p:1")], Some("http://p:1"), vec![]),
            (vec![("HTTPS_PROXY", "p:1"), ("HTTP_PROXY", ""), ("NO_PROXY", "*")], Some("p:1"), vec![]),
            // Nothing goes through a proxy that another one stands before.
            (
                vec![
                    ("ALL_PROXY", "socks5://p:1"),
                    ("HTTP_PROXY", "http://h"),
                    ("HTTPS_PROXY", "http://p:2"),
                ],
                Some("http://p:2"),
                vec![],
            ),
        ] {
            let mut problems = Problems::default();
            let env = |name: &str| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(proxies(&env, &mut problems).https.as_deref(), proxy, "{variables:?}");
            let told = told(&problems);
            assert_eq!(told.len(), complaints.len(), "{told:?}");
            for (line, want) in told.iter().zip(complaints) {
                assert!(line.contains(want), "{line}");
            }
        }
    }

    #[test]
    fn authorities_come_from_the_file_and_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let pem = |name: &str| {
            let path = dir.path().join(name);
            fs::write(&path, name).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (variable, file) = (pem("variable.pem"), pem("file.pem"));
        for (verify, variable, named, complaint) in [
            (json!(file), Some(&*variable), vec!["variable.pem", "file.pem"], None),
            (json!(true), None, vec![], None),
            (json!("false"), None, vec![], Some("always verified")),
            (json!("no/such.pem"), Some(&*variable), vec!["variable.pem"], Some("cannot read")),
            (json!(null), Some("no/such.pem"), vec![], Some("cannot read")),
        ] {
            let map = Map::from_iter([("ssl_verify".to_owned(), verify)]);
            let mut problems = Problems::default();
            let env = |name: &str| (name == "SSL_CERT_FILE").then(|| variable.map(str::to_owned)).flatten();
            let found = authorities(&Section::new("litellm_settings", &map), &env, &mut problems);
            assert_eq!(found.named, named);
            let told = told(&problems);
            assert_eq!(told.len(), usize::from(complaint.is_some()), "{told:?}");
            assert!(complaint.is_none_or(|want| told[0].contains(want)), "{told:?}");
        }
    }

    #[test]
    fn the_machines_own_authorities_are_kept_once_where_the_environment_names_them() {
        // A machine without any has nothing to keep twice.
        let Some(bundle) = BUNDLES.into_iter().find(|path| fs::exists(path).unwrap()) else { return };
        let found = |named: &str| {
            let env = |name: &str| (name == "SSL_CERT_FILE").then(|| named.to_owned());
            authorities(&Section::new("litellm_settings", &Map::new()), &env, &mut Problems::default())
        };
        let (named, not) = (found(bundle), found(""));
        assert_eq!((named.named.len(), named.system), (1, None));
        assert_eq!((not.named.len(), not.system.is_some()), (0, true));
    }
}
