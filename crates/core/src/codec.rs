//! What a dialect must do, for clients and for upstreams.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

use crate::chat::{Answer, Chat, Event};
use crate::{
    AttemptId, EmbeddingCodec, Error, ErrorKind, Frame, ImageClient, ImageCodec, Json, Operation, ReplyFacts,
    RerankCodec, Result, Usage,
};

/// The wire grammars that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI Chat Completions.
    OpenAiChat,
    /// OpenAI Responses.
    OpenAiResponses,
    /// OpenAI Completions, the older form that continues a text.
    OpenAiCompletions,
    /// Anthropic Messages.
    AnthropicMessages,
    /// Google's `generateContent`.
    Gemini,
    /// Amazon Bedrock's Converse.
    BedrockConverse,
    /// Cohere's chat, version 2.
    CohereChat,
    /// Ollama's own chat.
    OllamaChat,
}

/// How a dialect's stream is cut into events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    #[default]
    Sse,
    /// None: bytes, as they come.
    Bytes,
    /// A JSON object a line.
    Ndjson,
    /// Amazon's binary event stream; an event's name is its `:event-type`, or its `:exception-type`.
    AwsEvents,
}

/// One dialect, as pure functions: bytes in, bytes out.
///
/// The first half serves traffic that stays in the dialect and is only edited; the second half translates through
/// the canonical conversation.
pub trait Codec: Send + Sync + 'static {
    /// Which dialect it is.
    fn dialect(&self) -> Dialect;

    /// How its streams are cut into events.
    fn framing(&self) -> Framing {
        Framing::Sse
    }

    /// Where an upstream answers the operation, below its base URL and with `model` percent-encoded where it stands in
    /// the path; `None` where the dialect has no such operation.
    fn path(&self, _operation: Operation, _model: &str, _stream: bool) -> Option<String> {
        None
    }

    /// Whether a client's request is for a stream, where its path says so and not its body.
    fn streams_at(&self, _path: &str) -> Option<bool> {
        None
    }

    /// The fields without which a client's request is refused before it is read further.
    fn required(&self, operation: Operation) -> &'static [&'static str] {
        match operation {
            Operation::Chat | Operation::CountTokens => &["messages"],
            Operation::Embeddings | Operation::Moderations | Operation::Speech => &["input"],
            Operation::Rerank => &["query", "documents"],
            Operation::ImageGenerations => &["prompt"],
            Operation::ImageEdits | Operation::ImageVariations => &["image"],
            Operation::Transcriptions | Operation::Translations => &["file"],
        }
    }

    /// Whether a client's request asks for a stream.
    fn streams(&self, body: &Json) -> Result<bool> {
        body.flag("stream")
    }

    /// The end user whom a client's request names to the provider.
    fn end_user(&self, _body: &Json) -> Option<Arc<str>> {
        None
    }

    /// How embeddings are asked for, where the dialect has them.
    fn embeddings(&self) -> Option<&'static dyn EmbeddingCodec> {
        None
    }

    /// Edits the whole answer to an operation that only one dialect has, and peeks its usage.
    fn relay_answer(&self, _operation: Operation, body: Bytes, _style: &ReplyStyle) -> Result<Frame> {
        Ok(Frame { data: body, ..Frame::default() })
    }

    /// Edits the events of a streamed answer to such an operation.
    fn relay_events(&self, style: &ReplyStyle) -> Box<dyn Relay> {
        self.relay(style)
    }

    /// How documents are ranked, where the dialect does that.
    fn rerank(&self) -> Option<&'static dyn RerankCodec> {
        None
    }

    /// How clients ask for pictures, where the dialect has that for clients.
    fn image_client(&self) -> Option<&'static dyn ImageClient> {
        None
    }

    /// How upstreams are asked for pictures, where that is not what clients say.
    fn images(&self) -> Option<&'static dyn ImageCodec> {
        None
    }

    /// Edits a request of this dialect for an upstream of this dialect: the model's name, and usage in a stream.
    fn readdress(&self, body: &mut Json, model: &str);

    /// Gives a field that an operator set for the deployment, in the words of most providers, where the request does not say
    /// it.
    fn set_default(&self, body: &mut Json, field: &str, value: &Bytes) {
        if !body.has(field) {
            body.set(field, value.clone());
        }
    }

    /// Whether its parameters stand in places of their own. An operator's defaults have OpenAI's names, and are then read
    /// as OpenAI's before a request is written.
    fn nests_parameters(&self) -> bool {
        false
    }

    /// The most tokens that one answer may have, where a client's request says so: what is held for it.
    fn stated_cap(&self, body: &Json) -> Option<u64> {
        body.get("max_tokens").ok().flatten()
    }

    /// How many answers a client's request wants.
    fn answers(&self, body: &Json) -> u64 {
        body.get("n").ok().flatten().unwrap_or(1)
    }

    /// Lets an answer have no more than `cap` tokens, whatever a request of this dialect says.
    fn cap_output(&self, body: &mut Json, cap: u64, _model: &ModelFacts) {
        body.lower("max_tokens", cap);
    }

    /// Edits a whole answer of this dialect for a client of this dialect, and peeks its usage.
    fn relay_reply(&self, body: Bytes, style: &ReplyStyle) -> Result<Frame>;

    /// Edits a streamed answer of this dialect for a client of this dialect.
    fn relay(&self, style: &ReplyStyle) -> Box<dyn Relay>;

    /// Reads a client's request.
    fn decode_request(&self, body: &Json) -> Result<Chat>;

    /// Writes a request for an upstream. What cannot be carried is told to `losses`.
    fn encode_request(&self, chat: &Chat, model: &ModelFacts, losses: &mut Losses) -> Result<Bytes>;

    /// Turns a request for an answer into one for the count of its tokens: what only steers an answer is refused there.
    fn ask_count(&self, body: &mut Json, _model: &str) {
        const STEERS: [&str; 8] = [
            "max_tokens",
            "stream",
            "metadata",
            "service_tier",
            "stop_sequences",
            "temperature",
            "top_p",
            "top_k",
        ];
        STEERS.iter().for_each(|field| drop(body.remove(field)));
    }

    /// Reads what an upstream counted.
    fn decode_count(&self, body: &[u8]) -> Result<u64> {
        let counted: Counted = serde_json::from_slice(body)
            .map_err(|_| Error::new(ErrorKind::BadGateway, "the provider's count could not be read"))?;
        Ok(counted.input_tokens)
    }

    /// Writes a count for a client.
    fn encode_count(&self, tokens: u64) -> Bytes {
        format!(r#"{{"input_tokens":{tokens}}}"#).into()
    }

    /// Features of a request that an upstream of this dialect wants named in a header beside it.
    fn opt_ins(&self, _body: &Json) -> Vec<&'static str> {
        Vec::new()
    }

    /// Names features in a request's body, where an upstream of this dialect wants them there and not in a header. Those
    /// that it does not know are told to `losses`.
    fn name_features(&self, _body: &mut Json, _names: &[&str], _losses: &mut Losses) -> bool {
        false
    }

    /// Reads an upstream's whole answer.
    fn decode_reply(&self, body: &[u8]) -> Result<Answer>;

    /// What an upstream's whole answer, or one event of its stream, says about itself; for traces.
    fn facts(&self, _data: &[u8]) -> ReplyFacts {
        ReplyFacts::default()
    }

    /// [`Self::relay_reply`] and [`Self::facts`]: one walk over the answer, where the dialect can.
    fn relay_told(&self, body: Bytes, style: &ReplyStyle) -> Result<(Frame, ReplyFacts)> {
        let facts = self.facts(&body);
        self.relay_reply(body, style).map(|frame| (frame, facts))
    }

    /// Writes a whole answer for a client.
    fn encode_reply(&self, answer: &Answer, style: &ReplyStyle) -> Bytes;

    /// Reads an upstream's stream.
    fn decoder(&self) -> Box<dyn Decode>;

    /// Writes a stream for a client.
    fn encoder(&self, style: &ReplyStyle) -> Box<dyn Encode>;

    /// Reads an upstream's error answer, whatever its body is.
    fn decode_error(&self, status: StatusCode, body: &[u8]) -> UpstreamFault;

    /// The same, where the answer's head says more than its body.
    fn decode_refusal(&self, status: StatusCode, _headers: &HeaderMap, body: &[u8]) -> UpstreamFault {
        self.decode_error(status, body)
    }

    /// The body of an error answer for a client.
    fn encode_error(&self, error: &Error) -> Bytes;

    /// The last events of a stream that fails after its first byte.
    fn encode_error_event(&self, error: &Error) -> Bytes;
}

