//! What one request gets from the fake provider, as data.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

use super::Guise;

/// What one request gets.
#[derive(Clone, Debug)]
pub struct Script {
    /// Waited for before the head.
    pub before_head: Pause,
    /// Whether the connection is cut instead of answering.
    pub cut_before_head: bool,
    /// The status.
    pub status: u16,
    /// Headers besides the content type.
    pub headers: Vec<(String, String)>,
    /// What is said.
    pub answer: Answer,
    /// Waited for before every event but the first.
    pub between: Pause,
    /// Where the answer ends early.
    pub stop: Option<Stop>,
    /// How the bytes are cut into pieces.
    pub chunks: Chunks,
    /// Whether an OpenAI stream ends with `[DONE]`.
    pub done: bool,
    /// Where an OpenAI stream tells its usage.
    pub usage: UsageForm,
    /// The field in which OpenAI's dialect carries reasoning.
    pub reasoning_field: String,
    /// Whose clothes OpenAI's dialect wears.
    pub guise: Option<Guise>,
}

/// What is said.
#[derive(Clone, Debug)]
pub enum Answer {
    /// An answer in the dialect of the request's path, streamed if the request asks for it.
    Said(Said),
    /// An error body in the dialect of the request's path.
    Error(String),
    /// These bytes.
    Raw {
        /// `application/json`.
        content_type: String,
        /// The body.
        body: Bytes,
    },
}

/// What a model says.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// Reasoning, in pieces.
    pub reasoning: Vec<String>,
    /// Its signature; Anthropic only.
    pub signature: Option<String>,
    /// A redacted block; Anthropic only.
    pub redacted: Option<String>,
    /// Text, in pieces.
    pub text: Vec<String>,
    /// A refusal in words; OpenAI only.
    pub refusal: Option<String>,
    /// Tool calls.
    pub tools: Vec<ToolUse>,
    /// Whether the arguments of parallel calls come in turns; OpenAI only.
    pub interleave: bool,
    /// Why it stopped, in the dialect's words; found from the rest where `None`.
    pub finish: Option<String>,
    /// How many answers.
    pub n: usize,
    /// What it used.
    pub used: Used,
}

/// A tool call.
#[derive(Clone, Debug)]
pub struct ToolUse {
    /// Its id.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments' JSON text, in pieces.
    pub arguments: Vec<String>,
}

/// What an answer used; `input` counts the cached tokens too.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// Tokens read.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
    /// Of `input`, read from the cache.
    pub cached: u64,
    /// Of `input`, written to the cache.
    pub cache_write: u64,
    /// Of `output`, spent on reasoning.
    pub reasoning: u64,
}

/// Something to wait for.
#[derive(Clone, Debug, Default)]
pub enum Pause {
    /// Nothing.
    #[default]
    None,
    /// Time.
    For(Duration),
    /// A test that opens the gate.
    Gate(Gate),
    /// Nothing that will ever happen.
    Forever,
}

/// Opened once by a test.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<bool>>);

/// Where and how an answer ends early.
#[derive(Clone, Debug)]
pub struct Stop {
    /// How many events are sent whole; a plain answer is one event.
    pub after: usize,
    /// What comes then.
    pub how: Ends,
}

/// How an answer ends early.
#[derive(Clone, Debug)]
pub enum Ends {
    /// The connection breaks.
    Cut,
    /// This many bytes of the next event are sent, then the connection breaks.
    CutInside(usize),
    /// The body ends as if it were whole.
    Close,
    /// The connection is closed in one direction only, in the middle of the body.
    HalfClose,
    /// The connection is reset.
    Reset,
    /// Nothing more ever comes.
    Stall,
    /// A test opens the gate, then it goes on.
    Hold(Gate),
    /// An error event in the dialect's own form, then the body ends.
    Error(String),
    /// These bytes, then the body ends.
    Bytes(Bytes),
    /// These bytes, then it goes on as if nothing had been.
    Insert(Bytes),
}

/// How the bytes are cut into pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chunks {
    /// One event a piece.
    #[default]
    Events,
    /// Pieces of so many bytes, whatever they hold.
    Bytes(usize),
    /// Everything at once.
    Whole,
}

