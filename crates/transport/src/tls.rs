//! TLS towards upstreams and proxies.

use std::fmt::Display;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::failure::with_causes;
use crate::stream::Stream;
use crate::{Failure, FailureKind, Http2, Settings, SettingsError};

const H2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// TLS towards upstreams, and towards proxies, which never speak HTTP/2.
pub(crate) struct Tls {
    upstream: TlsConnector,
    proxy: TlsConnector,
}

// === impl Tls ===

impl Tls {
    /// Trusts the public authorities and those of the settings.
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let plain = config(roots(settings)?)?;
        let mut upstream = plain.clone();
        upstream.alpn_protocols = match settings.http2 {
            Http2::Auto => vec![H2.to_vec(), HTTP1.to_vec()],
            Http2::Off => vec![HTTP1.to_vec()],
            Http2::PriorKnowledge => vec![H2.to_vec()],
        };
        Ok(Self { upstream: Arc::new(upstream).into(), proxy: Arc::new(plain).into() })
    }

    /// Shakes hands with an upstream. Answers whether it chose HTTP/2.
    pub(crate) async fn greet(&self, stream: Stream, name: &str) -> Result<(Stream, bool), Failure> {
        let stream = handshake(&self.upstream, stream, name).await?;
        let http2 = match &stream {
            Stream::Tls(tls) => tls.get_ref().1.alpn_protocol() == Some(H2),
            Stream::Plain(_) => false,
        };
        Ok((stream, http2))
    }

    /// Shakes hands with a proxy.
    pub(crate) async fn greet_proxy(&self, stream: Stream, name: &str) -> Result<Stream, Failure> {
        handshake(&self.proxy, stream, name).await
    }
}

async fn handshake(connector: &TlsConnector, stream: Stream, name: &str) -> Result<Stream, Failure> {
    let name = ServerName::try_from(name.to_owned())
        .map_err(|error| Failure::unsent(FailureKind::Tls, error.to_string()))?;
    match connector.connect(name, stream).await {
        Ok(tls) => Ok(Stream::Tls(Box::new(tls))),
        Err(error) => Err(Failure::unsent(FailureKind::Tls, with_causes(&error))),
    }
}

fn config(roots: RootCertStore) -> Result<ClientConfig, SettingsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| SettingsError(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn roots(settings: &Settings) -> Result<RootCertStore, SettingsError> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let system = settings.tls_system_roots.as_deref().unwrap_or_default();
    for certificate in CertificateDer::pem_slice_iter(system).filter_map(Result::ok) {
        let _ = trust(&mut roots, certificate);
    }
    for pem in &settings.tls_extra_roots {
        let mut empty = true;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| broken(&error))?;
            trust(&mut roots, certificate)?;
            empty = false;
        }
        if empty {
            return Err(SettingsError("a file of root certificates holds none".to_owned()));
        }
    }
    Ok(roots)
}

/// Trusts an authority, once: a machine's own are nearly all of the public ones again.
fn trust(roots: &mut RootCertStore, certificate: CertificateDer<'_>) -> Result<(), SettingsError> {
    roots.add(certificate).map_err(|error| broken(&error))?;
    if let Some((new, known)) = roots.roots.split_last()
        && known.contains(new)
    {
        roots.roots.pop();
    }
    Ok(())
}

fn broken(error: &dyn Display) -> SettingsError {
    SettingsError(format!("a root certificate: {error}"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn authority() -> Bytes {
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.pem().into()
    }

    #[test]
    fn an_authority_is_trusted_once_however_often_it_is_named() {
        let (own, other) = (authority(), authority());
        let trusted = |tls_system_roots: Option<Bytes>, tls_extra_roots: Vec<Bytes>| {
            roots(&Settings { tls_system_roots, tls_extra_roots, ..Settings::default() }).unwrap().len()
        };
        let public = trusted(None, Vec::new());
        assert_eq!(trusted(Some([&own[..], &own].concat().into()), Vec::new()), public + 1);
        assert_eq!(trusted(Some(own.clone()), vec![own.clone()]), public + 1, "it is not empty");
        assert_eq!(trusted(Some(own), vec![other]), public + 2);
    }
}
