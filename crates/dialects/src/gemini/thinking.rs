//! How a request asks for thinking: newer models by a level, those of version 2.5 by a budget.

use gatewright_core::chat::{Chat, Effort, Reasoning};
use gatewright_core::{Losses, ModelFacts, ReasoningControl};
use serde::Serialize;

/// `generationConfig.thinkingConfig`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Thinking {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    include_thoughts: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<i64>,
}

/// The budget that leaves it to the model.
const AS_IT_LIKES: i64 = -1;

// === impl Thinking ===

impl Thinking {
    /// What is asked of the model; tells what of the client's wish is lost.
    pub(super) fn new(chat: &Chat, model: &ModelFacts, losses: &mut Losses) -> Option<Self> {
        let wish = chat.reasoning.as_ref()?;
        let off = wish.off || wish.effort == Some(Effort::None);
        if !thinks(model) {
            let field = if wish.effort.is_some() { "reasoning_effort" } else { "thinking" };
            losses.add_if(!off, field);
            return None;
        }
        let include_thoughts = !off && wish.display.as_deref() != Some("omitted");
        Some(match has_levels(model) {
            true => Self {
                include_thoughts,
                thinking_level: level(wish, off, &model.name),
                thinking_budget: None,
            },
            false => {
                let budget = budget(wish, off, &model.name, losses);
                Self { include_thoughts, thinking_level: None, thinking_budget: budget }
            }
        })
    }
}

/// Whether the model thinks at all, as far as is known.
pub(super) fn thinks(model: &ModelFacts) -> bool {
    model.reasoning != ReasoningControl::None
}

/// Whether thinking is asked for by a level: since version 3.
pub(super) fn has_levels(model: &ModelFacts) -> bool {
    model.reasoning == ReasoningControl::Effort || version(&model.name).is_some_and(|version| version >= 3)
}

/// The model's version before its point: 3 for `gemini-3.1-pro`.
pub(super) fn version(name: &str) -> Option<u32> {
    let (_, rest) = name.split_once("gemini-")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn level(wish: &Reasoning, off: bool, name: &str) -> Option<&'static str> {
    let is_pro = name.contains("-pro");
    // No model of these can be told not to think; the larger ones think at least a little.
    let least = if is_pro { "low" } else { "minimal" };
    if off {
        return Some(least);
    }
    match (wish.effort, wish.budget) {
        (Some(Effort::None | Effort::Minimal), _) => Some(least),
        (Some(Effort::Low), _) => Some("low"),
        // The first larger one of version 3 knows two levels only.
        (Some(Effort::Medium), _) if name.contains("gemini-3-pro") => Some("high"),
        (Some(Effort::Medium), _) => Some("medium"),
        (Some(Effort::High | Effort::XHigh | Effort::Max), _) => Some("high"),
        (None, Some(budget)) => Some(match budget {
            ..=2048 => "low",
            _ => "high",
        }),
        (None, None) => None,
    }
}

fn budget(wish: &Reasoning, off: bool, name: &str, losses: &mut Losses) -> Option<i64> {
    // The ranges of <https://ai.google.dev/gemini-api/docs/thinking#set-budget>; only the largest cannot be told not to think.
    let (off_budget, least, most) = match name {
        _ if name.contains("-pro") => (128, 128, 32_768),
        _ if name.contains("flash-lite") => (0, 512, 24_576),
        _ => (0, 1, 24_576),
    };
    if off {
        return Some(off_budget);
    }
    let wanted = match (wish.effort, wish.budget) {
        (_, Some(budget)) => i64::try_from(budget).unwrap_or(i64::MAX),
        (Some(effort), None) => tokens(effort),
        (None, None) => return Some(AS_IT_LIKES),
    };
    let fits = wanted.clamp(least, most);
    losses.add_if(wish.budget.is_some() && fits != wanted, "thinking.budget_tokens");
    Some(fits)
}

/// LiteLLM's budgets.
fn tokens(effort: Effort) -> i64 {
    match effort {
        Effort::None | Effort::Minimal => 128,
        Effort::Low => 1024,
        Effort::Medium => 2048,
        Effort::High => 4096,
        Effort::XHigh => 8192,
        Effort::Max => 16_384,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &str, reasoning: Reasoning) -> (Option<Thinking>, usize) {
        let chat = Chat { reasoning: Some(reasoning), ..Chat::default() };
        let model =
            ModelFacts { name: name.into(), reasoning: ReasoningControl::Budget, ..ModelFacts::default() };
        let mut losses = Losses::default();
        let thinking = Thinking::new(&chat, &model, &mut losses);
        (thinking, losses.into_fields().len())
    }

    #[test]
    fn each_version_is_asked_in_its_way() {
        let effort = |effort| Reasoning { effort: Some(effort), ..Reasoning::default() };
        let budget = |budget| Reasoning { budget: Some(budget), ..Reasoning::default() };
        let adaptive = || Reasoning { adaptive: true, ..Reasoning::default() };
        let off = || Reasoning { off: true, ..Reasoning::default() };
        for (name, wish, shown, level, tokens, lost) in [
            ("gemini-2.5-flash", effort(Effort::Low), true, None, Some(1024), 0),
            ("gemini-2.5-flash", effort(Effort::None), false, None, Some(0), 0),
            ("gemini-2.5-pro", off(), false, None, Some(128), 0),
            ("gemini-2.5-flash-lite", effort(Effort::Minimal), true, None, Some(512), 0),
            ("gemini-2.5-flash", adaptive(), true, None, Some(-1), 0),
            ("gemini-2.5-pro", budget(50_000), true, None, Some(32_768), 1),
            ("gemini-3-flash-preview", effort(Effort::Minimal), true, Some("minimal"), None, 0),
            ("gemini-3.1-pro-preview", effort(Effort::Medium), true, Some("medium"), None, 0),
            ("gemini-3-pro-preview", effort(Effort::Medium), true, Some("high"), None, 0),
            ("gemini-3.5-flash", off(), false, Some("minimal"), None, 0),
            ("gemini-3.5-flash", budget(1024), true, Some("low"), None, 0),
            ("gemini-3.5-flash", adaptive(), true, None, None, 0),
        ] {
            let want = Thinking { include_thoughts: shown, thinking_level: level, thinking_budget: tokens };
            assert_eq!(asked(name, wish.clone()), (Some(want), lost), "{name} {wish:?}");
        }
    }

    #[test]
    fn a_model_that_does_not_think_is_not_asked_to() {
        let wish = Reasoning { effort: Some(Effort::Low), ..Reasoning::default() };
        let chat = Chat { reasoning: Some(wish), ..Chat::default() };
        let mut losses = Losses::default();
        assert_eq!(Thinking::new(&chat, &ModelFacts::default(), &mut losses), None);
        assert_eq!(losses.into_fields(), ["reasoning_effort"]);
    }
}
