//! HTTP/1.1 against scripted servers: reuse, retries, bursts, cancellation, limits.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::support::{Peer, client, listen, post, run, url};
use bytes::Bytes;
use futures_util::FutureExt;
use gatewright_transport::{FailureKind, Pieces, Request, Settings, Transport};
use http::Method;
use tokio::sync::oneshot;

#[tokio::test]
async fn pieces_arrive_as_one_request_with_host_and_length() {
    let (listener, address) = listen().await;
    let seen = run(async move {
        let mut peer = Peer::accept(&listener).await;
        let seen = peer.request().await;
        peer.answer("").await;
        seen
    });
    let pieces = Pieces::from_iter(["{\"model\":", "", "\"a\"", "}"].map(Bytes::from));
    let uri = format!("http://{address}/v1/x?y=1").parse().unwrap();
    let mut request = Request::new(Method::POST, uri, pieces);
    // Framing is not the caller's: these would smuggle.
    request.headers.insert("content-length", "3".parse().unwrap());
    request.headers.insert("transfer-encoding", "chunked".parse().unwrap());
    request.headers.insert("host", "elsewhere.test".parse().unwrap());
    request.headers.insert("x-own", "kept".parse().unwrap());
    let response = client().send(request).await.unwrap();
    assert_eq!(response.body.collect(10).await.unwrap(), "");

    let seen = seen.await.unwrap();
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, r#"{"model":"a"}"#);
    let mut lines: Vec<_> = head.split("\r\n").collect();
    assert_eq!(lines.remove(0), "POST /v1/x?y=1 HTTP/1.1");
    lines.sort_unstable();
    assert_eq!(
        lines,
        [&*format!("content-length: {}", body.len()), &*format!("host: {address}"), "x-own: kept"]
    );
}

#[tokio::test]
async fn a_connection_is_used_again_once_its_answer_is_read() {
    let (listener, address) = listen().await;
    let peer = run(async move {
        let mut peer = Peer::accept(&listener).await;
        for body in ["one", "two"] {
            peer.request().await;
            peer.answer(body).await;
        }
        // Chunked: the end is known only when it was read.
        peer.request().await;
        peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nthree\r\n").await;
        peer.write("0\r\n\r\n").await;
        peer.request().await;
        peer.answer("four").await;
        assert!(listener.accept().now_or_never().is_none(), "a second connection");
    });
    let client = client();
    for wanted in ["one", "two", "three", "four"] {
        let response = client.send(post(url(address), "{}")).await.unwrap();
        assert_eq!(response.body.collect(100).await.unwrap(), wanted);
    }
    peer.await.unwrap();
}

/// A runtime hears from the sockets that were opened on it: others' would have to be told across threads.
#[test]
fn a_thread_takes_its_own_connection_first() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime();
    let (listener, address) = server.block_on(listen());
    // Each connection says its number; the first answers come when both threads have asked.
    let serving = thread::spawn(move || {
        server.block_on(async move {
            let mut peers = [Peer::accept(&listener).await, Peer::accept(&listener).await];
            for peer in &mut peers {
                peer.request().await;
            }
            let [first, second] = &mut peers;
            let serve = async |peer: &mut Peer, number: &str| {
                peer.answer(number).await;
                for _ in 0..3 {
                    peer.request().await;
                    peer.answer(number).await;
                }
            };
            tokio::join!(serve(first, "0"), serve(second, "1"));
        });
    });
    let client = client();
    let asking = |client: Transport| {
        let (go, gone) = mpsc::channel::<mpsc::Sender<String>>();
        let asking = thread::spawn(move || {
            let runtime = runtime();
            for tell in gone {
                let answer =
                    async { client.send(post(url(address), "{}")).await.unwrap().body.collect(9).await };
                let body = runtime.block_on(answer).unwrap();
                tell.send(String::from_utf8(body.to_vec()).unwrap()).unwrap();
            }
        });
        (go, asking)
    };
    let threads = [asking(client.clone()), asking(client)];
    let ask = |number: usize| {
        let (tell, told) = mpsc::channel();
        threads[number].0.send(tell).unwrap();
        told
    };
    // On another's connection it would wait until that thread's runtime runs again, which it does not.
    let told = |told: mpsc::Receiver<String>| told.recv_timeout(Duration::from_secs(10)).unwrap();
    let own = [ask(0), ask(1)].map(told);
    assert_ne!(own[0], own[1]);
    for number in [0, 1, 1, 0, 1, 0] {
        assert_eq!(told(ask(number)), own[number]);
    }
    for (go, asking) in threads {
        drop(go);
        asking.join().unwrap();
    }
    serving.join().unwrap();
}

