//! A receiver of spans that speaks OTLP over HTTP and keeps what it was sent.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
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
    _tasks: JoinSet<()>,
}

/// What came.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    pub(crate) spans: Vec<Span>,
    pub(crate) resource: HashMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) path: String,
}

// === impl Receiver ===

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Seen>>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, seen.clone()));
        Self { url, seen, _tasks: tasks }
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
    let values: Vec<_> = span.attributes.iter().filter(|pair| pair.key == key).map(text).collect();
    assert!(values.len() <= 1, "{key} is told {} times", values.len());
    values.into_iter().next().unwrap_or_default()
}

async fn accept(listener: TcpListener, seen: Arc<Mutex<Seen>>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let seen = seen.clone();
        let service = service_fn(move |request| receive(request, seen.clone()));
        connections.spawn(async move {
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

async fn receive(
    request: Request<Incoming>,
    seen: Arc<Mutex<Seen>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let export = ExportTraceServiceRequest::decode(body).unwrap();
    let mut seen = seen.lock().unwrap();
    seen.path = head.uri.path().to_owned();
    seen.headers = head.headers;
    for resource in export.resource_spans {
        let attributes = resource.resource.unwrap().attributes;
        seen.resource.extend(attributes.iter().map(|pair| (pair.key.clone(), text(pair))));
        seen.spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
    }
    Ok(Response::new(Full::default()))
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
