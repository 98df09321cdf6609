//! Applies a provider's quirks to a request: the one place where the closed vocabulary is obeyed.

mod messages;

use bytes::Bytes;
use gatewright_catalogue::{Quirk, StreamUsage};
use gatewright_core::{Json, Losses, Result};
use serde_json::Value;

/// The quirks of one endpoint.
pub(crate) struct Quirks {
    list: Vec<Quirk>,
    words: Option<messages::Words>,
}

// === impl Quirks ===

impl Quirks {
    pub(crate) fn new(list: Vec<Quirk>) -> Self {
        Self { words: messages::Words::new(&list), list }
    }

    pub(crate) fn contains(&self, quirk: &Quirk) -> bool {
        self.list.contains(quirk)
    }

    /// Edits the body that goes out. What had to be dropped is told to `losses`.
    pub(crate) fn apply(&self, body: &mut Json, losses: &mut Losses) -> Result<()> {
        for quirk in &self.list {
            apply(quirk, body, losses)?;
        }
        match &self.words {
            Some(words) => messages::apply(&self.list, words, body, losses),
            None => Ok(()),
        }
    }
}

fn apply(quirk: &Quirk, body: &mut Json, losses: &mut Losses) -> Result<()> {
    match quirk {
        Quirk::Rename { from, to } => rename(body, from, to),
        Quirk::Drop(fields) => drop_fields(body, fields, losses),
        Quirk::Default { field, value } if !body.has(field) => body.set(field, text(value)),
        Quirk::Clamp { field, min, max } => clamp(body, field, *min, *max)?,
        Quirk::Only { field, value } if !says(body, field, value) => {
            drop_fields(body, std::slice::from_ref(field), losses);
        }
        Quirk::Replace { field, from, to } if says(body, field, from) => body.set(field, text(to)),
        Quirk::StreamUsage(StreamUsage::Always | StreamUsage::Never) => drop(body.remove("stream_options")),
        Quirk::ThinkingSwitch { field, value } => switch_thinking(body, field, value)?,
        _ => {}
    }
    Ok(())
}

fn rename(body: &mut Json, from: &str, to: &str) {
    let Some(value) = body.remove(from) else { return };
    if !body.has(to) {
        body.set(to, value);
    }
}

fn drop_fields(body: &mut Json, fields: &[String], losses: &mut Losses) {
    for field in fields {
        if body.remove(field).is_some_and(|value| value != "null") {
            losses.add(field.clone());
        }
    }
}

fn clamp(body: &mut Json, field: &str, min: Option<f64>, max: Option<f64>) -> Result<()> {
    let Some(number) = body.get::<f64>(field)? else { return Ok(()) };
    let fits = number.max(min.unwrap_or(f64::MIN)).min(max.unwrap_or(f64::MAX));
    if fits != number {
        // A whole edge stays a whole number: `n: 1.0` is refused where `n: 1` is not.
        let edge = if fits.fract() == 0.0 { format!("{fits:.0}") } else { fits.to_string() };
        body.set(field, edge);
    }
    Ok(())
}

/// Whether the field has this value, a number in whichever way it is written.
fn says(body: &Json, field: &str, wanted: &Value) -> bool {
    let said = body.raw(field).and_then(|raw| serde_json::from_slice::<Value>(raw).ok());
    said.is_some_and(|said| said == *wanted || (said.is_number() && said.as_f64() == wanted.as_f64()))
}

fn switch_thinking(body: &mut Json, field: &str, value: &Value) -> Result<()> {
    let effort = body.string("reasoning_effort")?;
    let thinks = effort.is_some_and(|effort| effort != "none");
    if thinks && !body.has(field) {
        body.set(field, text(value));
    }
    Ok(())
}

fn text(value: &Value) -> Bytes {
    value.to_string().into()
}

