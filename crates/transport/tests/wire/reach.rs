//! What is reached and how: proxies, the egress guard, time limits, encodings.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use gatewright_transport::{Dns, Egress, FailureKind, Http2, Proxies, Request, Settings, Transport, Trust};
use http_body_util::Full;

use crate::support::{Peer, Server, certificate, client, listen, post, run, url};

fn with(settings: Settings) -> Transport {
    Transport::new(settings).unwrap()
}

fn untrusted(url: &str) -> Request {
    Request { trust: Trust::Untrusted, ..Request::fetch(url.parse().unwrap()) }
}

#[tokio::test]
async fn an_untrusted_url_does_not_reach_inside_however_it_is_spelled() {
    let (listener, address) = listen().await;
    let port = address.port();
    for dns in [Dns::System, Dns::Hickory] {
        let client = with(Settings { dns, ..Settings::default() });
        for host in
            ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "0x7f.1"]
        {
            // Forms that only some resolvers read may also fail as unknown names; what counts is that none connects.
            let failure = client.send(untrusted(&format!("http://{host}:{port}/"))).await.unwrap_err();
            assert!(matches!(failure.kind, FailureKind::Refused | FailureKind::Dns), "{host}: {failure}");
            assert!(!failure.sent);
        }
        let failure = client.send(untrusted(&format!("http://localhost:{port}/"))).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused);
    }
    assert!(listener.accept().now_or_never().is_none(), "it was reached");
}

#[tokio::test]
async fn an_untrusted_url_reaches_what_was_opened_on_a_connection_of_its_own() {
    let server = Server::start(None, |_| async { http::Response::new(Full::from("ok")) }).await;
    let egress = Egress { allow: vec!["127.0.0.0/8".parse().unwrap()] };
    let client = with(Settings { egress, ..Settings::default() });
    for request in [post(url(server.address), "{}"), untrusted(&url(server.address))] {
        assert_eq!(client.send(request).await.unwrap().body.collect(10).await.unwrap(), "ok");
    }
    assert_eq!(server.connections(), 2);
}

fn proxied(proxy: &str, root: Option<Bytes>) -> Settings {
    let proxy = Some(proxy.to_owned());
    Settings {
        proxies: Proxies { http: proxy.clone(), https: proxy, no_proxy: Some("direct.test".to_owned()) },
        tls_extra_roots: root.into_iter().collect(),
        http2: Http2::Auto,
        ..Settings::default()
    }
}

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let (root, tls) = certificate(&[b"h2"]);
    let server = Server::start(Some(tls), |_| async { http::Response::new(Full::from("inside")) }).await;
    let (listener, proxy) = listen().await;
    let target = server.address;
    let seen = run(async move {
        let mut peer = Peer::accept(&listener).await;
        let seen = peer.request().await;
        peer.write("HTTP/1.1 200 Connection established\r\n\r\n").await;
        run(async move {
            let mut onward = tokio::net::TcpStream::connect(target).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut peer.0, &mut onward).await;
        });
        seen
    });
    let client = with(proxied(&format!("http://user:word@{proxy}"), Some(root)));
    let url = format!("https://localhost:{}/", target.port());
    let response = client.send(post(&url, "{}")).await.unwrap();
    assert_eq!(response.body.collect(10).await.unwrap(), "inside");
    let authority = format!("localhost:{}", target.port());
    let wanted = format!(
        "CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\nproxy-authorization: Basic dXNlcjp3b3Jk\r\n\r\n"
    );
    assert_eq!(seen.await.unwrap(), wanted);
}

