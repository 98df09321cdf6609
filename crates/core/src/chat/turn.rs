//! Turns and their parts.

use serde_json::Value;

use super::Extra;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions of the application.
    System,
    /// Instructions of the application, in OpenAI's newer word; the same as `System` everywhere else.
    Developer,
    /// The user; also carries tool results.
    User,
    /// The model.
    Assistant,
}

/// One turn of the conversation. OpenAI's `tool` messages are user turns with a [`Part::ToolResult`].
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
    /// The speaker's name, where one is given.
    pub name: Option<String>,
    /// Fields that only one dialect knows.
    pub extra: Extra,
}

/// One piece of a turn or of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text, with citations where the provider gives them (in Anthropic's form).
    Text {
        /// The text.
        text: String,
        /// Citations as Anthropic writes them; OpenAI's `url_citation` annotations are converted.
        citations: Vec<Value>,
        /// A prompt-cache mark.
        cache: Option<CacheMark>,
    },
    /// An image, document, audio clip or video.
    Media(Media),
    /// The model asks for a tool.
    ToolCall(ToolCall),
    /// What the tool answered.
    ToolResult(ToolResult),
    /// The model's reasoning in clear, with the signature that lets the provider trust it when it comes back.
    Reasoning {
        /// The text; may be empty where the provider omits it.
        text: String,
        /// The provider's signature.
        signature: Option<String>,
    },
    /// Reasoning that the provider shows to nobody.
    RedactedReasoning {
        /// Opaque to everybody but the provider.
        data: String,
    },
    /// The model declines, in words.
    Refusal(String),
    /// Something that only one dialect knows, as it stands there (a server tool's call or result).
    Other(Value),
}

/// An image, document, audio clip or video.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    /// Which of them.
    pub kind: MediaKind,
    /// Where its bytes are.
    pub source: MediaSource,
    /// A file name or title.
    pub name: Option<String>,
    /// A prompt-cache mark.
    pub cache: Option<CacheMark>,
    /// Fields that only one dialect knows (`detail`, `context`, `citations`).
    pub extra: Extra,
}

/// What kind of media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A PDF or another document.
    Document,
    /// A sound.
    Audio,
    /// A film.
    Video,
}

/// Where the bytes of media are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaSource {
    /// At an address that the provider fetches.
    Url(String),
    /// In the request.
    Base64 {
        /// `image/png`, `application/pdf`, `audio/wav`.
        media_type: String,
        /// The bytes in standard base64.
        data: String,
    },
    /// Plain text in the request, as a document.
    Text(String),
    /// A file that was uploaded to the provider before.
    File(String),
}

/// The model asks for a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// Names the call, so that its result can be told.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments as JSON text; may be invalid, as models are.
    pub arguments: String,
    /// A prompt-cache mark.
    pub cache: Option<CacheMark>,
}

/// What a tool answered.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// The call it answers.
    pub id: String,
    /// Text and media.
    pub parts: Vec<Part>,
    /// Whether the tool failed.
    pub is_error: bool,
    /// A prompt-cache mark.
    pub cache: Option<CacheMark>,
}

/// Everything up to here should go into the provider's prompt cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheMark {
    /// For five minutes, Anthropic's default.
    FiveMinutes,
    /// For one hour.
    OneHour,
}

impl Turn {
    /// A turn without name or extras.
    pub fn new(role: Role, parts: Vec<Part>) -> Self {
        Self { role, parts, name: None, extra: Extra::new() }
    }
}

impl Part {
    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), citations: Vec::new(), cache: None }
    }
}