#[cfg(test)]
mod tests {
    use gatewright_core::JsonLimits;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_request_quirk_edits_as_it_says() {
        let field = |name: &str| name.to_owned();
        for (quirk, before, after, lost) in [
            (Quirk::Rename { from: field("a"), to: field("b") }, json!({"a": 1}), json!({"b": 1}), vec![]),
            (
                Quirk::Rename { from: field("a"), to: field("b") },
                json!({"a": 1, "b": 2}),
                json!({"b": 2}),
                vec![],
            ),
            (Quirk::Drop(vec![field("a")]), json!({"a": 1, "c": 2}), json!({"c": 2}), vec!["a"]),
            (
                Quirk::Default { field: field("a"), value: json!({"x": 1}) },
                json!({}),
                json!({"a": {"x": 1}}),
                vec![],
            ),
            (Quirk::Default { field: field("a"), value: json!(1) }, json!({"a": 2}), json!({"a": 2}), vec![]),
            (
                Quirk::Clamp { field: field("n"), min: None, max: Some(1.0) },
                json!({"n": 4}),
                json!({"n": 1}),
                vec![],
            ),
            (
                Quirk::Replace { field: field("tool_choice"), from: json!("required"), to: json!("any") },
                json!({"tool_choice": "required"}),
                json!({"tool_choice": "any"}),
                vec![],
            ),
            (
                Quirk::StreamUsage(StreamUsage::Always),
                json!({"stream_options": {"include_usage": true}}),
                json!({}),
                vec![],
            ),
            (
                Quirk::ThinkingSwitch { field: field("thinking"), value: json!({"type": "enabled"}) },
                json!({"reasoning_effort": "low"}),
                json!({"reasoning_effort": "low", "thinking": {"type": "enabled"}}),
                vec![],
            ),
            (
                Quirk::Role { from: field("developer"), to: field("system") },
                json!({"messages": [{"role": "developer", "content": "x"}]}),
                json!({"messages": [{"role": "system", "content": "x"}]}),
                vec![],
            ),
            (
                Quirk::FlattenText,
                json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]}),
                json!({"messages": [{"role": "user", "content": "ab"}]}),
                vec![],
            ),
            (
                Quirk::TextOnlyContent,
                json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u"}}]}]}),
                json!({"messages": [{"role": "user", "content": "a"}]}),
                vec!["messages[0].content[image_url]"],
            ),
            (
                Quirk::NoCacheMarks,
                json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {}}]}], "tools": [{"cache_control": {}}]}),
                json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}], "tools": [{}]}),
                vec![],
            ),
            (
                Quirk::NoSpeakerNames,
                json!({"messages": [{"role": "user", "name": "n", "content": "a"}, {"role": "tool", "name": "t"}]}),
                json!({"messages": [{"role": "user", "content": "a"}, {"role": "tool", "name": "t"}]}),
                vec!["messages[0].name"],
            ),
            (
                Quirk::DropFromMessages(vec![field("thinking_blocks"), field("annotations")]),
                json!({"messages": [{"role": "assistant", "content": "a", "thinking_blocks": [], "annotations": null}]}),
                json!({"messages": [{"role": "assistant", "content": "a"}]}),
                vec!["messages.thinking_blocks"],
            ),
            (
                Quirk::ReasoningField(field("reasoning")),
                json!({"messages": [{"role": "assistant", "reasoning_content": "r"}]}),
                json!({"messages": [{"role": "assistant", "reasoning": "r"}]}),
                vec![],
            ),
        ] {
            check(&quirk, &before, &after, &lost);
        }
    }

    #[test]
    fn the_only_value_that_is_taken_may_be_written_in_any_way() {
        let only = Quirk::Only { field: "t".to_owned(), value: json!(1) };
        for (before, after, lost) in [
            (json!({"t": 1}), json!({"t": 1}), vec![]),
            (json!({"t": 1.0}), json!({"t": 1.0}), vec![]),
            (json!({"a": 2}), json!({"a": 2}), vec![]),
            (json!({"t": null}), json!({}), vec![]),
            (json!({"t": 0.5}), json!({}), vec!["t"]),
            (json!({"t": "1"}), json!({}), vec!["t"]),
        ] {
            check(&only, &before, &after, &lost);
        }
    }

    fn check(quirk: &Quirk, before: &Value, after: &Value, lost: &[&str]) {
        let mut body = Json::parse(before.to_string().into(), JsonLimits::default()).unwrap();
        let mut losses = Losses::default();
        Quirks::new(vec![quirk.clone()]).apply(&mut body, &mut losses).unwrap();
        let got: Value = serde_json::from_slice(&body.to_bytes()).unwrap();
        let told = losses.into_fields();
        assert_eq!(
            (&got, told.iter().map(|field| &**field).collect::<Vec<&str>>()),
            (after, lost.to_vec()),
            "{quirk:?}"
        );
    }
}