/// Where an OpenAI stream tells its usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UsageForm {
    /// In a chunk of its own, if asked for.
    #[default]
    Asked,
    /// In a chunk of its own, asked for or not.
    Always,
    /// In the chunk that carries the finish reason.
    WithFinish,
    /// In every chunk, growing.
    Everywhere,
    /// Nowhere.
    Never,
}

// === impl Script ===

impl Default for Script {
    fn default() -> Self {
        Self {
            before_head: Pause::None,
            cut_before_head: false,
            status: 200,
            headers: Vec::new(),
            answer: Answer::Said(Said::words(5)),
            between: Pause::None,
            stop: None,
            chunks: Chunks::Events,
            done: true,
            usage: UsageForm::Asked,
            reasoning_field: "reasoning_content".to_owned(),
            guise: None,
        }
    }
}

impl Script {
    /// An ordinary answer.
    pub fn says(said: Said) -> Self {
        Self { answer: Answer::Said(said), ..Self::default() }
    }

    /// An error in the dialect's form.
    pub fn fails(status: u16, message: &str) -> Self {
        Self { status, answer: Answer::Error(message.to_owned()), ..Self::default() }
    }

    /// Recorded bytes.
    pub fn replay(status: u16, headers: &[(String, String)], body: impl Into<Bytes>) -> Self {
        let is_type = |name: &str| name.eq_ignore_ascii_case("content-type");
        let content_type = headers.iter().find(|(name, _)| is_type(name)).map(|(_, value)| value.clone());
        Self {
            status,
            headers: headers.iter().filter(|(name, _)| !is_type(name)).cloned().collect(),
            answer: Answer::Raw {
                content_type: content_type.unwrap_or_else(|| "application/json".into()),
                body: body.into(),
            },
            ..Self::default()
        }
    }

    /// Ends early.
    pub fn stopping(mut self, after: usize, how: Ends) -> Self {
        self.stop = Some(Stop { after, how });
        self
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

// === impl Said ===

impl Said {
    /// `count` words of text, one a piece: `w0 w1 …`.
    pub fn words(count: usize) -> Self {
        Self::text((0..count).map(|i| format!("w{i} ")))
    }

    /// Text in pieces.
    pub fn text<T: Into<String>>(pieces: impl IntoIterator<Item = T>) -> Self {
        Self {
            text: pieces.into_iter().map(Into::into).collect(),
            n: 1,
            used: Used { input: 10, output: 5, ..Used::default() },
            ..Self::default()
        }
    }

    /// With a tool call whose arguments come in pieces.
    pub fn tool(mut self, id: &str, name: &str, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|piece| (*piece).to_owned()).collect();
        self.tools.push(ToolUse { id: id.to_owned(), name: name.to_owned(), arguments });
        self
    }

    /// With reasoning that is signed.
    pub fn thinking<T: Into<String>>(mut self, pieces: impl IntoIterator<Item = T>, signature: &str) -> Self {
        self.reasoning = pieces.into_iter().map(Into::into).collect();
        self.signature = Some(signature.to_owned());
        self
    }
}

// === impl ToolUse ===

impl ToolUse {
    /// The arguments as one text.
    pub fn arguments(&self) -> String {
        self.arguments.concat()
    }

    /// The arguments as JSON.
    pub fn input(&self) -> Value {
        serde_json::from_str(&self.arguments()).unwrap_or_default()
    }
}

// === impl Gate ===

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Gate {
    /// Lets everybody through, now and later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    async fn passed(&self) {
        let mut state = self.0.subscribe();
        // The sender lives in `self`, so that waiting cannot fail.
        let _ = state.wait_for(|open| *open).await;
    }
}

// === impl Pause ===

impl Pause {
    /// Milliseconds.
    pub fn millis(millis: u64) -> Self {
        Self::For(Duration::from_millis(millis))
    }

    pub(super) async fn wait(&self) {
        match self {
            Self::None => {}
            Self::For(time) => tokio::time::sleep(*time).await,
            Self::Gate(gate) => gate.passed().await,
            Self::Forever => std::future::pending().await,
        }
    }
}
