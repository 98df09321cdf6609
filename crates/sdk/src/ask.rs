//! What is asked of a model.

use gatewright_core::chat::{
    Chat, Effort, Extra, Media, MediaKind, MediaSource, Output, Part, Reasoning, Role, Tool, ToolChoice,
    ToolResult, Turn,
};
use serde_json::Value;

use crate::Answered;

/// A conversation and how it shall go on. `&str` and `String` are one turn of the user's.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    chat: Chat,
}

impl Ask {
    /// Nothing asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Instructions of the application.
    #[must_use]
    pub fn system(self, text: impl Into<String>) -> Self {
        self.turn(Role::System, Part::text(text))
    }

    /// What the user says.
    #[must_use]
    pub fn user(self, text: impl Into<String>) -> Self {
        self.turn(Role::User, Part::text(text))
    }

    /// What the model said before.
    #[must_use]
    pub fn assistant(self, text: impl Into<String>) -> Self {
        self.turn(Role::Assistant, Part::text(text))
    }

    /// A picture of the user's, by its address.
    #[must_use]
    pub fn image(self, url: impl Into<String>) -> Self {
        let source = MediaSource::Url(url.into());
        let media = Media { kind: MediaKind::Image, source, name: None, cache: None, extra: Extra::new() };
        self.turn(Role::User, Part::Media(media))
    }

    /// The answer as the model's turn: what follows goes on from there, its reasoning and tool calls included.
    #[must_use]
    pub fn then(mut self, answer: &Answered) -> Self {
        self.chat.turns.push(Turn::new(Role::Assistant, answer.parts().to_vec()));
        self
    }

    /// What a tool answered to the call of this id.
    #[must_use]
    pub fn tool_result(self, id: impl Into<String>, text: impl Into<String>) -> Self {
        let parts = vec![Part::text(text)];
        let result = ToolResult { id: id.into(), parts, is_error: false, cache: None };
        self.turn(Role::User, Part::ToolResult(result))
    }

    /// A function that the model may ask for, with the JSON schema of its arguments.
    #[must_use]
    pub fn tool(
        mut self,
        name: impl Into<String>,
        description: impl Into<String>,
        parameters: Value,
    ) -> Self {
        self.chat.tools.push(Tool::Function {
            name: name.into(),
            description: Some(description.into()),
            parameters: Some(parameters),
            strict: None,
            cache: None,
            extra: Extra::new(),
        });
        self
    }

    /// Whether and which tool it must ask for.
    #[must_use]
    pub fn tool_choice(mut self, choice: ToolChoice) -> Self {
        self.chat.tool_choice = Some(choice);
        self
    }

    /// The answer shall be JSON after this schema.
    #[must_use]
    pub fn json_schema(mut self, name: impl Into<String>, schema: Value) -> Self {
        let name = name.into();
        self.chat.output = Output::JsonSchema { name, description: None, schema, strict: Some(true) };
        self
    }

    /// The most tokens that it may write.
    #[must_use]
    pub fn max_tokens(mut self, most: u64) -> Self {
        self.chat.max_output = Some(most);
        self
    }

    /// How random its words are.
    #[must_use]
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.chat.sampling.temperature = Some(temperature);
        self
    }

    /// How much it shall think.
    #[must_use]
    pub fn effort(mut self, effort: Effort) -> Self {
        self.chat.reasoning = Some(Reasoning { effort: Some(effort), ..Reasoning::default() });
        self
    }

    pub(crate) fn into_chat(self, stream: bool) -> Chat {
        Chat { stream, ..self.chat }
    }

    /// Parts of one speaker that follow each other are one turn.
    fn turn(mut self, role: Role, part: Part) -> Self {
        match self.chat.turns.last_mut() {
            Some(last) if last.role == role => last.parts.push(part),
            _ => self.chat.turns.push(Turn::new(role, vec![part])),
        }
        self
    }
}

impl From<&str> for Ask {
    fn from(text: &str) -> Self {
        Self::new().user(text)
    }
}

impl From<String> for Ask {
    fn from(text: String) -> Self {
        Self::new().user(text)
    }
}

impl From<Chat> for Ask {
    fn from(chat: Chat) -> Self {
        Self { chat }
    }
}