/// A count of tokens as Anthropic writes it.
#[derive(serde::Deserialize)]
struct Counted {
    input_tokens: u64,
}

// === impl Dialect ===

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::OpenAiChat,
        Self::OpenAiResponses,
        Self::OpenAiCompletions,
        Self::AnthropicMessages,
        Self::Gemini,
        Self::BedrockConverse,
        Self::CohereChat,
        Self::OllamaChat,
    ];

    /// The word for it in data files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai_chat",
            Self::OpenAiResponses => "openai_responses",
            Self::OpenAiCompletions => "openai_completions",
            Self::AnthropicMessages => "anthropic_messages",
            Self::Gemini => "gemini",
            Self::BedrockConverse => "bedrock_converse",
            Self::CohereChat => "cohere_chat",
            Self::OllamaChat => "ollama_chat",
        }
    }

    /// Reads the word of data files.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.as_str() == word)
    }

    /// The name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "OpenAI Chat",
            Self::OpenAiResponses => "OpenAI Responses",
            Self::OpenAiCompletions => "OpenAI Completions",
            Self::AnthropicMessages => "Anthropic Messages",
            Self::Gemini => "Gemini",
            Self::BedrockConverse => "Bedrock Converse",
            Self::CohereChat => "Cohere Chat",
            Self::OllamaChat => "Ollama Chat",
        }
    }

    /// What LiteLLM calls a call in this dialect when it tells a client that something is wrong with it.
    pub fn route(self) -> &'static str {
        match self {
            Self::AnthropicMessages => "anthropic_messages",
            Self::OpenAiResponses => "aresponses",
            Self::OpenAiCompletions => "atext_completion",
            Self::Gemini => "agenerate_content",
            Self::OpenAiChat | Self::BedrockConverse | Self::CohereChat | Self::OllamaChat => {
                "/chat/completions"
            }
        }
    }
}

