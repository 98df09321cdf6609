//! An upstream's whole answer.

use gatewright_core::Result;
use gatewright_core::chat::{Answer, Choice, Finish, Part};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::any::Any;
use super::whole::{RawAnswer, RawChoice};
use super::{arguments, extra_of, take_list, take_object, take_string, thought, tool};
use crate::openai::{fault, finish, relay, usage};

/// Reads an answer. An error that came with a good status is an `Err`.
pub(in crate::openai) fn read(body: &[u8]) -> Result<Answer> {
    let Ok(Any(RawAnswer::Fields { choices, usage: used, rest: mut top })) = serde_json::from_slice(body)
    else {
        return Err(relay::unreadable());
    };
    let failed = |value: &Value| !value.is_null() && value != &json!({}) && value != "";
    if top.get("error").is_some_and(failed) || top.get("object").is_some_and(|object| object == "error") {
        return Err(fault::inside(body));
    }
    let Some(choices) = choices else { return Err(relay::without_choices(body)) };
    top.shift_remove("object");
    let id = take_string(&mut top, "id").unwrap_or_default();
    let sources = sources(top.get("search_results"), top.get("citations"));
    let mut choices: Vec<Choice> =
        choices.into_iter().zip(0..).map(|(choice, at)| read_choice(choice, at, &id)).collect();
    if let Some(choice) = choices.first_mut() {
        cite_sources(&mut choice.parts, sources);
    }
    Ok(Answer {
        model: take_string(&mut top, "model").unwrap_or_default(),
        created: top.shift_remove("created").and_then(|at| at.as_u64()).unwrap_or_default(),
        choices,
        usage: used.as_deref().map(RawValue::get).and_then(|usage| usage::read(usage.as_bytes())),
        service_tier: take_string(&mut top, "service_tier"),
        id,
        extra: extra_of(top),
    })
}

fn read_choice(raw: RawChoice, at: u32, answer: &str) -> Choice {
    let RawChoice { content, mut message, rest: mut choice } = raw;
    let index =
        choice.shift_remove("index").and_then(|index| u32::try_from(index.as_u64()?).ok()).unwrap_or(at);
    let said = take_string(&mut choice, "finish_reason").unwrap_or_default();
    let logprobs = choice.shift_remove("logprobs").filter(|value| !value.is_null());
    let stop_sequence = take_string(&mut choice, "stop_reason");
    let parts = read_parts(content, &mut message, index, answer);
    choice.shift_remove("delta");
    let mut extra = extra_of(message);
    extra.append(&mut extra_of(choice));
    Choice { index, finish: read_finish(&said, &parts), parts, stop_sequence, logprobs, extra }
}

/// Some providers say that they are done where they wait for a tool.
pub(super) fn read_finish(word: &str, parts: &[Part]) -> Finish {
    let calls = || parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    match finish::read(word) {
        Finish::Stop if calls() => Finish::ToolCalls,
        finish => finish,
    }
}

fn read_parts(
    mut content: Vec<Part>,
    message: &mut Map<String, Value>,
    index: u32,
    answer: &str,
) -> Vec<Part> {
    let mut parts = thought::take(message);
    parts.append(&mut content);
    parts.retain(|part| !matches!(part, Part::Text { text, .. } if text.is_empty()));
    cite(message, &mut parts);
    parts.extend(take_string(message, "refusal").filter(|text| !text.is_empty()).map(Part::Refusal));
    let calls = take_list(message, "tool_calls").unwrap_or_default();
    for (mut call, n) in calls.into_iter().filter_map(tool::call).zip(0..) {
        if call.id.is_empty() {
            call.id = call_id(answer, index, n);
        }
        parts.push(Part::ToolCall(call));
    }
    if let Some(mut call) = take_object(message, "function_call") {
        parts.push(Part::ToolCall(gatewright_core::chat::ToolCall {
            id: call_id(answer, index, 0),
            name: take_string(&mut call, "name").unwrap_or_default(),
            arguments: arguments(call.shift_remove("arguments")),
            cache: None,
        }));
    }
    parts
}

/// An id for a call that the provider gave none; unlike those of other answers of the conversation.
pub(super) fn call_id(answer: &str, choice: u32, n: u32) -> String {
    let answer: String = answer.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("call_{answer}_{choice}_{n}")
}

/// Moves `url_citation` annotations to the text that they belong to; others stay.
fn cite(message: &mut Map<String, Value>, parts: &mut [Part]) {
    let Some(annotations) = take_list(message, "annotations") else { return };
    let text = parts.iter_mut().find_map(|part| match part {
        Part::Text { text, citations, .. } => Some((text, citations)),
        _ => None,
    });
    let Some((text, citations)) = text else {
        return keep(message, annotations);
    };
    let mut others = Vec::new();
    for annotation in annotations {
        match citation(&annotation, text) {
            Some(citation) => citations.push(citation),
            None => others.push(annotation),
        }
    }
    keep(message, others);
}

fn keep(message: &mut Map<String, Value>, annotations: Vec<Value>) {
    if !annotations.is_empty() {
        message.insert("annotations".into(), annotations.into());
    }
}

/// Sources that a provider lists beside its answer (Perplexity, xAI), as citations. Their places in the text are not
/// told. The list with titles is taken where there is one.
pub(super) fn sources(results: Option<&Value>, links: Option<&Value>) -> Vec<Value> {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let mut all = list(results);
    if all.is_empty() {
        all = list(links);
    }
    let source = |value: &Value| {
        let (url, title) = match value {
            Value::String(url) => (url.as_str(), None),
            other => (other.get("url")?.as_str()?, other.get("title").and_then(Value::as_str)),
        };
        Some(json!({
            "type": "web_search_result_location",
            "url": url,
            "title": title,
            "encrypted_index": "",
            "cited_text": "",
        }))
    };
    all.iter().filter_map(source).collect()
}

/// Sources are what the first text rests on, unless its citations are told one by one.
fn cite_sources(parts: &mut [Part], sources: Vec<Value>) {
    let mut cited = parts.iter_mut().filter_map(|part| match part {
        Part::Text { citations, .. } => Some(citations),
        _ => None,
    });
    match cited.next() {
        Some(citations) if citations.is_empty() => *citations = sources,
        _ => {}
    }
}

/// A citation in Anthropic's form. The place in our text is kept beside it.
pub(super) fn citation(annotation: &Value, text: &str) -> Option<Value> {
    if annotation.get("type")? != "url_citation" {
        return None;
    }
    let inner = annotation.get("url_citation").unwrap_or(annotation);
    let at = |key: &str| inner.get(key).and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok());
    let (start, end) = (at("start_index"), at("end_index"));
    let cited: String = match (start, end) {
        (Some(start), Some(end)) => text.chars().skip(start).take(end.saturating_sub(start)).collect(),
        _ => String::new(),
    };
    let mut citation = json!({
        "type": "web_search_result_location",
        "url": inner.get("url")?,
        "title": inner.get("title"),
        "encrypted_index": "",
        "cited_text": cited,
    });
    if let (Some(start), Some(end), Some(object)) = (start, end, citation.as_object_mut()) {
        object.insert("start_index".into(), start.into());
        object.insert("end_index".into(), end.into());
    }
    Some(citation)
}
