//! Microsoft Teams: an Adaptive Card, as its workflows ("when a webhook request is received") post them.

use serde_json::{Value, json};

use super::words::{lines, shortened};
use crate::Severity;
use crate::desk::Ready;

/// Teams refuses a message of more than 28 KB.
const MOST_LINES: usize = 60;
const MOST: usize = 300;

pub(super) fn message(ready: &Ready, base_url: Option<&str>) -> Value {
    let color = match ready.alert.severity {
        Severity::Low => "default",
        Severity::Medium => "warning",
        Severity::High => "attention",
    };
    let lines = lines(ready, base_url);
    let facts = lines.into_iter().take(MOST_LINES);
    let facts: Vec<Value> =
        facts.map(|(name, value)| json!({"title": name, "value": shortened(value, MOST)})).collect();
    let title = shortened(ready.alert.title.clone(), MOST);
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {"type": "TextBlock", "text": title, "weight": "bolder", "size": "medium", "wrap": true, "color": color},
            {"type": "FactSet", "facts": facts},
        ],
    });
    let attachment = json!({"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card});
    json!({"type": "message", "attachments": [attachment]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Alert, Kind};

    #[test]
    fn the_largest_alert_is_a_card_that_teams_takes() {
        let mut alert = Alert::new(Kind::SpendReports, "7d", Severity::High, "Spend");
        alert.facts = (0..500).map(|_| ("Team", "x".repeat(1_000))).collect();
        let message = message(&Ready { alert, at: 0, kept_back: 0 }, None);
        assert!(message.to_string().len() < 28 * 1024);
        let card = &message["attachments"][0]["content"];
        assert_eq!(message["type"], "message");
        assert_eq!((&card["type"], &card["version"]), (&json!("AdaptiveCard"), &json!("1.4")));
        assert_eq!(card["body"][0]["color"], "attention");
        assert_eq!(card["body"][1]["facts"][0], json!({"title": "Level", "value": "High"}));
    }
}
