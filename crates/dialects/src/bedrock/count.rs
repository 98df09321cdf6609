//! Counts of tokens: which models are counted, how a count is asked for, and what is answered.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/count-tokens.html>

use std::borrow::Cow;

use gatewright_core::{Json, JsonLimits, Result};
use serde::Deserialize;

use crate::anthropic::reply_decode::malformed;

/// What a count takes of a conversation.
const TAKEN: [&str; 4] = ["messages", "system", "toolConfig", "additionalModelRequestFields"];

/// Claude's versions that are not counted.
const UNCOUNTED: [&str; 5] = ["instant", "v2", "3-opus", "3-sonnet", "3-haiku"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counted {
    input_tokens: u64,
}

/// Where a model's tokens are counted: below its own name, without the profile of regions that it is called by. Of all
/// makers' models only Claude's are.
pub(super) fn path(model: &str) -> Option<String> {
    const CLAUDE: &str = "anthropic.claude-";
    let model = &model[model.find(CLAUDE)?..];
    let version = &model[CLAUDE.len()..];
    let counted = !UNCOUNTED.iter().any(|older| version.starts_with(older));
    counted.then(|| format!("/model/{model}/count-tokens"))
}

/// A request for an answer as one for its count.
pub(super) fn ask(body: &mut Json) {
    let Ok(mut conversation) = Json::parse(body.to_bytes(), JsonLimits::default()) else { return };
    let names: Vec<String> = body.keys().map(Cow::into_owned).collect();
    for name in &names {
        body.remove(name);
        if !TAKEN.contains(&name.as_str()) {
            conversation.remove(name);
        }
    }
    let conversation = conversation.to_bytes();
    body.set("input", [b"{\"converse\":", &*conversation, b"}"].concat());
}

/// What was counted.
pub(super) fn decode(body: &[u8]) -> Result<u64> {
    let counted: Counted = serde_json::from_slice(body).map_err(|err| malformed(&err))?;
    Ok(counted.input_tokens)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn claudes_newer_models_are_counted_below_their_own_names() {
        let newer = "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/count-tokens";
        for (model, path) in [
            ("us.anthropic.claude-sonnet-4-5-20250929-v1%3A0", Some(newer)),
            ("anthropic.claude-sonnet-4-5-20250929-v1%3A0", Some(newer)),
            ("anthropic.claude-3-haiku-20240307-v1%3A0", None),
            ("amazon.nova-pro-v1%3A0", None),
            ("arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aapplication-inference-profile%2Fx", None),
        ] {
            assert_eq!(super::path(model).as_deref(), path, "{model}");
        }
    }

    #[test]
    fn a_conversation_is_asked_about_without_what_steers_its_answer() {
        let body = json!({
            "messages": [], "system": [{"text": "s"}], "inferenceConfig": {"maxTokens": 1},
            "toolConfig": {"tools": []}, "serviceTier": {"type": "flex"},
        });
        let mut body = Json::parse(body.to_string().into(), JsonLimits::default()).unwrap();
        ask(&mut body);
        let asked: Value = serde_json::from_slice(&body.to_bytes()).unwrap();
        let inside = json!({"messages": [], "system": [{"text": "s"}], "toolConfig": {"tools": []}});
        assert_eq!(asked, json!({"input": {"converse": inside}}));
        assert_eq!(decode(br#"{"inputTokens":12}"#).unwrap(), 12);
    }
}