/// What a client must find in its answer.
#[derive(Clone)]
pub struct ReplyStyle {
    /// The model name to show: the alias that the client asked for.
    pub model: Arc<str>,
    /// Whether the client asked for usage in its stream.
    pub include_usage: bool,
    /// Unix seconds, for answers whose upstream gives no time.
    pub created: u64,
    /// Names the answer where its upstream gives no id.
    pub attempt: AttemptId,
    /// Whether the client used OpenAI's older `functions`, so that it reads `function_call`.
    pub older_functions: bool,
    /// The client's request, where its dialect's answers repeat it.
    pub asked: Option<Json>,
}

/// One event as the framing found it.
#[derive(Clone, Copy, Debug)]
pub struct RawEvent<'a> {
    /// The event's name; empty where the framing gives none.
    pub name: &'a str,
    /// Its data, lines joined.
    pub data: &'a [u8],
}

/// What was seen while bytes passed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peek {
    /// The last usage that was reported.
    pub usage: Option<Usage>,
    /// Bytes of model output.
    pub content: u32,
    /// Whether the answer is whole.
    pub last: bool,
}

/// Turns an upstream's events into a client's bytes.
pub trait Relay: Send {
    /// Takes one event and appends what the client gets for it. An error event of the upstream is an `Err`.
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek>;

    /// The upstream closed. Answers the rest where the answer is whole, else fails.
    fn close(&mut self, out: &mut BytesMut) -> Result<Peek>;
}

/// Reads an upstream's events.
pub trait Decode: Send {
    /// Appends what the event says. An error event is an `Err`.
    fn event(&mut self, event: RawEvent<'_>, out: &mut Vec<Event>) -> Result<()>;

    /// The upstream closed: appends what is missing up to [`Event::End`] where the answer is whole, else fails.
    fn close(&mut self, out: &mut Vec<Event>) -> Result<()>;
}

/// Writes a client's events.
pub trait Encode: Send {
    /// Appends the bytes for one event.
    fn event(&mut self, event: &Event, out: &mut BytesMut);