#[tokio::test]
async fn an_answer_that_came_whole_frees_its_connection_before_it_is_read() {
    let (listener, address) = listen().await;
    run(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.request().await;
        peer.answer("one").await;
        peer.request().await;
        peer.answer("two").await;
    });
    let client = client();
    let first = client.send(post(url(address), "{}")).await.unwrap();
    let second = client.send(post(url(address), "{}")).await.unwrap();
    assert_eq!(second.body.collect(100).await.unwrap(), "two");
    assert_eq!(first.body.collect(100).await.unwrap(), "one");
}

#[tokio::test]
async fn concurrent_requests_have_connections_of_their_own_and_bounded_ones_stay() {
    let (listener, address) = listen().await;
    let settings = Settings { max_idle_per_host: 1, ..Settings::default() };
    let client = gatewright_transport::Transport::new(settings).unwrap();
    let both = run(async move {
        let (mut one, mut two) = (Peer::accept(&listener).await, Peer::accept(&listener).await);
        tokio::join!(one.request(), two.request());
        tokio::join!(one.answer("1"), two.answer("2"));
        (one, two)
    });
    let (one, two) =
        tokio::join!(client.send(post(url(address), "{}")), client.send(post(url(address), "{}")));
    one.unwrap().body.collect(10).await.unwrap();
    two.unwrap().body.collect(10).await.unwrap();
    let (one, two) = both.await.unwrap();
    // One of them is closed, the other rests.
    tokio::select! { () = one.closed() => {}, () = two.closed() => {} }
}

#[tokio::test]
async fn a_request_whose_resting_connection_had_closed_goes_out_on_another() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (close, told) = std::sync::mpsc::channel::<()>();
    let closing = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none").unwrap();
        told.recv().unwrap();
        drop(stream);
        // So that the connection has rested longer than the time in which it is not looked at.
        std::thread::sleep(std::time::Duration::from_millis(20));
        listener
    });
    let client = client();
    let first = client.send(post(url(address), "{}")).await.unwrap();
    assert_eq!(first.body.collect(10).await.unwrap(), "one");
    close.send(()).unwrap();
    // Blocks the runtime, which therefore does not hear of the closing: the client has to look for itself.
    let listener = closing.join().unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let peer = run(async move {
        let mut peer = Peer::accept(&listener).await;
        let seen = peer.request().await;
        peer.answer("two").await;
        seen
    });
    let second = client.send(post(url(address), "again")).await.unwrap();
    assert_eq!(second.body.collect(10).await.unwrap(), "two");
    assert!(peer.await.unwrap().ends_with("again"));
}

#[tokio::test]
async fn a_request_that_the_peer_may_have_seen_is_never_sent_again() {
    let (listener, address) = listen().await;
    let peer = run(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.request().await;
        peer.answer("one").await;
        peer.request().await;
        drop(peer);
        listener
    });
    let client = client();
    client.send(post(url(address), "{}")).await.unwrap().body.collect(10).await.unwrap();
    let failure = client.send(post(url(address), "{}")).await.unwrap_err();
    assert_eq!((failure.kind, failure.sent), (FailureKind::Closed, true));
    let listener = peer.await.unwrap();
    assert!(listener.accept().now_or_never().is_none(), "it was sent again");
}

#[tokio::test]
async fn a_closed_port_is_a_request_that_was_not_sent() {
    let (listener, address) = listen().await;
    drop(listener);
    let failure = client().send(post(url(address), "{}")).await.unwrap_err();
    assert_eq!((failure.kind, failure.sent), (FailureKind::Connect, false));
}

#[tokio::test]
async fn chunks_of_one_segment_come_out_together() {
    let (listener, address) = listen().await;
    let (go, wait) = oneshot::channel::<()>();
    let peer = run(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.request().await;
        peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n")
            .await;
        wait.await.unwrap();
        peer.write("1\r\nd\r\n1\r\ne\r\n").await;
        peer.write("0\r\n\r\n").await;
        peer
    });
    let mut body = client().send(post(url(address), "{}")).await.unwrap().body;
    assert_eq!(body.ready_chunks(1 << 16).await.unwrap().unwrap(), "abc");
    assert!(body.ready_chunks(1 << 16).now_or_never().is_none(), "nothing more is there yet");
    go.send(()).unwrap();
    let mut rest = Vec::new();
    while let Some(more) = body.ready_chunks(1 << 16).await {
        rest.extend_from_slice(&more.unwrap());
    }
    assert_eq!(rest, b"de");
    drop(peer);
}

#[tokio::test]
async fn what_is_gathered_stays_near_the_limit() {
    let (listener, address) = listen().await;
    run(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.request().await;
        let chunks = "4\r\nabcd\r\n".repeat(10);
        peer.write(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")).await;
    });
    let mut body = client().send(post(url(address), "{}")).await.unwrap().body;
    let mut sizes = Vec::new();
    while let Some(more) = body.ready_chunks(10).await {
        sizes.push(more.unwrap().len());
    }
    assert_eq!(sizes, [12, 12, 12, 4]);
}

