//! Mail over TLS, from the first byte and after a greeting, to a server whose authority has to be known.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;

use gatewright_tests::client::Client;
use gatewright_tests::gateway::deployment;
use gatewright_tests::mail::{Duplex, Encrypted, MailServer, Tls};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;
use tempfile::TempDir;

use crate::{alerting, upstream};

/// Where a server encrypts from the first byte: the port says so. Nobody else listens at this address of the machine's own.
const FROM_THE_FIRST_BYTE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(127, 4, 6, 5)), 465);

/// What a server shows, and the file of it that a client trusts.
fn certificate() -> (Tls, TempDir) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (key, folder) = (KeyPair::generate().unwrap(), TempDir::with_prefix("gatewright-mail-").unwrap());
    let own = CertificateParams::new(["127.0.0.1".to_owned(), FROM_THE_FIRST_BYTE.ip().to_string()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    std::fs::write(folder.path().join("ca.pem"), own.pem()).unwrap();
    let secret = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = ServerConfig::builder().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(vec![own.der().clone()], secret.into()).unwrap());
    let tls = move |socket: TcpStream| {
        let connection = ServerConnection::new(config.clone()).map_err(std::io::Error::other)?;
        Ok(Box::new(StreamOwned::new(connection, socket)) as Box<dyn Duplex>)
    };
    (Arc::new(tls), folder)
}

#[test]
fn mail_is_encrypted_for_a_server_that_is_known_and_goes_to_no_other() {
    let (upstream, (tls, folder)) = (upstream(), certificate());
    let start = |tls: &Tls| Some(MailServer::start_with(Encrypted::Asked(tls.clone())));
    let servers = [
        ("starttls", start(&tls), true),
        ("strange", start(&tls), false),
        ("plain", Some(MailServer::start()), true),
        ("tls", MailServer::start_at(FROM_THE_FIRST_BYTE, Encrypted::Always(tls)), true),
    ];
    let models = deployment("m", "openai/gpt-4o", &upstream, "");
    for (name, server, trusted) in servers {
        let Some(server) = server else {
            eprintln!("nobody may listen at {FROM_THE_FIRST_BYTE} here");
            continue;
        };
        let setup = alerting(&models, "  alerting: [email]\n  alert_emails: [ops@example.com]\n")
            .env("SMTP_HOST", &server.host())
            .env("SMTP_PORT", &server.port().to_string())
            .env("SMTP_USERNAME", "gw")
            .env("SMTP_PASSWORD", "pass")
            .env("SMTP_SENDER_EMAIL", "gateway@example.com");
        let file = folder.path().join("ca.pem").display().to_string();
        let setup = if trusted { setup.env("SSL_CERT_FILE", &file) } else { setup };
        let gateway = setup.start();
        let tested = Client::of(&gateway).get("/health/services?service=email");
        let takes = name.ends_with("tls");
        assert_eq!(tested.status, if takes { 200 } else { 503 }, "{name}: {}", tested.text());
        if takes {
            let mail = server.wait(1).remove(0);
            assert_eq!((mail.encrypted, &*mail.login), (true, "AGd3AHBhc3M="));
            assert_eq!(mail.to, ["ops@example.com"]);
        } else {
            assert_eq!(tested.json()["error"]["code"], json!("503"));
            assert!(server.wait(0).is_empty(), "{name}: nothing is sent in clear");
        }
    }
}
