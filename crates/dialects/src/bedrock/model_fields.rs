//! `additionalModelRequestFields`: what a model's maker knows and Converse has no word for. Each maker has its own.

use gatewright_core::chat::{Chat, Effort, ToolChoice};
use gatewright_core::{Losses, ModelFacts, ReasoningControl};
use serde_json::{Map, Value, json};

use crate::anthropic::sampling;
use crate::anthropic::thinking;

/// Whose fields they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// Anthropic's, which also stands for a model whose name does not tell: profiles and imported models have such.
    Claude,
    /// Amazon's Nova of the first generation.
    Nova,
    /// Amazon's Nova of the second, which thinks.
    Nova2,
    /// OpenAI's open models.
    OpenAi,
    /// Another.
    Other,
}

/// What goes into the request for one model.
pub(super) struct Plan {
    /// The fields.
    pub(super) fields: Map<String, Value>,
    /// `outputConfig.effort`.
    pub(super) effort: Option<&'static str>,
    /// Whether the model will think.
    pub(super) thinks: bool,
}

/// How names of makers begin in a model's name.
const OTHERS: [&str; 14] = [
    "ai21.",
    "amazon.",
    "cohere.",
    "deepseek.",
    "google.",
    "meta.",
    "minimax.",
    "mistral.",
    "moonshot",
    "nvidia.",
    "qwen.",
    "twelvelabs.",
    "writer.",
    "zai.",
];

// === impl Maker ===

impl Maker {
    /// Reads it out of the model's name, whatever region or profile stands before it.
    pub(super) fn of(model: &ModelFacts) -> Self {
        let name = &*model.name;
        match name {
            _ if name.contains("anthropic.") || name.contains("claude") => Self::Claude,
            _ if name.contains("nova-2") => Self::Nova2,
            _ if name.contains("amazon.nova") => Self::Nova,
            _ if name.contains("openai.") => Self::OpenAi,
            _ if OTHERS.iter().any(|maker| name.contains(maker)) => Self::Other,
            _ => Self::Claude,
        }
    }

    /// Whether its models know a prompt cache; those of others refuse the mark.
    pub(super) fn caches(self) -> bool {
        matches!(self, Self::Claude | Self::Nova | Self::Nova2)
    }
}

// === impl Plan ===

impl Plan {
    /// Decides, and tells what of the client's wish is lost.
    pub(super) fn new(chat: &Chat, model: &ModelFacts, maker: Maker, losses: &mut Losses) -> Self {
        let own = chat.extra.get("additionalModelRequestFields").and_then(Value::as_object);
        let fields = own.cloned().unwrap_or_default();
        let mut plan = Self { fields, effort: None, thinks: false };
        match maker {
            Maker::Claude => plan.claude(chat, model, losses),
            Maker::Nova2 => plan.nova_2(chat, losses),
            Maker::OpenAi => plan.openai(chat, losses),
            Maker::Nova | Maker::Other => {
                losses.add_if(wants_thinking(chat), "reasoning_effort");
                losses.add_if(has_thinking(chat), "thinking");
            }
        }
        plan.candidates(chat, maker, losses);
        plan.one_tool_at_a_time(chat, maker, losses);
        plan
    }

    fn claude(&mut self, chat: &Chat, model: &ModelFacts, losses: &mut Losses) {
        let thinking = thinking::Plan::new(chat, model, losses);
        self.thinks = thinking.is_on();
        self.effort = thinking.effort.filter(|_| model.reasoning == ReasoningControl::Adaptive);
        if let Some(value) = thinking.thinking.and_then(|thinking| serde_json::to_value(thinking).ok()) {
            self.fields.insert("thinking".to_owned(), value);
        }
    }

    /// <https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html>: three words, or off.
    fn nova_2(&mut self, chat: &Chat, losses: &mut Losses) {
        losses.add_if(has_thinking(chat), "thinking");
        let Some(wish) = &chat.reasoning else { return };
        let config = match word(wish.effort, wish.budget) {
            _ if wish.off => json!({ "type": "disabled" }),
            Some(word) => json!({ "type": "enabled", "maxReasoningEffort": word }),
            None if wish.effort == Some(Effort::None) => json!({ "type": "disabled" }),
            None => json!({ "type": "enabled", "maxReasoningEffort": "medium" }),
        };
        self.thinks = config.get("type").is_some_and(|kind| kind == "enabled");
        self.fields.insert("reasoningConfig".to_owned(), config);
    }

    /// <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-openai.html>: three words, and never off.
    fn openai(&mut self, chat: &Chat, losses: &mut Losses) {
        losses.add_if(has_thinking(chat), "thinking");
        let Some(wish) = &chat.reasoning else { return };
        match word(wish.effort, wish.budget) {
            Some(word) => drop(self.fields.insert("reasoning_effort".to_owned(), word.into())),
            None => losses.add("reasoning_effort"),
        }
    }

    fn candidates(&mut self, chat: &Chat, maker: Maker, losses: &mut Losses) {
        let Some(top_k) = sampling::top_k(chat, self.thinks && maker == Maker::Claude, losses) else {
            return;
        };
        match maker {
            Maker::Claude => drop(self.fields.insert("top_k".to_owned(), top_k.into())),
            Maker::Nova | Maker::Nova2 => {
                self.fields.insert("inferenceConfig".to_owned(), json!({ "topK": top_k }));
            }
            Maker::OpenAi | Maker::Other => losses.add("top_k"),
        }
    }

    /// Claude takes the wish in its own `tool_choice`, which must not contradict Converse's: so only where none is forced.
    fn one_tool_at_a_time(&mut self, chat: &Chat, maker: Maker, losses: &mut Losses) {
        if chat.parallel_tool_calls != Some(false) || chat.tools.is_empty() {
            return;
        }
        let free = matches!(
            chat.tool_choice,
            None | Some(ToolChoice::Auto | ToolChoice::Allowed { required: false, .. })
        );
        match maker {
            Maker::Claude if free => {
                let choice = json!({ "type": "auto", "disable_parallel_tool_use": true });
                self.fields.insert("tool_choice".to_owned(), choice);
            }
            _ => losses.add("parallel_tool_calls"),
        }
    }
}

/// Three words are known everywhere; none for not at all.
fn word(effort: Option<Effort>, budget: Option<u64>) -> Option<&'static str> {
    match (effort, budget) {
        (Some(Effort::None), _) => None,
        (Some(Effort::Minimal | Effort::Low), _) => Some("low"),
        (Some(Effort::Medium), _) => Some("medium"),
        (Some(Effort::High | Effort::XHigh | Effort::Max), _) => Some("high"),
        (None, Some(..2048)) => Some("low"),
        (None, Some(2048..8192)) => Some("medium"),
        (None, Some(_)) => Some("high"),
        (None, None) => None,
    }
}

fn wants_thinking(chat: &Chat) -> bool {
    chat.reasoning.as_ref().is_some_and(|wish| !wish.off && wish.effort != Some(Effort::None))
}

fn has_thinking(chat: &Chat) -> bool {
    chat.extra.get("thinking").is_some_and(Value::is_object)
}
