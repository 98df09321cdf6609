//! An upstream's whole answer.

use gatewright_core::chat::{Answer, Choice, Extra, Part};
use gatewright_core::{Result, Usage};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::items_read::{Item, item};
use super::outcome;
use crate::openai::{relay, usage};

/// An answer, as far as it is read.
#[derive(Deserialize)]
pub(super) struct Wire<'a> {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    /// Some servers write it as a fraction.
    created_at: Option<f64>,
    status: Option<String>,
    #[serde(borrow)]
    output: Option<Vec<&'a RawValue>>,
    incomplete_details: Option<Incomplete>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    service_tier: Option<String>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Incomplete {
    reason: Option<String>,
}

/// Reads an answer. One that failed is an `Err`.
pub(super) fn read(body: &[u8]) -> Result<Answer> {
    let wire: Wire<'_> = match serde_json::from_slice(body) {
        Ok(wire) => wire,
        Err(err) => return Err(relay::unreadable().with_detail(err.to_string())),
    };
    if wire.failed() {
        return Err(outcome::failure(&serde_json::from_slice(body).unwrap_or_default()));
    }
    let usage = wire.usage();
    let mut choice = Choice {
        index: 0,
        parts: Vec::new(),
        finish: Default::default(),
        stop_sequence: None,
        logprobs: None,
        extra: Extra::new(),
    };
    let (mut annotations, mut logprobs) = (Vec::new(), Vec::new());
    for raw in wire.output.iter().flatten() {
        match item(raw).map_err(|err| relay::unreadable().with_detail(err.to_string()))? {
            Item::Message(_, content) => {
                choice.parts.extend(content.parts);
                annotations.extend(content.annotations);
                logprobs.extend(content.logprobs);
            }
            Item::Model(part) => choice.parts.push(part),
            Item::Result(_) | Item::Nothing => {}
        }
    }
    choice.parts.retain(|part| !matches!(part, Part::Text { text, .. } if text.is_empty()));
    choice.finish = wire.finish(&choice.parts);
    choice.logprobs = (!logprobs.is_empty()).then(|| json!({"content": logprobs, "refusal": null}));
    if !annotations.is_empty() {
        choice.extra.insert("annotations".to_owned(), annotations.into());
    }
    let created = wire.created();
    Ok(Answer {
        id: wire.id,
        model: wire.model,
        created,
        choices: vec![choice],
        usage,
        service_tier: wire.service_tier,
        extra: Extra::new(),
    })
}

// === impl Wire ===

impl Wire<'_> {
    /// Whether it is no answer, but says why there is none.
    pub(super) fn failed(&self) -> bool {
        let ended_badly = matches!(self.status.as_deref(), Some("failed" | "cancelled"));
        ended_badly || self.error.is_some_and(|error| error.get() != "null")
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn model(&self) -> &str {
        &self.model
    }

    pub(super) fn service_tier(&self) -> Option<&str> {
        self.service_tier.as_deref()
    }

    /// Seconds, whole ones.
    pub(super) fn created(&self) -> u64 {
        // A fraction of a second and a time before 1970 are nothing to lose.
        self.created_at.map_or(0, |at| at as u64)
    }

    pub(super) fn finish(&self, parts: &[Part]) -> gatewright_core::chat::Finish {
        let reason = self.incomplete_details.as_ref().and_then(|details| details.reason.as_deref());
        outcome::finish(self.status.as_deref().unwrap_or("completed"), reason, parts)
    }

    /// What was used, searches of the web included, which are billed apart and counted nowhere.
    pub(super) fn usage(&self) -> Option<Usage> {
        let mut usage = usage::read(self.usage?.get().as_bytes())?;
        let searches = self.output.iter().flatten().filter(|item| is_search(item)).count();
        usage.web_searches = usage.web_searches.max(u64::try_from(searches).unwrap_or(u64::MAX));
        Some(usage)
    }
}

#[derive(Deserialize)]
struct Search {
    #[serde(rename = "type")]
    kind: String,
    action: Option<Action>,
}

#[derive(Deserialize)]
struct Action {
    #[serde(rename = "type")]
    kind: String,
}

/// Opening a page that was found costs nothing.
fn is_search(item: &RawValue) -> bool {
    serde_json::from_str::<Search>(item.get()).is_ok_and(|item| {
        item.kind == "web_search_call" && item.action.is_none_or(|action| action.kind == "search")
    })
}
