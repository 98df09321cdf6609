//! An upstream's whole answer into the canonical one.

use gatewright_core::Result;
use gatewright_core::chat::{Answer, Choice, Extra, Finish, Media, MediaKind, MediaSource, Part, ToolCall};
use serde_json::{Value, json};

use super::piece::{self, Kind};
use super::wire::{Candidate, Response, malformed, read, unreadable};
use super::{call_id, error, grounding, logprobs, words};
use crate::signature;

/// Reads the answer.
pub(super) fn reply(body: &[u8]) -> Result<Answer> {
    let response: Response<'_> = read(body)?;
    if response.error.is_some() {
        return Err(error::from_body(body));
    }
    let blocked = response.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some());
    if response.candidates.is_empty() && !blocked && response.usage_metadata.is_none() {
        return Err(unreadable("no candidates"));
    }
    let model = response.model_version.unwrap_or_default().into_owned();
    let mut answer =
        Answer { id: response.response_id.unwrap_or_default().into_owned(), model, ..Answer::default() };
    let mut searches = 0;
    for candidate in response.candidates {
        if let Some(metadata) = &candidate.grounding_metadata {
            searches = grounding::searches(metadata, &answer.model);
        }
        answer.choices.push(choice(candidate, &answer.id, &mut answer.extra)?);
    }
    if answer.choices.is_empty() {
        answer.choices.push(nothing(if blocked { Finish::ContentFilter } else { Finish::Stop }));
    }
    if let Some(usage) = response.usage_metadata {
        answer.usage = usage.usage(searches);
        answer.service_tier = usage.service_tier.map(|tier| words::tier_in(&tier).to_owned());
    }
    Ok(answer)
}

fn nothing(finish: Finish) -> Choice {
    Choice { index: 0, parts: Vec::new(), finish, stop_sequence: None, logprobs: None, extra: Extra::new() }
}

fn choice(candidate: Candidate<'_>, answer: &str, of_answer: &mut Extra) -> Result<Choice> {
    let mut choice = Choice { index: candidate.index, ..nothing(Finish::Stop) };
    for raw in candidate.content.unwrap_or_default().parts {
        let (kind, signature) = piece::read(raw).map_err(|err| malformed(&err))?;
        let signature = signature.as_deref().map(signature::of_gemini);
        add(kind, signature, answer, &mut choice);
    }
    let called = choice.parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
    if let Some(word) = candidate.finish_reason.as_ref().and_then(words::finish_word) {
        choice.finish = words::finish(word, called);
    } else if called {
        choice.finish = Finish::ToolCalls;
    }
    choice.logprobs = candidate.logprobs_result.as_ref().and_then(logprobs::read);
    if let Some(metadata) =
        candidate.grounding_metadata.filter(|m| m.as_object().is_some_and(|m| !m.is_empty()))
    {
        cite(&metadata, &mut choice.parts);
        // Where LiteLLM's clients look for it.
        let all = of_answer.entry("vertex_ai_grounding_metadata").or_insert_with(|| json!([]));
        if let Value::Array(all) = all {
            all.push(metadata);
        }
    }
    Ok(choice)
}

fn add(kind: Kind<'_>, signature: Option<String>, answer: &str, choice: &mut Choice) {
    let number = choice.index;
    let parts = &mut choice.parts;
    let alone = |signature| Part::Reasoning { text: String::new(), signature: Some(signature) };
    match kind {
        Kind::Thought(text) => match (parts.last_mut(), signature) {
            (Some(Part::Reasoning { text: said, signature: mine @ None }), signature) => {
                said.push_str(&text);
                *mine = signature;
            }
            (_, signature) => parts.push(Part::Reasoning { text: text.into_owned(), signature }),
        },
        Kind::Text(text) => {
            match parts.last_mut() {
                Some(Part::Text { text: said, .. }) => said.push_str(&text),
                _ if text.is_empty() => {}
                _ => parts.push(Part::text(text)),
            }
            parts.extend(signature.map(alone));
        }
        Kind::Call(call) => {
            parts.extend(signature.map(alone));
            let arguments = call.arguments();
            let place = parts.iter().filter(|part| matches!(part, Part::ToolCall(_))).count();
            let own = call.id.filter(|id| !id.is_empty());
            let id = own.map_or_else(|| call_id::of(answer, number, place), Into::into);
            let name = call.name.unwrap_or_default().into_owned();
            parts.push(Part::ToolCall(ToolCall { id, name, arguments, cache: None }));
        }
        Kind::Media(media) => {
            if let Some(image) = image(&media) {
                let images = choice.extra.entry("images").or_insert_with(|| json!([]));
                if let Value::Array(images) = images {
                    images.push(image);
                }
            }
            choice.parts.push(Part::Media(media));
        }
        Kind::Other(value) => parts.push(Part::Other(value)),
        Kind::Result(_) => {}
    }
}

/// A picture as LiteLLM's clients read it.
pub(super) fn image(media: &Media) -> Option<Value> {
    match (&media.kind, &media.source) {
        (MediaKind::Image, MediaSource::Base64 { media_type, data }) => {
            let url = format!("data:{media_type};base64,{data}");
            Some(json!({"type": "image_url", "image_url": {"url": url}}))
        }
        _ => None,
    }
}

/// The citations stand at the last text.
fn cite(metadata: &Value, parts: &mut [Part]) {
    let text = parts.iter_mut().rev().find_map(|part| match part {
        Part::Text { citations, .. } => Some(citations),
        _ => None,
    });
    if let Some(own) = text {
        *own = grounding::citations(metadata);
    }
}
