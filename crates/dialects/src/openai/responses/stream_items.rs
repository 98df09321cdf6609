//! The items of a stream that is being written, and which canonical part stands where in them.

use gatewright_core::chat::ToolCall;
use serde_json::{Value, json};

use super::reply_write::{self, item_id};

/// All items, by their place in the output.
pub(super) struct Items {
    seed: String,
    list: Vec<Item>,
    /// Open parts: canonical index, item, piece of the message.
    places: Vec<(u32, usize, usize)>,
    /// The message that further texts belong to.
    pub(super) message: Option<usize>,
}

/// One item.
pub(super) struct Item {
    pub(super) id: String,
    pub(super) body: Body,
    pub(super) done: bool,
}

/// What it is, as far as it has come.
pub(super) enum Body {
    Message {
        pieces: Vec<Piece>,
        closing: bool,
    },
    Reasoning {
        text: String,
        sealed: Option<String>,
    },
    Redacted(String),
    Call {
        call: ToolCall,
        custom: bool,
    },
    /// What a provider's own tool did; its input may be told after its beginning.
    Hosted {
        item: Value,
        input: String,
    },
}

/// One text, or one refusal, of a message.
#[derive(Default)]
pub(super) struct Piece {
    pub(super) refusal: bool,
    pub(super) text: String,
    pub(super) annotations: Vec<Value>,
    pub(super) tokens: Vec<Value>,
    pub(super) ended: bool,
}

// === impl Items ===

impl Items {
    pub(super) fn new(seed: String) -> Self {
        Self { seed, list: Vec::new(), places: Vec::new(), message: None }
    }

    /// The id of the next item, if it is of this kind.
    pub(super) fn id(&self, kind: &str) -> String {
        item_id(kind, &self.seed, self.list.len())
    }

    /// Adds an item and answers its place.
    pub(super) fn add(&mut self, body: Body) -> usize {
        let id = match &body {
            Body::Message { .. } => self.id("msg"),
            Body::Reasoning { .. } | Body::Redacted(_) => self.id("rs"),
            Body::Call { custom: true, .. } => self.id("ctc"),
            Body::Call { .. } => self.id("fc"),
            Body::Hosted { item, .. } => {
                item.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
            }
        };
        self.list.push(Item { id, body, done: false });
        self.list.len() - 1
    }

    /// Adds an item that somebody else named; `None` where another place is its own.
    pub(super) fn take_over(&mut self, at: usize, id: &str, body: Body) -> Option<()> {
        let item = Item { id: id.to_owned(), body, done: false };
        (at == self.list.len()).then(|| self.list.push(item))
    }

    pub(super) fn item(&self, at: usize) -> Option<&Item> {
        self.list.get(at)
    }

    pub(super) fn edit(&mut self, at: usize) -> Option<&mut Item> {
        self.list.get_mut(at)
    }

    /// Notes where a canonical part stands.
    pub(super) fn place(&mut self, index: u32, at: usize, content: usize) {
        self.places.push((index, at, content));
    }

    /// Where a canonical part stands, while it is open.
    pub(super) fn placed(&self, index: u32) -> Option<(usize, usize)> {
        self.places.iter().find(|(known, ..)| *known == index).map(|(_, at, content)| (*at, *content))
    }

    pub(super) fn forget(&mut self, index: u32) {
        self.places.retain(|(known, ..)| *known != index);
    }

    /// The canonical parts that are open.
    pub(super) fn open(&self) -> Vec<u32> {
        self.places.iter().map(|(index, ..)| *index).collect()
    }

    /// All items that are whole.
    pub(super) fn output(&self) -> Vec<Value> {
        self.list.iter().filter(|item| item.done).map(|item| item.written()).collect()
    }
}

// === impl Item ===

impl Item {
    /// The item before anything was said.
    pub(super) fn begun(&self) -> Value {
        let status = "in_progress";
        match &self.body {
            Body::Message { .. } => reply_write::message(&self.id, status, Vec::new()),
            Body::Reasoning { .. } | Body::Redacted(_) => {
                json!({"id": self.id, "type": "reasoning", "summary": []})
            }
            Body::Call { call, custom } => reply_write::tool_call(&self.id, status, call, *custom),
            Body::Hosted { item, .. } => item.clone(),
        }
    }

    /// The whole item.
    pub(super) fn written(&self) -> Value {
        let status = "completed";
        match &self.body {
            Body::Message { pieces, .. } => {
                reply_write::message(&self.id, status, pieces.iter().map(Piece::written).collect())
            }
            Body::Reasoning { text, sealed } => {
                reply_write::reasoning(&self.id, Some(text), sealed.as_deref())
            }
            Body::Redacted(data) => reply_write::reasoning(&self.id, None, Some(data)),
            Body::Call { call, custom } => reply_write::tool_call(&self.id, status, call, *custom),
            Body::Hosted { item, .. } => item.clone(),
        }
    }
}
