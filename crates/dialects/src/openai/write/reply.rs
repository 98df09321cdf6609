//! A whole answer for a client.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use gatewright_core::ReplyStyle;
use gatewright_core::chat::{Answer, Choice, Part, ToolCall};
use serde_json::{Map, Value, json};

use super::{arguments, reasoning_text, thinking_blocks};
use crate::json::{Fields, put_value};
use crate::openai::relay::answer_id;
use crate::openai::{finish, usage};
use crate::signature;

/// Extras of a choice that stand beside its message and not in it.
const BESIDE: &[&str] =
    &["content_filter_results", "native_finish_reason", "stop_reason", "token_ids", "seed", "text"];

/// What the parts of a choice come to in this dialect.
#[derive(Default)]
struct Said<'a> {
    text: Option<Cow<'a, str>>,
    refusal: String,
    /// Each with the signature that stands before it.
    calls: Vec<(&'a ToolCall, Option<&'a str>)>,
    annotations: Vec<Value>,
    /// Anthropic's own citations, those of each text in a list.
    cited: Vec<Value>,
    others: Vec<Value>,
}

/// Writes an answer.
pub(in crate::openai) fn write(answer: &Answer, style: &ReplyStyle) -> Bytes {
    let mut out = BytesMut::with_capacity(2048);
    let mut body = Fields::open(&mut out);
    match answer.id.as_str() {
        "" => body.text("id", &answer_id(style.attempt)),
        id => body.text("id", id),
    }
    body.text("object", "chat.completion");
    body.json("created", if answer.created == 0 { &style.created } else { &answer.created });
    body.text("model", &style.model);
    body.list("choices", &answer.choices, |out, one| choice(out, one, style));
    if let Some(used) = &answer.usage {
        body.json("usage", &usage::written(used));
    }
    if let Some(tier) = &answer.service_tier {
        body.text("service_tier", tier);
    }
    body.close_with(answer.extra.iter());
    out.freeze()
}

fn choice(out: &mut BytesMut, choice: &Choice, style: &ReplyStyle) {
    let mut wire = Fields::open(out);
    wire.json("index", &choice.index);
    message(wire.key("message"), choice, style);
    wire.text("finish_reason", finish::word(finish::shown(choice.finish, style.older_functions)));
    if let Some(logprobs) = &choice.logprobs {
        wire.value("logprobs", logprobs);
    }
    if let Some(text) = &choice.stop_sequence {
        wire.text("stop_reason", text);
    }
    wire.close_with(choice.extra.iter().filter(|(key, _)| BESIDE.contains(&key.as_str())));
}

fn message(out: &mut BytesMut, choice: &Choice, style: &ReplyStyle) {
    let said = Said::of(&choice.parts);
    let theirs = |key: &str| further(choice, key);
    let mut wire = Fields::open(out);
    wire.text("role", "assistant");
    match &said.text {
        Some(text) => wire.text("content", text),
        None => wire.value("content", &Value::Null),
    }
    if let Some(text) = reasoning_text(&choice.parts) {
        wire.text("reasoning_content", &text);
    }
    if let Some(blocks) = thinking_blocks(&choice.parts) {
        wire.list("thinking_blocks", blocks.iter().chain(theirs("thinking_blocks")), put_value);
    }
    if style.older_functions {
        // The older form has one call, and no id.
        let further = theirs("tool_calls").first().and_then(|call| call.get("function"));
        match (said.calls.first(), further) {
            (Some((call, _)), _) => function(wire.key("function_call"), call),
            (None, Some(function)) => wire.value("function_call", function),
            (None, None) => {}
        }
    } else if !said.calls.is_empty() {
        let further = theirs("tool_calls").iter().map(Called::Further);
        wire.list(
            "tool_calls",
            said.calls.into_iter().map(|(call, signature)| Called::Own(call, signature)).chain(further),
            call,
        );
    }
    if !said.annotations.is_empty() {
        wire.list("annotations", said.annotations.iter().chain(theirs("annotations")), put_value);
    }
    if !said.refusal.is_empty() {
        wire.text("refusal", &said.refusal);
    }
    if let Some(fields) = provider_fields(said.cited, said.others) {
        wire.value("provider_specific_fields", &fields);
    }
    let hidden = |key: &str| BESIDE.contains(&key) || (style.older_functions && key == "tool_calls");
    wire.close_with(choice.extra.iter().filter(|(key, _)| !hidden(key)));
}

