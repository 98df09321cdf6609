//! How a request asks for thinking, after the model's ways and within its limits.

use gatewright_core::chat::{Chat, Effort, Part, Reasoning, Role, ToolChoice};
use gatewright_core::{Losses, ModelFacts, ReasoningControl};
use serde::Serialize;
use serde_json::Value;

/// `max_tokens` where neither the client nor the catalogue says any.
const DEFAULT_OUTPUT: u64 = 4096;

/// The API refuses smaller budgets.
const SMALLEST_BUDGET: u64 = 1024;

/// What goes into the request.
pub(crate) struct Plan<'a> {
    /// `thinking`.
    pub(crate) thinking: Option<Thinking<'a>>,
    /// `output_config.effort`.
    pub(crate) effort: Option<&'static str>,
    /// `max_tokens`, which the API demands.
    pub(crate) max_tokens: u64,
}

/// `thinking` on the wire.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Thinking<'a> {
    Enabled {
        budget_tokens: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        display: Option<&'a str>,
    },
    Adaptive {
        #[serde(skip_serializing_if = "Option::is_none")]
        display: Option<&'a str>,
    },
    Disabled,
    #[serde(untagged)]
    Own(&'a Value),
}

// === impl Plan ===

impl<'a> Plan<'a> {
    /// Decides, and tells what of the client's wish is lost.
    pub(crate) fn new(chat: &'a Chat, model: &ModelFacts, losses: &mut Losses) -> Self {
        let max_tokens = chat.max_output.or(model.max_output).unwrap_or(DEFAULT_OUTPUT);
        let mut plan = Self { thinking: None, effort: None, max_tokens };
        if let Some(own) = chat.extra.get("thinking").filter(|own| own.is_object()) {
            plan.thinking = Some(Thinking::Own(own));
        }
        let Some(wish) = &chat.reasoning else { return plan };
        plan.effort = effort_word(wish, model.reasoning);
        if plan.thinking.is_none() {
            plan.thinking = plan.fitting(chat, wish, model, losses);
        }
        plan
    }

    /// Whether the model will think.
    pub(crate) fn is_on(&self) -> bool {
        match &self.thinking {
            None | Some(Thinking::Disabled) => false,
            Some(Thinking::Enabled { .. } | Thinking::Adaptive { .. }) => true,
            Some(Thinking::Own(own)) => own.get("type").is_none_or(|kind| kind != "disabled"),
        }
    }

    fn fitting(
        &mut self,
        chat: &Chat,
        wish: &'a Reasoning,
        model: &ModelFacts,
        losses: &mut Losses,
    ) -> Option<Thinking<'a>> {
        let control = model.reasoning;
        if wish.off || wish.effort == Some(Effort::None) {
            let can_think = matches!(control, ReasoningControl::Budget | ReasoningControl::Adaptive);
            return can_think.then_some(Thinking::Disabled);
        }
        let lost = match control {
            ReasoningControl::None => true,
            ReasoningControl::Effort => self.effort.is_none(),
            // The API refuses a forced tool while thinking, and the tool is what the client cannot do without.
            ReasoningControl::Budget => forces_a_tool(chat) || breaks_a_tool_turn(chat),
            ReasoningControl::Adaptive => forces_a_tool(chat),
        };
        if lost {
            losses.add(field_of(wish));
            return None;
        }
        let display = wish.display.as_deref();
        match control {
            ReasoningControl::Adaptive => Some(Thinking::Adaptive { display }),
            ReasoningControl::Budget => match self.budget(chat, wish, model, losses) {
                Some(budget_tokens) => Some(Thinking::Enabled { budget_tokens, display }),
                None => {
                    losses.add(field_of(wish));
                    None
                }
            },
            ReasoningControl::Effort | ReasoningControl::None => None,
        }
    }

    /// A budget below `max_tokens`. The client's own `max_tokens` is never raised: it is what a call may cost.
    fn budget(
        &mut self,
        chat: &Chat,
        wish: &Reasoning,
        model: &ModelFacts,
        losses: &mut Losses,
    ) -> Option<u64> {
        let wanted = wish.budget.unwrap_or_else(|| budget_of(wish.effort)).max(SMALLEST_BUDGET);
        if wanted < self.max_tokens {
            return Some(wanted);
        }
        if chat.max_output.is_none() && model.max_output.is_none() {
            self.max_tokens = wanted.saturating_add(DEFAULT_OUTPUT);
            return Some(wanted);
        }
        // At least half is left for the answer, where the smallest budget allows that.
        let fitting = (self.max_tokens / 2).max(SMALLEST_BUDGET);
        losses.add_if(wish.budget.is_some(), "thinking.budget_tokens");
        (fitting < self.max_tokens).then_some(fitting)
    }
}

/// LiteLLM's budgets, raised to the smallest that the API takes.
fn budget_of(effort: Option<Effort>) -> u64 {
    match effort {
        Some(Effort::None | Effort::Minimal | Effort::Low) => SMALLEST_BUDGET,
        Some(Effort::Medium) => 2048,
        Some(Effort::High) | None => 4096,
        Some(Effort::XHigh) => 8192,
        Some(Effort::Max) => 16_384,
    }
}

fn effort_word(wish: &Reasoning, control: ReasoningControl) -> Option<&'static str> {
    if !matches!(control, ReasoningControl::Adaptive | ReasoningControl::Effort) {
        return None;
    }
    match (wish.effort, wish.budget) {
        (Some(Effort::None), _) => None,
        // There is no smaller word than `low`.
        (Some(Effort::Minimal), _) => Some(Effort::Low.as_str()),
        (Some(effort), _) => Some(effort.as_str()),
        (None, Some(budget)) => Some(match budget {
            ..2048 => Effort::Low.as_str(),
            2048..8192 => Effort::Medium.as_str(),
            _ => Effort::High.as_str(),
        }),
        (None, None) => None,
    }
}

fn forces_a_tool(chat: &Chat) -> bool {
    let forced = matches!(
        chat.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Function(_) | ToolChoice::Allowed { required: true, .. })
    );
    forced && !chat.tools.is_empty()
}

/// With a budget, a turn that waits for tool results must have begun with thinking; clients of other dialects do not
/// send it back.
fn breaks_a_tool_turn(chat: &Chat) -> bool {
    let mut back = chat.turns.iter().rev();
    let waits = back.clone().next().is_some_and(|turn| {
        turn.role == Role::User && turn.parts.iter().any(|part| matches!(part, Part::ToolResult(_)))
    });
    let calls = |part: &Part| matches!(part, Part::ToolCall(_));
    let turn = back.find(|turn| turn.role == Role::Assistant && turn.parts.iter().any(calls));
    let thought = |part: &Part| {
        matches!(part, Part::Reasoning { signature: Some(_), .. } | Part::RedactedReasoning { .. })
    };
    waits && turn.is_some_and(|turn| !turn.parts.iter().any(thought))
}

fn field_of(wish: &Reasoning) -> &'static str {
    match wish.effort {
        Some(_) => "reasoning_effort",
        None => "thinking",
    }
}
