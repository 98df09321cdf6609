//! The yardstick: what it costs to pass HTTP on with hyper and to look at nothing.

use std::convert::Infallible;

use http::uri::{Authority, Scheme};
use http::{HeaderName, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::books::{Books, Page};

type Upstream = Client<HttpConnector, Incoming>;

/// What belongs to one connection and not to the next.
const HOP_BY_HOP: [HeaderName; 4] =
    [header::CONNECTION, header::HOST, header::TRANSFER_ENCODING, header::UPGRADE];

/// Prints its address and passes on until it is killed. As many threads as the gateway has: one a core. With a ledger it
/// writes every request down as the gateway does, which shows how much of the gateway's cost that promise is.
#[tokio::main]
pub(crate) async fn serve(upstream: String, ledger: bool) {
    let books = if ledger { Some(Books::open().await) } else { None };
    let authority: Authority = upstream.parse().unwrap();
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Upstream = Client::builder(TokioExecutor::new()).build(connector);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        connections.spawn(converse(socket, client.clone(), authority.clone(), books.clone()));
    }
}

async fn converse(socket: TcpStream, client: Upstream, authority: Authority, books: Option<Books>) {
    socket.set_nodelay(true).unwrap();
    let service = service_fn(|request| async {
        let page = books.as_ref().map(Books::begin);
        let response = pass(&client, &authority, request).await;
        page.into_iter().for_each(Page::settle);
        Ok::<_, Infallible>(response)
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

async fn pass(
    client: &Upstream,
    authority: &Authority,
    mut request: Request<Incoming>,
) -> Response<Incoming> {
    let mut uri = std::mem::take(request.uri_mut()).into_parts();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(authority.clone());
    *request.uri_mut() = Uri::from_parts(uri).unwrap();
    for name in HOP_BY_HOP {
        request.headers_mut().remove(name);
    }
    let mut response = client.request(request).await.unwrap();
    for name in HOP_BY_HOP {
        response.headers_mut().remove(name);
    }
    response
}