/// Items of kinds that have no canonical form, which stand behind the converted ones.
fn further<'a>(choice: &'a Choice, key: &str) -> &'a [Value] {
    choice.extra.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A call of the model's, or one in a form that is passed on.
enum Called<'a> {
    Own(&'a ToolCall, Option<&'a str>),
    Further(&'a Value),
}

fn call(out: &mut BytesMut, called: Called<'_>) {
    match called {
        Called::Own(call, signature) => {
            let mut wire = Fields::open(out);
            wire.text("id", &call.id);
            wire.text("type", "function");
            function(wire.key("function"), call);
            if let Some(signature) = signature {
                wire.value("provider_specific_fields", &json!({"thought_signature": signature}));
            }
            wire.close();
        }
        Called::Further(value) => put_value(out, value),
    }
}

fn function(out: &mut BytesMut, call: &ToolCall) {
    let mut wire = Fields::open(out);
    wire.text("name", &call.name);
    wire.text("arguments", arguments(call));
    wire.close();
}

/// The signature that Gemini gave the call behind the part: it has no text that it could belong to.
fn call_signature(part: &Part) -> Option<&str> {
    match part {
        Part::Reasoning { text, signature } if text.is_empty() => signature::as_gemini(signature.as_deref()?),
        _ => None,
    }
}

// === impl Said ===

impl<'a> Said<'a> {
    fn of(parts: &'a [Part]) -> Self {
        let mut said = Self::default();
        let mut before = None;
        for part in parts {
            let signature = std::mem::replace(&mut before, call_signature(part));
            match part {
                Part::Text { text, citations, .. } => said.text(text, citations),
                Part::ToolCall(call) => said.calls.push((call, signature)),
                Part::Refusal(more) => said.refusal.push_str(more),
                Part::Other(value) => said.others.push(value.clone()),
                Part::Reasoning { .. }
                | Part::RedactedReasoning { .. }
                | Part::Media(_)
                | Part::ToolResult(_) => {}
            }
        }
        said
    }

    fn text(&mut self, more: &'a str, citations: &[Value]) {
        if !citations.is_empty() {
            let start = self.text.as_ref().map_or(0, |text| text.chars().count());
            let span = (start, start + more.chars().count());
            self.annotations.extend(citations.iter().filter_map(|citation| annotation(citation, span)));
            let own: Vec<Value> = citations.iter().filter(|citation| is_own(citation)).cloned().collect();
            self.cited.extend((!own.is_empty()).then_some(Value::Array(own)));
        }
        match &mut self.text {
            None => self.text = Some(more.into()),
            Some(text) => text.to_mut().push_str(more),
        }
    }
}

/// A citation of the web as an annotation of the text between `span`.
pub(in crate::openai) fn annotation(citation: &Value, span: (usize, usize)) -> Option<Value> {
    let url = citation.get("url")?;
    let start = citation.get("start_index").cloned().unwrap_or_else(|| span.0.into());
    let end = citation.get("end_index").cloned().unwrap_or_else(|| span.1.into());
    let title = citation.get("title").filter(|title| !title.is_null()).cloned().unwrap_or_else(|| "".into());
    Some(json!({
        "type": "url_citation",
        "url_citation": {"start_index": start, "end_index": end, "url": url, "title": title},
    }))
}

/// Whether a citation is Anthropic's own, which says more than an annotation holds.
pub(super) fn is_own(citation: &Value) -> bool {
    citation.get("encrypted_index").is_none_or(|index| index.as_str().is_some_and(|index| !index.is_empty()))
}

/// Where LiteLLM's clients look for a block that this dialect has no field for.
pub(super) fn home(block: &Value) -> &'static str {
    match block.get("type").and_then(Value::as_str) {
        Some("web_search_tool_result") => "web_search_results",
        Some(kind) if kind.ends_with("_tool_result") => "tool_results",
        _ => "blocks",
    }
}

/// What this dialect has no field for. The citations are those of each text in a list of its own.
fn provider_fields(citations: Vec<Value>, blocks: Vec<Value>) -> Option<Value> {
    let mut fields = Map::new();
    if !citations.is_empty() {
        fields.insert("citations".into(), citations.into());
    }
    for block in blocks {
        if let Value::Array(list) = fields.entry(home(&block)).or_insert_with(|| json!([])) {
            list.push(block);
        }
    }
    (!fields.is_empty()).then_some(Value::Object(fields))
}
