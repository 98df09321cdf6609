//! The way out for spans: OTLP over the gateway's own HTTP client, or lines on standard output.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gatewright_transport::{Request, Transport};
use opentelemetry::KeyValue;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    Protocol as Encoding, SpanExporter as OtlpExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler as SdkSampler, SdkTracerProvider, SpanData, SpanExporter,
};
use tokio::runtime::Handle;

use crate::queue::{Bounded, Counting, SpanCounts};
use crate::{InitError, Otlp, Protocol, Sampler, Settings, console, grpc};

/// A receiver's answer says little; more than this is not read.
const ANSWER_LIMIT: usize = 64 * 1024;

/// A conversation in OpenInference's form has some attributes a message.
const MOST_ATTRIBUTES: u32 = 1024;

/// Everything from a span to the wire. What becomes of spans is counted in `counts`.
pub(crate) fn provider(
    settings: &Settings,
    otlp: &Otlp,
    (transport, counts): (Transport, SpanCounts),
) -> Result<SdkTracerProvider, InitError> {
    let exporter = match otlp.protocol {
        Protocol::Console => Exporter::Console,
        Protocol::Http | Protocol::Grpc => {
            let runtime = Handle::try_current().map_err(|_| InitError::new("spans need a tokio runtime"))?;
            let is_grpc = otlp.protocol == Protocol::Grpc;
            let client = OnOurRuntime { runtime, transport, timeout: otlp.timeout, is_grpc };
            Exporter::Otlp(Box::new(exporter(otlp, client)?))
        }
    };
    // One more than are let in, so that none is lost where nobody counts it.
    let batch = BatchConfigBuilder::default()
        .with_scheduled_delay(otlp.batch.schedule_delay)
        .with_max_queue_size(otlp.batch.queue + 1)
        .with_max_export_batch_size(otlp.batch.size)
        .build();
    let exporter = Counting::new(exporter, counts.clone());
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batch).build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(Bounded::new(processor, counts, otlp.batch))
        .with_sampler(sampler(otlp.sampler))
        .with_resource(resource(settings, otlp));
    let provider = match settings.detail.open_inference {
        true => provider.with_max_attributes_per_span(MOST_ATTRIBUTES),
        false => provider,
    };
    Ok(provider.build())
}

/// Where spans go in the end.
#[derive(Debug)]
enum Exporter {
    Otlp(Box<OtlpExporter>),
    Console,
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        match self {
            Self::Otlp(otlp) => otlp.export(batch).await,
            Self::Console => console::write(&batch),
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        match self {
            Self::Otlp(otlp) => otlp.shutdown_with_timeout(timeout),
            Self::Console => Ok(()),
        }
    }

    fn set_resource(&mut self, resource: &Resource) {
        if let Self::Otlp(otlp) = self {
            otlp.set_resource(resource);
        }
    }
}

fn exporter(otlp: &Otlp, client: OnOurRuntime) -> Result<OtlpExporter, InitError> {
    let headers: HashMap<_, _> =
        otlp.headers.iter().map(|(name, value)| (name.to_string(), value.reveal().to_owned())).collect();
    let endpoint = match otlp.protocol {
        Protocol::Grpc => grpc::method_at(&otlp.endpoint),
        Protocol::Http | Protocol::Console => otlp.endpoint.to_string(),
    };
    OtlpExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_headers(headers)
        .with_endpoint(endpoint)
        .with_protocol(Encoding::HttpBinary)
        .with_timeout(otlp.timeout)
        .build()
        .map_err(|err| InitError::new(format!("spans cannot be exported: {err}")))
}

fn sampler(sampler: Sampler) -> SdkSampler {
    match sampler {
        Sampler::Always => SdkSampler::AlwaysOn,
        Sampler::Never => SdkSampler::AlwaysOff,
        Sampler::Ratio(share) => SdkSampler::TraceIdRatioBased(share),
        Sampler::Parent(share) => SdkSampler::ParentBased(Box::new(SdkSampler::TraceIdRatioBased(share))),
    }
}

fn resource(settings: &Settings, otlp: &Otlp) -> Resource {
    let pairs = otlp.resource.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attributes(pairs)
        .with_service_name(settings.service_name.clone())
        .build()
}

/// The batch processor exports from a thread of its own, which has no reactor: the exchange runs on our runtime.
#[derive(Debug)]
struct OnOurRuntime {
    runtime: Handle,
    transport: Transport,
    timeout: Duration,
    /// Whether the exchange is one of gRPC, whose message is the same.
    is_grpc: bool,
}

#[async_trait]
impl HttpClient for OnOurRuntime {
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let (transport, timeout, is_grpc) = (self.transport.clone(), self.timeout, self.is_grpc);
        let exchange = async move {
            match is_grpc {
                true => unary(transport, request, timeout).await,
                false => exchange(transport, request).await,
            }
        };
        self.runtime.spawn(async move { tokio::time::timeout(timeout, exchange).await }).await??
    }
}

async fn exchange(
    transport: Transport,
    request: http::Request<Bytes>,
) -> Result<http::Response<Bytes>, HttpError> {
    let answer = transport.send(sent(request)).await?;
    let mut response = http::Response::new(answer.body.collect(ANSWER_LIMIT).await?);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(response)
}

async fn unary(
    transport: Transport,
    request: http::Request<Bytes>,
    timeout: Duration,
) -> Result<http::Response<Bytes>, HttpError> {
    let mut request = request;
    let message = std::mem::take(request.body_mut());
    *request.body_mut() = grpc::request(&message, request.headers_mut(), timeout);
    let answer = transport.send(sent(request)).await?;
    let (body, trailers) = answer.body.collect_with_trailers(ANSWER_LIMIT).await?;
    Ok(grpc::response(answer.status, (&answer.headers, &trailers), &body))
}

fn sent(request: http::Request<Bytes>) -> Request {
    let (head, body) = request.into_parts();
    let mut request = Request::new(head.method, head.uri, std::iter::once(body).collect());
    request.headers = head.headers;
    request
}
