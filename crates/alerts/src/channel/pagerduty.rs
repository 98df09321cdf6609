//! PagerDuty's events (version 2): the same alert again belongs to the same incident.

use gatewright_core::Secret;
use serde_json::{Map, Value, json};

use super::words::{lines, shortened};
use crate::Severity;
use crate::desk::Ready;

/// PagerDuty refuses longer summaries, and longer names of incidents.
const MOST_SUMMARY: usize = 1_024;
const MOST_NAME: usize = 255;

pub(super) fn event(ready: &Ready, key: &Secret, base_url: Option<&str>) -> Value {
    let alert = &ready.alert;
    let severity = match alert.severity {
        Severity::Low => "info",
        Severity::Medium => "warning",
        Severity::High => "critical",
    };
    let mut details = Map::new();
    for (name, value) in lines(ready, base_url) {
        let known = details.get(name).and_then(Value::as_str).map(|first| format!("{first}, {value}"));
        details.insert(name.to_owned(), known.unwrap_or(value).into());
    }
    json!({
        "routing_key": key.reveal(),
        "event_action": "trigger",
        "dedup_key": shortened(format!("{}:{}", alert.kind.name(), alert.subject), MOST_NAME),
        "payload": {
            "summary": shortened(alert.title.clone(), MOST_SUMMARY),
            "source": base_url.unwrap_or("gatewright"),
            "severity": severity,
            "class": alert.kind.name(),
            "custom_details": details,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Alert, Kind};

    #[test]
    fn an_event_has_what_pagerduty_asks_for() {
        let subject = "d".repeat(300);
        let alert =
            Alert::new(Kind::OutageAlerts, subject, Severity::High, "Outage").fact("A", 1).fact("A", 2);
        let event = event(&Ready { alert, at: 0, kept_back: 0 }, &Secret::from("R0"), None);
        assert_eq!((&event["routing_key"], &event["event_action"]), (&json!("R0"), &json!("trigger")));
        assert_eq!(event["dedup_key"].as_str().unwrap().chars().count(), 255);
        let payload = &event["payload"];
        let told = (&payload["summary"], &payload["source"], &payload["severity"]);
        assert_eq!(told, (&json!("Outage"), &json!("gatewright"), &json!("critical")));
        assert_eq!(payload["custom_details"]["A"], "1, 2");
    }
}
