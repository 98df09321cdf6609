//! A whole answer, or one event of a stream, for a client: both have the same form.

use std::borrow::Cow;

use bytes::Bytes;
use gatewright_core::ReplyStyle;
use gatewright_core::chat::{Answer, Choice, Part};
use serde::Serialize;
use serde_json::{Value, json};

use super::part_out::PartOut;
use super::turns::{Content, MODEL, is_own};
use super::usage::UsageOut;
use super::{logprobs, words};
use crate::json::json as written;
use crate::signature;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) candidates: Vec<Candidate<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage_metadata: Option<UsageOut<'a>>,
    pub(super) model_version: &'a str,
    pub(super) response_id: Cow<'a, str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    pub(super) content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finish_reason: Option<&'static str>,
    pub(super) index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs_result: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) grounding_metadata: Option<Value>,
}

/// Writes the answer.
pub(super) fn reply(answer: &Answer, style: &ReplyStyle) -> Bytes {
    let usage = answer.usage.unwrap_or_default();
    written(&Response {
        candidates: answer.choices.iter().map(candidate).collect(),
        usage_metadata: Some(UsageOut::new(&usage, answer.service_tier.as_deref())),
        model_version: &style.model,
        response_id: response_id(&answer.id, style),
    })
}

/// The answer's name, ours where its provider gives none.
pub(super) fn response_id<'a>(id: &'a str, style: &ReplyStyle) -> Cow<'a, str> {
    if id.is_empty() { Cow::Owned(style.attempt.to_string()) } else { Cow::Borrowed(id) }
}

fn candidate(choice: &Choice) -> Candidate<'_> {
    let cited = choice.parts.iter().filter_map(|part| match part {
        Part::Text { citations, .. } => Some(citations),
        _ => None,
    });
    Candidate {
        content: Content { role: MODEL, parts: parts(&choice.parts) },
        finish_reason: Some(words::finish_reason(choice.finish)),
        index: choice.index,
        logprobs_result: choice.logprobs.as_ref().and_then(logprobs::written),
        grounding_metadata: grounding(cited.flatten()),
    }
}

fn parts(parts: &[Part]) -> Vec<PartOut<'_>> {
    let mut out = Vec::with_capacity(parts.len());
    // The signature that the next call carries.
    let mut pending = None;
    for (at, part) in parts.iter().enumerate() {
        match part {
            Part::Text { text, .. } | Part::Refusal(text) if !text.is_empty() => {
                out.push(PartOut::text(text.as_str()))
            }
            Part::Reasoning { text, signature } => {
                let signature = signature.as_deref().map(signature::for_gemini_client);
                let before_call = matches!(parts.get(at + 1), Some(Part::ToolCall(_)));
                match (text.is_empty(), signature) {
                    (true, Some(signature)) if before_call => pending = Some(signature),
                    (true, Some(signature)) => out.push(PartOut::signature(signature)),
                    (true, None) => {}
                    (false, signature) => out.push(PartOut::thought(text, signature.map(Into::into))),
                }
            }
            Part::ToolCall(call) => out.push(PartOut::call(call, pending.take().map(Into::into))),
            Part::Media(media) => out.push(PartOut::media(media)),
            Part::Other(value) if is_own(value) => out.push(PartOut::Own(value)),
            Part::Text { .. }
            | Part::Refusal(_)
            | Part::RedactedReasoning { .. }
            | Part::ToolResult(_)
            | Part::Other(_) => {}
        }
    }
    out
}

/// Citations as `groundingMetadata`, which has no place for those into documents.
pub(super) fn grounding<'a>(citations: impl Iterator<Item = &'a Value>) -> Option<Value> {
    let page = |citation: &Value| {
        let uri = citation.get("url")?;
        let title = citation.get("title").filter(|title| title.is_string());
        Some(json!({"web": {"uri": uri, "title": title.cloned().unwrap_or_else(|| "".into())}}))
    };
    let chunks: Vec<Value> = citations.filter_map(page).collect();
    (!chunks.is_empty()).then(|| json!({"groundingChunks": chunks}))
}