#[tokio::test]
async fn what_came_before_a_break_is_handed_out_first() {
    let (listener, address) = listen().await;
    run(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.request().await;
        peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n").await;
    });
    let mut body = client().send(post(url(address), "{}")).await.unwrap().body;
    let mut seen = Vec::new();
    let failure = loop {
        match body.ready_chunks(1 << 16).await {
            Some(Ok(data)) => seen.extend_from_slice(&data),
            Some(Err(failure)) => break failure,
            None => panic!("it looked whole"),
        }
    };
    assert_eq!(seen, b"ab");
    assert_eq!((failure.kind, failure.sent), (FailureKind::Closed, true));
}

#[tokio::test]
async fn a_dropped_body_closes_the_connection() {
    let (listener, address) = listen().await;
    let peer = run(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.request().await;
        peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n").await;
        peer.closed().await;
    });
    let client = client();
    let mut body = client.send(post(url(address), "{}")).await.unwrap().body;
    assert_eq!(body.chunk().await.unwrap().unwrap(), "a");
    drop(body);
    peer.await.unwrap();
}

#[tokio::test]
async fn a_dropped_send_closes_the_connection() {
    let (listener, address) = listen().await;
    let (seen, wait) = oneshot::channel();
    let peer = run(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.request().await;
        seen.send(()).unwrap();
        peer.closed().await;
    });
    let client = client();
    tokio::select! {
        outcome = client.send(post(url(address), "{}")) => panic!("{outcome:?}"),
        outcome = wait => outcome.unwrap(),
    }
    peer.await.unwrap();
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    for head in [
        "content-length: 11\r\n\r\n01234567890",
        "transfer-encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n",
    ] {
        let (listener, address) = listen().await;
        run(async move {
            let mut peer = Peer::accept(&listener).await;
            peer.request().await;
            peer.write(format!("HTTP/1.1 200 OK\r\n{head}")).await;
        });
        let response = client().send(post(url(address), "{}")).await.unwrap();
        assert_eq!(response.body.collect(10).await.unwrap_err().kind, FailureKind::TooLarge);
    }
}

#[tokio::test]
async fn a_long_body_arrives_whole_whatever_its_pieces() {
    let (listener, address) = listen().await;
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let echoed = sent.clone();
    run(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.write(b"").await;
        let (mut read, mut write) = peer.0.split();
        let mut head = vec![0; 1];
        let mut window = Vec::new();
        while !window.ends_with(b"\r\n\r\n") {
            tokio::io::AsyncReadExt::read_exact(&mut read, &mut head).await.unwrap();
            window.extend_from_slice(&head);
        }
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", echoed.len());
        tokio::io::AsyncWriteExt::write_all(&mut write, answer.as_bytes()).await.unwrap();
        tokio::io::copy(&mut tokio::io::AsyncReadExt::take(read, echoed.len() as u64), &mut write)
            .await
            .unwrap();
    });
    let pieces = sent.chunks(70_001).map(Bytes::copy_from_slice).collect();
    let request = Request::new(Method::POST, url(address).parse().unwrap(), pieces);
    let response = client().send(request).await.unwrap();
    assert!(response.body.collect(sent.len()).await.unwrap() == sent);
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let (listener, address) = listen().await;
    run(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.request().await;
        let endless = format!("HTTP/1.1 200 OK\r\nx-much: {}", "y".repeat(1 << 20));
        // The client hangs up before it has all of it.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut peer.0, endless.as_bytes()).await;
    });
    let failure = client().send(post(url(address), "{}")).await.unwrap_err();
    assert_eq!((failure.kind, failure.sent), (FailureKind::TooLarge, true));
}

#[tokio::test]
async fn what_is_not_http_is_told_as_such() {
    let (listener, address) = listen().await;
    run(async move {
        let mut peer = Peer::accept(&listener).await;
        peer.request().await;
        peer.write("SSH-2.0-x\r\n\r\n").await;
    });
    let failure = client().send(post(url(address), "{}")).await.unwrap_err();
    assert_eq!((failure.kind, failure.sent), (FailureKind::Protocol, true));
}

#[tokio::test]
async fn a_url_that_cannot_be_asked_is_refused_before_anything_is_sent() {
    for uri in ["/path", "ftp://a.test/", "http://user:word@a.test/"] {
        let failure = client().send(Request::fetch(uri.parse().unwrap())).await.unwrap_err();
        assert_eq!((failure.kind, failure.sent), (FailureKind::Protocol, false), "{uri}");
        assert!(!failure.to_string().contains("word"));
    }
}
