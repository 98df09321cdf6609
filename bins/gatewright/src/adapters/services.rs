//! Whom the gateway tells of what goes on, as administrators ask for it.

use gatewright_admin::{Services, Waiting};
use gatewright_alerts::Alerts;
use gatewright_core::{OwnSink, SinkFigures};
use gatewright_sinks::Sinks;

use crate::config::Target;

/// The channels of alerts, where there are some, and the sinks of records.
pub(crate) struct Hearers {
    pub(crate) alerts: Option<Alerts>,
    pub(crate) sinks: Sinks,
}

impl Services for Hearers {
    fn test<'a>(&'a self, channel: &'a str) -> Waiting<'a, Option<Result<(), String>>> {
        Box::pin(async move { self.alerts.as_ref()?.test(channel).await })
    }

    fn opens(&self, own: &OwnSink) -> bool {
        Target::of_caller(own).is_some()
    }

    fn sinks(&self) -> Vec<SinkFigures> {
        self.sinks.figures()
    }
}
