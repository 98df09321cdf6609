//! HTTP/2: several connections to one host, cancellation, what TLS chooses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::join_all;
use gatewright_transport::{FailureKind, Http2, Settings, Transport};
use http::Version;
use http_body_util::Full;
use tokio::sync::{Notify, Semaphore};

use crate::support::{Server, certificate, post};

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
