//! HTTP/2: several connections to one host, cancellation, what TLS chooses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::join_all;
use gatewright_transport::{FailureKind, Http2, Settings, Transport};
use http::Version;
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};

use crate::support::{Server, certificate, listen, post, run};

fn over(http2: Http2, root: Option<Bytes>) -> Transport {
    let settings = Settings { http2, tls_extra_roots: root.into_iter().collect(), ..Settings::default() };
    Transport::new(settings).unwrap()
}

fn reply(text: impl Into<Bytes>) -> http::Response<Full<Bytes>> {
    http::Response::new(Full::new(text.into()))
}

#[tokio::test]
async fn many_requests_at_once_open_several_connections_and_none_waits_for_another() {
    const REQUESTS: u32 = 250;
    let (root, tls) = certificate(&[b"h2", b"http/1.1"]);
    // Nobody is answered before everybody has arrived: a request queued in the client would wait for ever.
    let arrived = Arc::new(Semaphore::new(0));
    let server = Server::start(Some(tls), move |request| {
        assert_eq!(request.version(), Version::HTTP_2);
        let arrived = arrived.clone();
        async move {
            arrived.add_permits(1);
            arrived.acquire_many(REQUESTS).await.unwrap().forget();
            arrived.add_permits(REQUESTS as usize);
            reply("ok")
        }
    })
    .await;
    let client = over(Http2::Auto, Some(root));
    let url = format!("https://localhost:{}/x", server.address.port());
    let all = (0..REQUESTS).map(|_| async {
        let response = client.send(post(&url, "{}")).await.unwrap();
        response.body.collect(10).await.unwrap()
    });
    assert!(join_all(all).await.iter().all(|body| body == "ok"));
    assert_eq!(server.connections(), 4);
}

