//! Slack's incoming webhooks: a text in its markup.

use serde_json::{Value, json};

use super::words::{code, lines, shortened};
use crate::desk::Ready;

/// Slack cuts a text at 40,000 characters, and shows one of 4,000 whole.
const MOST: usize = 4_000;

pub(super) fn message(ready: &Ready, base_url: Option<&str>) -> Value {
    let mut text = format!("*{}*", escaped(&code(&ready.alert.title)));
    for (name, value) in lines(ready, base_url) {
        text.push_str(&format!("\n{name}: `{}`", escaped(&code(&value))));
    }
    json!({"text": shortened(text, MOST)})
}

/// The three characters that mean something to Slack: without this an alias could mention a whole channel.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Alert, Kind, Severity};

    #[test]
    fn nobody_is_mentioned_by_what_somebody_named() {
        let alert =
            Alert::new(Kind::BudgetAlerts, "k", Severity::High, "Key <!channel>").fact("Key", "`x` & y");
        let text = message(&Ready { alert, at: 0, kept_back: 2 }, Some("https://gw"));
        assert_eq!(
            text["text"],
            "*Key &lt;!channel&gt;*\nLevel: `High`\nKind: `budget_alerts`\nKey: `'x' &amp; y`\n\
             The same again since the last alert: `2`\nTime: `1970-01-01 00:00:00 UTC`\nGateway: `https://gw`"
        );
    }
}
