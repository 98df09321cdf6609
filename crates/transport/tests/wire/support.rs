//! Real servers on this machine, scripted byte by byte or run by hyper.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use gatewright_transport::{Pieces, Request, Settings, Transport};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, crypto::aws_lc_rs};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

/// A listener on a free port, and its address.
pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Runs a script against whoever connects.
pub(crate) fn run<T: Send + 'static>(script: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    TaskTracker::new().spawn(script)
}

/// A connection of which a script reads requests and to which it writes answers.
pub(crate) struct Peer(pub(crate) TcpStream);

impl Peer {
    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        Self(listener.accept().await.unwrap().0)
    }

    /// One request, head and body, as it came.
    pub(crate) async fn request(&mut self) -> String {
        let mut seen = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&seen).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                    return text;
                }
            }
            assert_ne!(self.0.read_buf(&mut seen).await.unwrap(), 0, "closed after {text:?}");
        }
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    pub(crate) async fn answer(&mut self, body: &str) {
        self.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
    }

    /// Waits until the other side closes.
    pub(crate) async fn closed(mut self) {
        // A reset is a way to close, too.
        while self.0.read_buf(&mut Vec::new()).await.unwrap_or(0) > 0 {}
    }
}

/// A client with the usual settings.
pub(crate) fn client() -> Transport {
    Transport::new(Settings::default()).unwrap()
}

pub(crate) fn post(url: impl AsRef<str>, body: &str) -> Request {
    let pieces = Pieces::from_iter([Bytes::copy_from_slice(body.as_bytes())]);
    Request::new(http::Method::POST, url.as_ref().parse().unwrap(), pieces)
}

pub(crate) fn url(address: SocketAddr) -> String {
    format!("http://{address}/path")
}

/// A certificate for `localhost`, as PEM, and an acceptor that shows it.
pub(crate) fn certificate(alpn: &[&[u8]]) -> (Bytes, TlsAcceptor) {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    (cert.pem().into(), Arc::new(config).into())
}

/// A hyper server for either version, with or without TLS, that counts its connections.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start<S, F>(tls: Option<TlsAcceptor>, serve: S) -> Self
    where
        S: Fn(http::Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = http::Response<Full<Bytes>>> + Send + 'static,
    {
        let (listener, address) = listen().await;
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        run(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let (tls, serve) = (tls.clone(), serve.clone());
                run(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve_on(stream, serve).await;
                            }
                        }
                        None => serve_on(stream, serve).await,
                    }
                });
            }
        });
        Self { address, connections }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve_on<S, F>(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, serve: S)
where
    S: Fn(http::Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = http::Response<Full<Bytes>>> + Send + 'static,
{
    let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    builder.http2().max_concurrent_streams(100);
    let service = service_fn(move |request| {
        let answer = serve(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    // Clients break connections on purpose here.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}