#[tokio::test]
async fn one_connection_serves_what_it_can_carry() {
    let server = Server::start(None, |request| async move {
        reply(format!("{:?} {} {:?}", request.version(), request.uri(), request.headers().get("host")))
    })
    .await;
    let client = over(Http2::PriorKnowledge, None);
    let url = format!("http://{}/x?y", server.address);
    let all =
        join_all((0..80).map(|_| async {
            client.send(post(&url, "{}")).await.unwrap().body.collect(200).await.unwrap()
        }));
    let wanted = format!("HTTP/2.0 {url} None");
    assert!(all.await.iter().all(|body| body == wanted.as_bytes()));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn the_version_is_what_the_server_picks_and_the_settings_allow() {
    let h2: &[u8] = b"h2";
    let h1: &[u8] = b"http/1.1";
    for (offered, http2, wanted) in [
        (vec![h2, h1], Http2::Auto, "HTTP/2.0"),
        (vec![h2, h1], Http2::Off, "HTTP/1.1"),
        (vec![h1], Http2::Auto, "HTTP/1.1"),
        (vec![], Http2::Auto, "HTTP/1.1"),
    ] {
        let (root, tls) = certificate(&offered);
        let server =
            Server::start(Some(tls), |request| async move { reply(format!("{:?}", request.version())) })
                .await;
        let client = over(http2, Some(root));
        let url = format!("https://localhost:{}/", server.address.port());
        for _ in 0..2 {
            let response = client.send(post(&url, "{}")).await.unwrap();
            assert_eq!(response.body.collect(100).await.unwrap(), wanted);
        }
        assert_eq!(server.connections(), 1, "{wanted} {http2:?}");
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let (_, tls) = certificate(&[]);
    let server = Server::start(Some(tls), |_| async { reply("never") }).await;
    let url = format!("https://localhost:{}/", server.address.port());
    let failure = over(Http2::Auto, None).send(post(&url, "{}")).await.unwrap_err();
    assert_eq!((failure.kind, failure.sent), (FailureKind::Tls, false), "{failure}");
}

#[tokio::test]
async fn the_machines_own_authorities_are_trusted_whatever_else_stands_among_them() {
    const BROKEN: &[u8] =
        b"# comment\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n!\n";
    let (root, tls) = certificate(&[]);
    let server = Server::start(Some(tls), |_| async { reply("ok") }).await;
    let url = format!("https://localhost:{}/", server.address.port());
    for bundle in [root.to_vec(), [BROKEN, b"-----END CERTIFICATE-----\n", &root].concat()] {
        let settings = Settings { tls_system_roots: Some(bundle.into()), ..Settings::default() };
        let response = Transport::new(settings).unwrap().send(post(&url, "{}")).await.unwrap();
        assert_eq!(response.status, 200);
    }
    let settings = Settings { tls_extra_roots: vec![Bytes::from_static(BROKEN)], ..Settings::default() };
    assert!(Transport::new(settings).is_err(), "what an operator names must be good");
}

/// Tells that a handler was dropped before it was done.
struct Told(Arc<Notify>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn a_dropped_send_resets_the_stream_and_spares_the_connection() {
    let (arrived, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (seen, told) = (arrived.clone(), gone.clone());
    let asked = Arc::new(AtomicUsize::new(0));
    let server = Server::start(None, move |_| {
        let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
        let (seen, told) = (seen.clone(), Told(told.clone()));
        async move {
            if first {
                seen.notify_one();
                std::future::pending::<()>().await;
            }
            std::mem::forget(told);
            reply("ok")
        }
    })
    .await;
    let client = over(Http2::PriorKnowledge, None);
    let url = format!("http://{}/", server.address);
    tokio::select! {
        outcome = client.send(post(&url, "{}")) => panic!("{outcome:?}"),
        () = arrived.notified() => {}
    }
    gone.notified().await;
    let response = client.send(post(&url, "{}")).await.unwrap();
    assert_eq!(response.body.collect(10).await.unwrap(), "ok");
    assert_eq!(server.connections(), 1);
}

/// What an HTTP/2 server does with a stream instead of answering it.
#[derive(Clone, Copy)]
enum Instead {
    Reset(h2::Reason),
    /// It goes away, and the stream is none that it did anything for.
    GoAway,
}

/// A server that does this with the first `spoilt` requests and answers the others; counts all it got.
async fn spoiling(spoilt: usize, instead: Instead) -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let (listener, address) = listen().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    run(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            if matches!(instead, Instead::GoAway) && count.load(Ordering::SeqCst) < spoilt {
                go_away(&mut stream).await;
                count.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                match instead {
                    Instead::Reset(reason) if count.fetch_add(1, Ordering::SeqCst) < spoilt => {
                        respond.send_reset(reason);
                    }
                    _ => {
                        let mut body = respond.send_response(http::Response::new(()), false).unwrap();
                        body.send_data(Bytes::from_static(b"ok"), true).unwrap();
                    }
                }
            }
        }
    });
    (address, asked)
}

/// Reads up to the head of a request and says that no stream was taken.
async fn go_away(stream: &mut TcpStream) {
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GO_AWAY: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    stream.write_all(SETTINGS).await.unwrap();
    loop {
        let mut frame = [0; 9];
        stream.read_exact(&mut frame).await.unwrap();
        let length = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.unwrap();
        if frame[3] == 1 {
            break;
        }
    }
    stream.write_all(GO_AWAY).await.unwrap();
    // Closed at once, it would be reset before the words are read.
    while stream.read_buf(&mut Vec::new()).await.unwrap_or(0) > 0 {}
}

#[tokio::test]
async fn a_request_that_the_server_promises_not_to_have_touched_is_sent_again() {
    for instead in [Instead::Reset(h2::Reason::REFUSED_STREAM), Instead::GoAway] {
        let (address, _) = spoiling(2, instead).await;
        let client = over(Http2::PriorKnowledge, None);
        let response = client.send(post(format!("http://{address}/"), "{}")).await.unwrap();
        assert_eq!(response.body.collect(10).await.unwrap(), "ok");
    }
}

#[tokio::test]
async fn a_server_that_refuses_every_stream_has_seen_nothing() {
    let (address, asked) = spoiling(usize::MAX, Instead::Reset(h2::Reason::REFUSED_STREAM)).await;
    let client = over(Http2::PriorKnowledge, None);
    let failure = client.send(post(format!("http://{address}/"), "{}")).await.unwrap_err();
    assert_eq!((failure.kind, failure.sent), (FailureKind::Closed, false), "{failure}");
    assert_eq!(asked.load(Ordering::SeqCst), 7);
}

#[tokio::test]
async fn a_request_that_the_server_may_have_touched_is_never_sent_again() {
    let (address, asked) = spoiling(usize::MAX, Instead::Reset(h2::Reason::INTERNAL_ERROR)).await;
    let client = over(Http2::PriorKnowledge, None);
    let failure = client.send(post(format!("http://{address}/"), "{}")).await.unwrap_err();
    assert_eq!((failure.kind, failure.sent), (FailureKind::Closed, true), "{failure}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