#[tokio::test]
async fn http_goes_to_the_proxy_whole() {
    let (listener, proxy) = listen().await;
    let seen = run(async move {
        let mut peer = Peer::accept(&listener).await;
        let seen = peer.request().await;
        peer.answer("ok").await;
        seen
    });
    let client = with(proxied(&format!("http://user:word@{proxy}"), None));
    client.send(post("http://far.test/x", "{}")).await.unwrap();
    let seen = seen.await.unwrap();
    assert!(seen.starts_with("POST http://far.test/x HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("\r\nhost: far.test\r\n"), "{seen}");
    assert!(seen.contains("\r\nproxy-authorization: Basic dXNlcjp3b3Jk\r\n"), "{seen}");
}

#[tokio::test]
async fn a_proxy_is_told_the_address_that_was_checked() {
    let (listener, proxy) = listen().await;
    let seen = run(async move {
        let mut peer = Peer::accept(&listener).await;
        let seen = peer.request().await;
        peer.write("HTTP/1.1 200 OK\r\n\r\n").await;
        peer.request().await;
        peer.answer("ok").await;
        seen
    });
    let egress = Egress { allow: vec!["127.0.0.1/32".parse().unwrap(), "::1/128".parse().unwrap()] };
    let client = with(Settings { egress, ..proxied(&format!("http://{proxy}"), None) });
    client.send(untrusted("http://localhost:81/")).await.unwrap();
    let seen = seen.await.unwrap();
    assert!(seen.starts_with("CONNECT 127.0.0.1:81 ") || seen.starts_with("CONNECT [::1]:81 "), "{seen}");

    let closed = with(proxied(&format!("http://{proxy}"), None));
    let failure = closed.send(untrusted("http://localhost:81/")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
}

#[tokio::test]
async fn a_proxy_that_refuses_is_a_connection_that_failed() {
    for answer in
        ["HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 2\r\n\r\nno", "HTTP/1.1 2", ""]
    {
        let (listener, proxy) = listen().await;
        run(async move {
            let mut peer = Peer::accept(&listener).await;
            peer.request().await;
            peer.write(answer).await;
        });
        let client = with(proxied(&format!("http://{proxy}"), None));
        let failure = client.send(post("https://far.test/", "{}")).await.unwrap_err();
        assert_eq!((failure.kind, failure.sent), (FailureKind::Connect, false), "{failure}");
    }
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_in_time_is_told_as_such() {
    // The kernel takes the connection; nobody answers the TLS handshake.
    let (listener, address) = listen().await;
    let client = with(Settings { connect_timeout: Duration::from_millis(50), ..Settings::default() });
    let url = format!("https://{address}/");
    let failure = client.send(post(&url, "{}")).await.unwrap_err();
    assert_eq!((failure.kind, failure.sent), (FailureKind::ConnectTimeout, false));
    drop(listener);
}

#[tokio::test]
async fn an_unknown_name_is_told_as_such() {
    let failure = client().send(post("http://nowhere.invalid/", "{}")).await.unwrap_err();
    assert_eq!((failure.kind, failure.sent), (FailureKind::Dns, false));
}

#[tokio::test]
async fn a_small_answer_that_unfolds_too_far_is_refused() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![b' '; 5_000_000]).unwrap();
    let bomb = Bytes::from(encoder.finish().unwrap());
    let server = Server::start(None, move |_| {
        let mut answer = http::Response::new(Full::new(bomb.clone()));
        answer.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        async { answer }
    })
    .await;
    let answer = async || client().send(post(url(server.address), "{}")).await.unwrap();
    assert_eq!(answer().await.decoded(1_000_000).await.unwrap_err().kind, FailureKind::TooLarge);
    assert_eq!(answer().await.decoded(5_000_000).await.unwrap().len(), 5_000_000);
}

#[tokio::test]
async fn a_connection_that_rested_too_long_is_closed_by_the_sweep() {
    let (listener, address) = listen().await;
    let peer = run(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.request().await;
        peer.answer("ok").await;
        peer
    });
    let client = client();
    client.send(post(url(address), "{}")).await.unwrap().body.collect(10).await.unwrap();
    let peer = peer.await.unwrap();
    tokio::time::pause();
    // The clock runs ahead to the next timer whenever nothing else is to do; only the sweep can end this.
    peer.closed().await;
    drop(client);
}

#[test]
fn settings_that_cannot_work_are_told() {
    let settings = Settings { tls_extra_roots: vec![Bytes::from_static(b"no pem")], ..Settings::default() };
    assert!(Transport::new(settings).is_err());
    assert!(Transport::new(proxied("socks5://a.test:1080", None)).is_err());
}
