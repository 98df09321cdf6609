//! The start of telemetry, and its end: what is still queued leaves before the process does.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use gatewright_transport::Transport;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::export::Exporter;
use crate::queue::{Queue, SpanCounts};
use crate::{Settings, Tracer, logs};

/// Why telemetry cannot start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitError(Cow<'static, str>);

/// Keeps telemetry running. Shut it down to send what is still queued; what is merely dropped sends it as long as the runtime
/// lives.
pub struct Guard {
    tracer: Tracer,
    spans: Option<Spans>,
}

struct Spans {
    queue: Queue,
    /// Ends when the queue is closed and empty.
    exporter: Option<JoinHandle<bool>>,
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
        let Some(otlp) = &settings.traces else {
            return Ok(Self { tracer: Tracer::new(None, settings), spans: None });
        };
        let queue = Queue::new(otlp.batch);
        let runtime = Handle::try_current().map_err(|_| InitError::new("spans need a tokio runtime"))?;
        let exporter = Exporter::new(settings, otlp, (transport, queue.clone()))?;
        let exporter = Some(runtime.spawn(exporter.run()));
        let tracer = Tracer::new(Some((otlp, &queue)), settings);
        Ok(Self { tracer, spans: Some(Spans { queue, exporter }) })
    }

    /// What becomes of spans, for whoever looks now and then; nothing where none are made.
    pub fn counts(&self) -> Option<SpanCounts> {
        self.spans.as_ref().map(|spans| SpanCounts(spans.queue.clone()))
    }

    /// What makes spans.
    pub fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// Sends what is queued now; tells whether all of it left.
    pub async fn flush(&self) -> bool {
        match &self.spans {
            Some(spans) => matches!(spans.queue.flush().await, Ok(true)),
            None => true,
        }
    }

    /// Sends what is still queued, for at most `deadline`; tells whether all of it left.
    pub async fn shutdown(mut self, deadline: Duration) -> bool {
        let Some(spans) = &mut self.spans else { return true };
        spans.queue.close();
        let Some(exporter) = spans.exporter.take() else { return true };
        matches!(tokio::time::timeout(deadline, exporter).await, Ok(Ok(true)))
    }
}

impl Drop for Spans {
    fn drop(&mut self) {
        self.queue.close();
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
