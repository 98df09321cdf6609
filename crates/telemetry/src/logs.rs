//! Log lines on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::{Format, InitError, Logs};

/// Sends what the filter lets through to standard error, from now on and from everywhere in the process.
pub(crate) fn start(logs: &Logs) -> Result<(), InitError> {
    let filter = EnvFilter::try_new(&logs.filter)
        .map_err(|err| InitError::new(format!("the log filter cannot be read: {err}")))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match logs.format {
        Format::Json => registry
            .with(lines.json().flatten_event(true).with_current_span(false).with_span_list(false))
            .try_init(),
        Format::Pretty => registry.with(lines.with_ansi(io::stderr().is_terminal())).try_init(),
    };
    started.map_err(|err| InitError::new(format!("the log is already started: {err}")))
}
