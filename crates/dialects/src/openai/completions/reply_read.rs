//! An upstream's whole answer.

use std::borrow::Cow;

use gatewright_core::Result;
use gatewright_core::chat::{Answer, Choice, Extra, Finish, Part};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::logprobs;
use crate::openai::{fault, finish, relay, usage};

/// An answer, or one event of its stream.
#[derive(Deserialize)]
pub(super) struct Wire<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) model: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) created: Option<u64>,
    #[serde(borrow)]
    pub(super) choices: Option<Vec<WireChoice<'a>>>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// One choice of it.
#[derive(Deserialize)]
pub(super) struct WireChoice<'a> {
    pub(super) index: Option<u32>,
    #[serde(borrow)]
    pub(super) text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) finish_reason: Option<Cow<'a, str>>,
    pub(super) logprobs: Option<Value>,
}

/// Reads an answer. An error that came with a good status is an `Err`.
pub(super) fn read(body: &[u8]) -> Result<Answer> {
    let wire = Wire::read(body)?;
    let Some(choices) = wire.choices else { return Err(relay::without_choices(body)) };
    let text = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned).unwrap_or_default();
    Ok(Answer {
        id: text(wire.id),
        model: text(wire.model),
        created: wire.created.unwrap_or_default(),
        choices: choices.into_iter().zip(0..).map(|(choice, at)| choice.read(at)).collect(),
        usage: wire.usage.and_then(|raw| usage::read(raw.get().as_bytes())),
        service_tier: None,
        extra: Extra::new(),
    })
}

// === impl Wire ===

impl<'a> Wire<'a> {
    /// Reads one. An error in it is an `Err`.
    pub(super) fn read(body: &'a [u8]) -> Result<Self> {
        let wire: Self =
            serde_json::from_slice(body).map_err(|err| relay::unreadable().with_detail(err.to_string()))?;
        match wire.error {
            Some(error) if !matches!(error.get(), "null" | "{}" | "\"\"") => Err(fault::inside(body)),
            _ => Ok(wire),
        }
    }
}

// === impl WireChoice ===

impl WireChoice<'_> {
    fn read(self, at: u32) -> Choice {
        let text = self.text.filter(|text| !text.is_empty()).map(Cow::into_owned);
        Choice {
            index: self.index.unwrap_or(at),
            parts: text.map(Part::text).into_iter().collect(),
            finish: self.finish_reason.map_or(Finish::Stop, |word| finish::read(&word)),
            stop_sequence: None,
            logprobs: self.logprobs.as_ref().and_then(logprobs::to_chat),
            extra: Extra::new(),
        }
    }
}
