//! The way out for spans: OTLP over the gateway's own HTTP client.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gatewright_transport::{Request, Transport};
use opentelemetry::KeyValue;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler as SdkSampler, SdkTracerProvider,
};
use tokio::runtime::Handle;

use crate::{InitError, Otlp, Sampler, Settings};

/// A receiver's answer says little; more than this is not read.
const ANSWER_LIMIT: usize = 64 * 1024;

/// Everything from a span to the wire.
pub(crate) fn provider(
    settings: &Settings,
    otlp: &Otlp,
    transport: Transport,
) -> Result<SdkTracerProvider, InitError> {
    let runtime = Handle::try_current().map_err(|_| InitError::new("spans need a tokio runtime"))?;
    let client = OnOurRuntime { runtime, transport, timeout: otlp.timeout };
    let exporter = exporter(otlp, client)?;
    let batch = BatchConfigBuilder::default()
        .with_scheduled_delay(otlp.batch.schedule_delay)
        .with_max_queue_size(otlp.batch.queue)
        .with_max_export_batch_size(otlp.batch.size)
        .build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batch).build();
    Ok(SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_sampler(sampler(otlp.sampler))
        .with_resource(resource(settings, otlp))
        .build())
}

fn exporter(otlp: &Otlp, client: OnOurRuntime) -> Result<SpanExporter, InitError> {
    let headers: HashMap<_, _> =
        otlp.headers.iter().map(|(name, value)| (name.to_string(), value.reveal().to_owned())).collect();
    SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_headers(headers)
        .with_endpoint(otlp.endpoint.to_string())
        .with_protocol(Protocol::HttpBinary)
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
}

#[async_trait]
impl HttpClient for OnOurRuntime {
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let exchange = exchange(self.transport.clone(), request);
        let timeout = self.timeout;
        self.runtime.spawn(async move { tokio::time::timeout(timeout, exchange).await }).await??
    }
}

async fn exchange(
    transport: Transport,
    request: http::Request<Bytes>,
) -> Result<http::Response<Bytes>, HttpError> {
    let (head, body) = request.into_parts();
    let mut request = Request::new(head.method, head.uri, std::iter::once(body).collect());
    request.headers = head.headers;
    let answer = transport.send(request).await?;
    let mut response = http::Response::new(answer.body.collect(ANSWER_LIMIT).await?);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(response)
}
