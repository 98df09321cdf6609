//! Discord's webhooks: a text in Markdown that mentions nobody.

use serde_json::{Value, json};

use super::words::{code, lines, shortened};
use crate::desk::Ready;

/// Discord refuses a longer one.
const MOST: usize = 2_000;

pub(super) fn message(ready: &Ready, base_url: Option<&str>) -> Value {
    let mut text = format!("**{}**", code(&ready.alert.title));
    for (name, value) in lines(ready, base_url) {
        text.push_str(&format!("\n{name}: `{}`", code(&value)));
    }
    json!({"content": shortened(text, MOST), "allowed_mentions": {"parse": []}})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Alert, Kind, Severity};

    #[test]
    fn a_long_one_is_cut_to_what_discord_takes() {
        let mut alert = Alert::new(Kind::SpendReports, "7d", Severity::Low, "Spend");
        alert.facts = (0..200).map(|n| ("Team", format!("tëam-{n}: $1.0"))).collect();
        let message = message(&Ready { alert, at: 0, kept_back: 0 }, None);
        let content = message["content"].as_str().unwrap();
        assert_eq!(content.chars().count(), 2_000);
        assert!(content.starts_with("**Spend**\nLevel: `Low`") && content.ends_with('…'));
        assert_eq!(message["allowed_mentions"]["parse"], json!([]));
    }
}