    /// Takes note of an event of this dialect that the client was given as its upstream wrote it, and of what it says, so as
    /// to go on from there. Answers whether it can. Where a dialect numbers and names things, the upstream's numbers and names
    /// count from now on.
    fn follow(&mut self, _event: RawEvent<'_>, said: &[Event]) -> bool {
        let mut thrown = BytesMut::new();
        said.iter().for_each(|event| self.event(event, &mut thrown));
        true
    }
}

/// A relay from one dialect to another, through canonical events.
pub struct Translate {
    decoder: Box<dyn Decode>,
    encoder: Box<dyn Encode>,
    events: Vec<Event>,
}

/// What an encoder could not carry, by the field's name in the client's dialect.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Losses(Vec<Cow<'static, str>>);

/// What an encoder must know of the model that it writes for.
#[derive(Clone, Debug, Default)]
pub struct ModelFacts {
    /// The model's name at the provider.
    pub name: Arc<str>,
    /// The most tokens it can write, where known.
    pub max_output: Option<u64>,
    /// How its thinking is asked for.
    pub reasoning: ReasoningControl,
    /// Whether it takes a JSON schema natively.
    pub structured_output: bool,
    /// Whether documents may be given by their address where the dialect itself knows only their bytes.
    pub document_links: bool,
}

/// How a model's thinking is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReasoningControl {
    /// Not at all: the model does not think, or nothing is known.
    #[default]
    None,
    /// In words (`reasoning_effort`).
    Effort,
    /// By a token budget (Anthropic's `thinking.budget_tokens`).
    Budget,
    /// Adaptive, steered in words (Anthropic's `output_config.effort`).
    Adaptive,
}

/// An upstream's error answer, as far as it could be read.
#[derive(Clone, Debug)]
pub struct UpstreamFault {
    /// What it means for us.
    pub kind: ErrorKind,
    /// The provider's words.
    pub message: String,
    /// The provider's `type`.
    pub wire_type: Option<String>,
    /// The provider's `code`.
    pub code: Option<String>,
    /// The request field at fault.
    pub param: Option<String>,
}

// === impl Peek ===

impl Peek {
    /// What a canonical event says.
    pub fn see(&mut self, event: &Event) {
        match event {
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::PartDelta { delta, .. } => self.content = self.content.saturating_add(delta.weight()),
            // A part that is whole at once, or a tool call without arguments, is content too.
            Event::PartStart {
                kind: crate::chat::PartKind::Text | crate::chat::PartKind::Reasoning, ..
            } => {}
            Event::PartStart { .. } => self.content = self.content.saturating_add(1),
            Event::End => self.last = true,
            _ => {}
        }
    }
}

// === impl Translate ===

impl Translate {
    /// Reads with one dialect and writes with another.
    pub fn new(decoder: Box<dyn Decode>, encoder: Box<dyn Encode>) -> Self {
        Self { decoder, encoder, events: Vec::new() }
    }

    fn encode(&mut self, out: &mut BytesMut) -> Peek {
        let mut peek = Peek::default();
        for event in self.events.drain(..) {
            peek.see(&event);
            self.encoder.event(&event, out);
        }
        peek
    }
}

impl Relay for Translate {
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        self.decoder.event(event, &mut self.events)?;
        Ok(self.encode(out))
    }

    fn close(&mut self, out: &mut BytesMut) -> Result<Peek> {
        self.decoder.close(&mut self.events)?;
        Ok(self.encode(out))
    }
}

// === impl Losses ===

impl Losses {
    /// Tells that `field` could not be carried.
    pub fn add(&mut self, field: impl Into<Cow<'static, str>>) {
        let field = field.into();
        if !self.0.contains(&field) {
            self.0.push(field);
        }
    }

    /// Tells it where `lost` holds.
    pub fn add_if(&mut self, lost: bool, field: &'static str) {
        if lost {
            self.add(field);
        }
    }

    /// Tells that `field` is carried after all.
    pub fn forget(&mut self, field: &str) {
        self.0.retain(|lost| lost != field);
    }

    /// The fields, in the order they were met.
    pub fn into_fields(self) -> Vec<Cow<'static, str>> {
        self.0
    }
}
