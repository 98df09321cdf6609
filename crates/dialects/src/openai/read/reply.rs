//! An upstream's whole answer.

use std::borrow::Cow;

use gatewright_core::Result;
use gatewright_core::chat::{Answer, Choice, Finish, Part};
use serde_json::{Map, Value, json};

use super::whole::{RawAnswer, RawChoice};
use super::{arguments, take_list, take_object, take_string, thought, tool};
use crate::openai::{fault, finish, relay, usage};

/// Reads an answer. An error that came with a good status is an `Err`.
pub(in crate::openai) fn read(body: &[u8]) -> Result<Answer> {
    let Some(answer) = RawAnswer::read(body) else { return Err(relay::unreadable()) };
    let top = answer.rest;
    let failed = |value: &Value| !value.is_null() && value != &json!({}) && value != "";
    if top.get("error").is_some_and(failed) || answer.object.is_some_and(|object| object == "error") {
        return Err(fault::inside(body));
    }
    let Some(choices) = answer.choices else { return Err(relay::without_choices(body)) };
    let sources = sources(top.get("search_results"), top.get("citations"));
    let mut choices: Vec<Choice> =
        choices.into_iter().zip(0..).map(|(choice, at)| read_choice(choice, at, &answer.id)).collect();
    if let Some(choice) = choices.first_mut() {
        cite_sources(&mut choice.parts, sources);
    }
    Ok(Answer {
        id: answer.id.into_owned(),
        model: answer.model.into_owned(),
        created: answer.created.unwrap_or_default(),
        choices,
        usage: answer.usage.and_then(usage::read),
        service_tier: answer.service_tier.map(Cow::into_owned),
        extra: top,
    })
}

fn read_choice(raw: RawChoice<'_>, at: u32, answer: &str) -> Choice {
    let RawChoice { content, message: mut extra, mut rest, .. } = raw;
    let index = raw.index.unwrap_or(at);
    let parts = read_parts(content, &mut extra, index, answer);
    let logprobs = rest.shift_remove("logprobs");
    rest.shift_remove("delta");
    extra.append(&mut rest);
    let finish = read_finish(&raw.finish_reason, &parts);
    let stop_sequence = raw.stop_reason.map(Cow::into_owned);
    Choice { index, finish, parts, stop_sequence, logprobs, extra }
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
pub(in crate::openai) fn call_id(answer: &str, choice: u32, n: u32) -> String {
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
pub(in crate::openai) fn citation(annotation: &Value, text: &str) -> Option<Value> {
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
