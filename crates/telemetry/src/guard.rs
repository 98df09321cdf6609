//! The start of telemetry, and its end: what is still queued leaves before the process does.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use gatewright_transport::Transport;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::queue::SpanCounts;
use crate::{Settings, Tracer, export, logs};

/// How long a guard that is merely dropped waits for its receiver.
const HASTY: Duration = Duration::from_secs(1);

/// Why telemetry cannot start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitError(Cow<'static, str>);

/// Keeps telemetry running. Shut it down to send what is still queued.
pub struct Guard {
    tracer: Tracer,
    provider: Option<SdkTracerProvider>,
    counts: SpanCounts,
}

/// Starts the log of this process and the export of spans. Needs a tokio runtime where spans are exported, and for gRPC a
/// transport that speaks HTTP/2 without asking.
pub fn init(settings: &Settings, transport: Transport) -> Result<Guard, InitError> {
    logs::start(&settings.logs)?;
    Guard::spans(settings, transport)
}

// === impl Guard ===

impl Guard {
    /// Starts the export of spans alone, for a program that has a log of its own.
    pub fn spans(settings: &Settings, transport: Transport) -> Result<Self, InitError> {
        let counts = SpanCounts::default();
        let Some(otlp) = &settings.traces else {
            return Ok(Self { tracer: Tracer::new(None, settings), provider: None, counts });
        };
        let provider = export::provider(settings, otlp, (transport, counts.clone()))?;
        let tracer = Tracer::new(Some(provider.tracer("gatewright")), settings);
        Ok(Self { tracer, provider: Some(provider), counts })
    }

    /// What becomes of spans, for whoever looks now and then; nothing where none are made.
    pub fn counts(&self) -> Option<SpanCounts> {
        self.provider.is_some().then(|| self.counts.clone())
    }

    /// What makes spans.
    pub fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// Sends what is queued now.
    pub async fn flush(&self) -> bool {
        let Some(provider) = self.provider.clone() else { return true };
        // The SDK blocks its thread, as below.
        matches!(tokio::task::spawn_blocking(move || provider.force_flush().is_ok()).await, Ok(true))
    }

    /// Sends what is still queued, for at most `deadline`; tells whether all of it left.
    pub async fn shutdown(mut self, deadline: Duration) -> bool {
        let Some(provider) = self.provider.take() else { return true };
        // The SDK blocks its thread until the export is through, and the export needs the async threads.
        let flush = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(deadline).is_ok());
        matches!(tokio::time::timeout(deadline, flush).await, Ok(Ok(true)))
    }
}

impl Drop for Guard {
    /// A guard that nobody shut down must not block an async thread on an export that needs it.
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take() {
            std::thread::spawn(move || provider.shutdown_with_timeout(HASTY));
        }
    }
}

// === impl InitError ===

impl InitError {
    pub(crate) fn new(why: impl Into<Cow<'static, str>>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InitError {}
