//! A receiver of spans that speaks OTLP over HTTP and gRPC, in a thread of its own.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

/// Listens for as long as the process lives.
pub struct Collector {
    addr: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
}

/// One span, everything in it as text.
#[derive(Clone, Debug, Default)]
pub struct Span {
    /// Names the trace.
    pub trace: String,
    /// Names the span.
    pub id: String,
    /// The span above; empty where there is none.
    pub parent: String,
    /// What it is called.
    pub name: String,
    /// When it began and ended, in nanoseconds.
    pub time: (u64, u64),
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// The names of its events.
    pub events: Vec<String>,
    /// Whether it is marked as failed.
    pub failed: bool,
}

// === impl Collector ===

impl Collector {
    /// One that takes everything.
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let kept = spans.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { accept(TcpListener::from_std(listener).unwrap(), kept).await });
        });
        Self { addr, spans }
    }

    /// Its base URL without a path.
    pub fn base(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// All spans so far, as they began.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = self.spans.lock().unwrap().clone();
        spans.sort_by_key(|span| span.time);
        spans
    }
}

// === impl Span ===

impl Span {
    /// An attribute; empty where there is none.
    pub fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

async fn accept(listener: TcpListener, spans: Arc<Mutex<Vec<Span>>>) {
    while let Ok((socket, _)) = listener.accept().await {
        let spans = spans.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| receive(request, spans.clone()));
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

async fn receive(
    request: Request<Incoming>,
    spans: Arc<Mutex<Vec<Span>>>,
) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible> {
    let is_grpc = request.headers()["content-type"] == "application/grpc";
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let message = if is_grpc { &body[5..] } else { &body[..] };
    let below = |part: &Part, number| {
        parts(&part.bytes).filter(move |part| part.number == number).collect::<Vec<_>>()
    };
    let resources = parts(message).filter(|part| part.number == 1);
    let scopes = resources.flat_map(|resource| below(&resource, 2));
    let told = scopes.flat_map(|scope| below(&scope, 2)).map(|part| span(&part.bytes));
    spans.lock().unwrap().extend(told);
    let response = Response::builder();
    if !is_grpc {
        return Ok(response.body(Full::default().boxed_unsync()).unwrap());
    }
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from(0))]);
    let body = Full::new(Bytes::from_static(&[0; 5])).with_trailers(async { Some(Ok(trailers)) });
    Ok(response.header("content-type", "application/grpc").body(body.boxed_unsync()).unwrap())
}

/// One field of a protobuf message.
struct Part {
    number: u64,
    value: u64,
    bytes: Vec<u8>,
}

fn parts(mut rest: &[u8]) -> impl Iterator<Item = Part> {
    std::iter::from_fn(move || {
        let tag = varint(&mut rest)?;
        let (number, mut value, mut bytes) = (tag >> 3, 0, Vec::new());
        match tag & 7 {
            0 => value = varint(&mut rest).unwrap(),
            1 => {
                let (eight, more) = rest.split_at(8);
                (value, rest) = (u64::from_le_bytes(eight.try_into().unwrap()), more);
            }
            2 => {
                let length = varint(&mut rest).unwrap() as usize;
                let (some, more) = rest.split_at(length);
                (bytes, rest) = (some.to_vec(), more);
            }
            _ => rest = &rest[4..],
        }
        Some(Part { number, value, bytes })
    })
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, more) = rest.split_first()?;
        *rest = more;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some(value)
}

fn span(message: &[u8]) -> Span {
    let mut span = Span::default();
    for part in parts(message) {
        match part.number {
            1 => span.trace = hex(&part.bytes),
            2 => span.id = hex(&part.bytes),
            4 => span.parent = hex(&part.bytes),
            5 => span.name = text(part.bytes),
            7 => span.time.0 = part.value,
            8 => span.time.1 = part.value,
            9 => span.attributes.extend([pair(&part.bytes)]),
            11 => span
                .events
                .extend(parts(&part.bytes).find(|part| part.number == 2).map(|name| text(name.bytes))),
            15 => span.failed = parts(&part.bytes).any(|part| part.number == 3 && part.value == 2),
            _ => {}
        }
    }
    span
}

fn pair(message: &[u8]) -> (String, String) {
    let mut pair = (String::new(), String::new());
    for part in parts(message) {
        match part.number {
            1 => pair.0 = text(part.bytes),
            _ => pair.1 = any(&part.bytes),
        }
    }
    pair
}

fn any(message: &[u8]) -> String {
    let told = parts(message).map(|part| match part.number {
        1 => text(part.bytes),
        2 => (part.value == 1).to_string(),
        3 => part.value.cast_signed().to_string(),
        4 => f64::from_bits(part.value).to_string(),
        _ => parts(&part.bytes).map(|value| any(&value.bytes)).collect::<Vec<_>>().join(","),
    });
    told.collect()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
