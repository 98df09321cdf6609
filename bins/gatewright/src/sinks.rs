//! The sinks of a configuration, opened.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use gatewright_core::{Clock, OwnSink};
use gatewright_providers::AwsSigner;
use gatewright_sinks::{
    Describe, Helicone, JsonLines, Langfuse, LangfuseOtel, Line, Lunary, Pace, Registered, S3, Sign, Sink,
    Sinks, Webhook,
};
use gatewright_transport::{Request, Transport, Trust};
use tracing::error;

use crate::config::{Config, SinkEntry, Target};

/// Below the data directory: what could not be delivered yet, a folder a sink.
const FOLDER: &str = "sinks";

/// Below the data directory: records as lines, where nobody says another place.
const FILE: &str = "records.jsonl";

/// Opens what the configuration names, and callers' own sinks when their records come.
pub(crate) fn start(
    config: &Config,
    models: Arc<dyn Describe>,
    transport: &Transport,
    clock: Arc<dyn Clock>,
) -> Sinks {
    let open = |entry: &SinkEntry| {
        let sink = Opening { name: &entry.name, config, clock: clock.clone() }
            .open(&entry.target, Line { transport: transport.clone(), trust: Trust::Operator });
        let sink = sink
            .map_err(|why| error!(sink = entry.name, why, "a sink cannot be opened; no record goes there"));
        let SinkEntry { success, failure, content, pace, .. } = *entry;
        Some(Registered { sink: sink.ok()?, success, failure, content, pace })
    };
    let sinks = config.sinks.sinks.iter().filter_map(open).collect();
    let settings = gatewright_sinks::Settings {
        models: Some(models),
        folder: Some(config.journal.data_dir.join(FOLDER)),
        ..config.sinks.delivery.clone()
    };
    let line = Line { transport: transport.clone(), trust: Trust::Untrusted };
    let own = move |own: &OwnSink| {
        let target = Target::of_caller(own)?;
        let sink = web(&own.name, &target, line.clone())?.ok()?;
        let OwnSink { success, failure, .. } = *own;
        Some(Registered { sink, success, failure, content: true, pace: Pace::default() })
    };
    Sinks::start(settings, sinks, Some(Box::new(own)), clock)
}

/// What opens one of the operator's sinks.
struct Opening<'a> {
    name: &'a str,
    config: &'a Config,
    clock: Arc<dyn Clock>,
}

impl Opening<'_> {
    fn open(self, target: &Target, line: Line) -> Result<Arc<dyn Sink>, String> {
        match target {
            Target::S3 { settings, access } => {
                let signer = AwsSigner::new("s3", access, line.transport.clone(), self.clock);
                let sign = Signer(signer.ok_or("nothing says where AWS credentials may come from")?);
                Ok(Arc::new(S3::new(self.name, settings.clone(), Arc::new(sign), line)?))
            }
            Target::File { path, most_bytes, kept } => {
                let path = path.clone().unwrap_or_else(|| self.config.journal.data_dir.join(FILE));
                Ok(Arc::new(JsonLines::new(self.name, path, *most_bytes, *kept)))
            }
            other => web(self.name, other, line).ok_or("it is none of the web")?,
        }
    }
}

/// A sink that is somebody's service; `None` where it is of another kind.
fn web(name: &str, target: &Target, line: Line) -> Option<Result<Arc<dyn Sink>, String>> {
    fn shared(sink: Result<impl Sink, String>) -> Result<Arc<dyn Sink>, String> {
        sink.map(|sink| Arc::new(sink) as Arc<dyn Sink>)
    }
    Some(match target {
        Target::Webhook { endpoint, headers, format } => {
            shared(Webhook::new(name, endpoint, headers, (*format, line)))
        }
        Target::Langfuse(access) => shared(Langfuse::new(name, access, line)),
        Target::LangfuseOtel(access) => shared(LangfuseOtel::new(name, access, line)),
        Target::Helicone { base, key } => shared(Helicone::new(name, base, key, line)),
        Target::Lunary { base, key } => shared(Lunary::new(name, base, key, line)),
        Target::S3 { .. } | Target::File { .. } => return None,
    })
}

/// Signs with the credentials that deployments at AWS use.
struct Signer(AwsSigner);

impl Sign for Signer {
    fn sign<'a>(&'a self, request: &'a mut Request) -> BoxFuture<'a, gatewright_core::Result<()>> {
        Box::pin(self.0.sign(request))
    }
}
