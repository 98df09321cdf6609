//! A receiver of spans that speaks OTLP over HTTP and gRPC, and keeps what it was sent.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io::Read;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Listens until dropped.
pub(crate) struct Receiver {
    pub(crate) url: String,
    seen: Arc<Mutex<Seen>>,
    refusals: Arc<Mutex<VecDeque<u16>>>,
    _tasks: JoinSet<()>,
}

/// What came.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    pub(crate) spans: Vec<Span>,
    pub(crate) resource: HashMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) path: String,
    /// How often it was asked.
    pub(crate) exports: usize,
    /// The last body that was JSON.
    pub(crate) json: serde_json::Value,
}

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

// === impl Receiver ===

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let (seen, refusals) = (Arc::<Mutex<Seen>>::default(), Arc::<Mutex<VecDeque<u16>>>::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, seen.clone(), refusals.clone()));
        Self { url, seen, refusals, _tasks: tasks }
    }

    /// Refuses as many exports with these codes, of gRPC or HTTP as it is asked.
    pub(crate) fn refuse(&self, codes: impl IntoIterator<Item = u16>) {
        self.refusals.lock().unwrap().extend(codes);
    }

    /// Its URL without a path, as gRPC has it.
    pub(crate) fn base(&self) -> &str {
        self.url.strip_suffix("/v1/traces").unwrap()
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

// === impl Seen ===

impl Seen {
    /// The only span of this name.
    pub(crate) fn span(&self, name: &str) -> &Span {
        let [span] = self.named(name)[..] else {
            panic!("{} spans are named {name}", self.named(name).len())
        };
        span
    }

    /// All spans of this name, the first started first.
    pub(crate) fn named(&self, name: &str) -> Vec<&Span> {
        let mut spans: Vec<_> = self.spans.iter().filter(|span| span.name == name).collect();
        spans.sort_by_key(|span| span.start_time_unix_nano);
        spans
    }
}

/// An attribute as text; empty where there is none.
pub(crate) fn attribute(span: &Span, key: &str) -> String {
    value(&span.attributes, key)
}

/// The same of an event.
pub(crate) fn value(attributes: &[KeyValue], key: &str) -> String {
    let values: Vec<_> = attributes.iter().filter(|pair| pair.key == key).map(text).collect();
    assert!(values.len() <= 1, "{key} is told {} times", values.len());
    values.into_iter().next().unwrap_or_default()
}

async fn accept(listener: TcpListener, seen: Arc<Mutex<Seen>>, refusals: Arc<Mutex<VecDeque<u16>>>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let (seen, refusals) = (seen.clone(), refusals.clone());
        let service = service_fn(move |request| {
            let refusal = refusals.lock().unwrap().pop_front();
            receive(request, seen.clone(), refusal)
        });
        connections.spawn(async move {
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

async fn receive(
    request: Request<Incoming>,
    seen: Arc<Mutex<Seen>>,
    refusal: Option<u16>,
) -> Result<Answer, Infallible> {
    let (head, body) = request.into_parts();
    let is_grpc = head.headers["content-type"] == "application/grpc";
    let mut body = body.collect().await.unwrap().to_bytes();
    if is_grpc {
        let packed = u8::from(head.headers.contains_key("grpc-encoding"));
        assert_eq!((body[0], head.method.as_str()), (packed, "POST"));
        let length = u32::from_be_bytes(body[1..5].try_into().unwrap());
        body = body.slice(5..);
        assert_eq!(length as usize, body.len());
    }
    if ["grpc-encoding", "content-encoding"].iter().any(|name| head.headers.contains_key(*name)) {
        let mut whole = Vec::new();
        GzDecoder::new(&*body).read_to_end(&mut whole).unwrap();
        body = whole.into();
    }
    let mut seen = seen.lock().unwrap();
    seen.exports += 1;
    seen.path = head.uri.path().to_owned();
    seen.headers = head.headers;
    if let Some(code) = refusal {
        return Ok(if is_grpc { unary(code) } else { answered(code) });
    }
    if seen.headers["content-type"] == "application/json" {
        seen.json = serde_json::from_slice(&body).unwrap();
        return Ok(answered(200));
    }
    let export = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    assert_eq!(export.encoded_len(), body.len(), "nothing stands in it that is not in the schema");
    for resource in export.resource_spans {
        let attributes = resource.resource.unwrap().attributes;
        seen.resource.extend(attributes.iter().map(|pair| (pair.key.clone(), text(pair))));
        seen.spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
    }
    Ok(if is_grpc { unary(0) } else { answered(200) })
}

fn answered(status: u16) -> Answer {
    Response::builder().status(status).body(Full::default().boxed_unsync()).unwrap()
}

/// An empty message, and its status behind it.
fn unary(code: u16) -> Answer {
    let message = Full::new(Bytes::from_static(&[0; 5]));
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from(code))]);
    let body = message.with_trailers(async move { Some(Ok(trailers)) });
    Response::builder().header("content-type", "application/grpc").body(body.boxed_unsync()).unwrap()
}

fn text(pair: &KeyValue) -> String {
    plain(pair.value.as_ref())
}

fn plain(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::ArrayValue(list)) => {
            let texts: Vec<String> = list.values.iter().map(|value| plain(Some(value))).collect();
            format!("[{}]", texts.join(", "))
        }
        other => panic!("unexpected attribute {other:?}"),
    }
}
