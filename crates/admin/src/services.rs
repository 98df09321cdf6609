//! `/health/services`: whether those can be told who are to be told of alerts, and how records come to their sinks.

use gatewright_core::{OwnSink, SinkFigures};
use http::StatusCode;
use serde_json::{Value, json};

use crate::Waiting;
use crate::ask::Ask;
use crate::failure::{Failure, Result};

/// Whom the gateway tells of what goes on.
pub trait Services: Send + Sync + 'static {
    /// Sends a test to a channel of alerts, and says what is wrong where it is not taken; `None` where no such channel is
    /// configured.
    fn test<'a>(&'a self, channel: &'a str) -> Waiting<'a, Option<std::result::Result<(), String>>>;

    /// Whether there is such a sink of a caller's own, and it says all that it needs.
    fn opens(&self, own: &OwnSink) -> bool;

    /// How records come to each sink.
    fn sinks(&self) -> Vec<SinkFigures>;
}

/// `GET /health/services?service=slack`.
pub(crate) async fn test(ask: &mut Ask) -> Result<Value> {
    let service = ask.required_param("service")?;
    let channel = match service {
        "slack_budget_alerts" => "slack",
        other => other,
    };
    if let Some(tested) = ask.admin.services.test(channel).await {
        let sent = || json!({"status": "success", "message": format!("a test was sent to {channel}")});
        return tested.map(|()| sent()).map_err(|why| unfit(service, &why));
    }
    let sinks = ask.admin.services.sinks();
    let Some(sink) = sinks.iter().find(|sink| sink.name == service) else {
        let words = format!(
            "{{'error': '\"{}\" not in proxy config: general_settings. Unable to test this.'}}",
            service.replace(['\'', '"'], "")
        );
        return Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request_error", None, &words));
    };
    if !sink.up {
        return Err(unfit(service, "it does not take records now; they wait for it"));
    }
    let SinkFigures { sent, failed, dropped, retried, queued, spooled, .. } = sink;
    let figures = json!({
        "sent": sent, "failed": failed, "dropped": dropped, "retried": retried, "queued": queued, "spooled": spooled,
    });
    let words = format!("{service} takes records; nothing was sent to it for a test");
    Ok(json!({"status": "success", "message": words, "figures": figures}))
}

fn unfit(service: &str, why: &str) -> Failure {
    let words = format!("{service} cannot be told: {why}");
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", Some("service"), &words)
}
