//! One request of a client: the facts that every layer may read.

use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::uri::PathAndQuery;

use crate::chat::Chat;
use crate::{
    AttemptId, Body, Cached, CallId, Caller, Codec, Decisions, Error, ErrorKind, Fit, RecordWishes, Result,
    SoFar, Tab, TraceContext,
};

/// One request of a client. A clone shares the body and the decoded conversation.
///
/// It is a pointer, because every layer hands it on by value, and its future has room for it twice.
#[derive(Clone)]
pub struct Call(Box<Facts>);

/// What is known of a call.
#[derive(Clone)]
pub struct Facts {
    /// Names it in the ledger, the traces and the response headers.
    pub id: CallId,
    /// What is asked for.
    pub operation: Operation,
    /// The client's dialect.
    pub codec: &'static dyn Codec,
    /// Whom it comes from. Clones share it, and so may whoever has to know at the end; changing it in one copies it.
    pub origin: Arc<Origin>,
    /// The public model name that was asked for.
    pub model: Arc<str>,
    /// Whether the client wants a stream of events.
    pub stream: bool,
    /// What the client sent, without the fields that were lifted into `controls`.
    pub body: Body,
    /// Where the router sends this attempt; `None` above the router.
    pub target: Option<Arc<Target>>,
    /// The most tokens that one answer may have, where a budget covers no more: the upstream is told.
    pub output_cap: Option<u64>,
    /// What its attempts have cost so far; `None` where nobody asks.
    pub tab: Option<Arc<Tab>>,
    /// What is held for it, to be fitted to each attempt; `None` where nothing is that an attempt could change.
    pub hold: Option<Arc<dyn Fit>>,
    /// Told when the limits of its deployment let the attempt in; `None` where nobody waits behind it.
    pub turn: Option<Arc<dyn Turn>>,
    /// What its stream has said, where another attempt may go on with one that breaks off; `None` where none may.
    pub so_far: Option<Arc<SoFar>>,
    /// Whether its client has left, where it goes on without: nothing new is begun for it then.
    pub left: Option<Arc<AtomicBool>>,
    /// What the cache gave of its answer already; `None` where it asks for all of it.
    pub spared: Option<Arc<Cached>>,
    /// The span that what is done next belongs under; `None` where nothing traces.
    pub trace: Option<Arc<TraceContext>>,
    /// How it was routed so far; `None` where nobody asks.
    pub decisions: Option<Arc<Decisions>>,
    /// The call that it is a copy of, where nobody gets its answer: it is on nobody's account then.
    pub mirror_of: Option<CallId>,
    chat: Arc<OnceLock<Result<Chat>>>,
}

/// Whom a call comes from, and what came with its body.
#[derive(Clone)]
pub struct Origin {
    /// Who is calling.
    pub caller: Arc<Caller>,
    /// The client's headers: some may matter to an upstream (`anthropic-beta`).
    pub headers: HeaderMap,
    /// What the client asks of the gateway itself.
    pub controls: Controls,
    /// When the request's head was read.
    pub received: Instant,
    /// When it was known who calls; nothing where nobody was asked.
    pub identified: Option<Instant>,
    /// Where it comes from; nothing where no client sent it.
    pub sender: Option<Sender>,
}

/// Where a request comes from, and which route it took.
#[derive(Clone)]
pub struct Sender {
    /// The client's address.
    pub address: IpAddr,
    /// The route that it called, as it was sent: what stands behind its `?` may be a key and is shown to nobody.
    pub target: PathAndQuery,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// The next turn of a conversation.
    Chat,
    /// How many input tokens a conversation has.
    CountTokens,
    /// Vectors for texts.
    Embeddings,
    /// Documents by how well they answer a question.
    Rerank,
    /// Whether a text or a picture may be shown.
    Moderations,
    /// Pictures after a description.
    ImageGenerations,
    /// Pictures after others and a description.
    ImageEdits,
    /// Pictures like another.
    ImageVariations,
    /// A text, spoken.
    Speech,
    /// What is spoken, as text.
    Transcriptions,
    /// What is spoken, as text in English.
    Translations,
}

/// What a client asks of the gateway itself, lifted from body and headers.
#[derive(Clone, Debug, Default)]
pub struct Controls {
    /// Groups to try when this one fails, before the configured ones.
    pub fallbacks: Vec<Arc<str>>,
    /// Where to go after some kinds of failure, in place of what is configured for them.
    pub detours: Vec<Detour>,
    /// No fallbacks at all, configured ones included.
    pub disable_fallbacks: bool,
    /// Attempts after the first at one group.
    pub num_retries: Option<u32>,
    /// The longest the whole call may take.
    pub timeout: Option<Duration>,
    /// The same for a stream.
    pub stream_timeout: Option<Duration>,
    /// Who is first where calls wait for capacity: lower numbers are.
    pub priority: Option<i64>,
    /// Tags for routing and the ledger.
    pub tags: Vec<Arc<str>>,
    /// Whether the client asked for usage in its stream.
    pub include_usage: bool,
    /// A canned answer that the client asks for in place of a model's, where the operator allows it.
    pub mock_response: Option<Arc<str>>,
    /// Whether the client sees the upstream's model name (Azure's paths promise that) instead of the group's.
    pub upstream_name: bool,
    /// The client's own name for the trace.
    pub trace_id: Option<Arc<str>>,
    /// The end user on whose behalf the client calls.
    pub end_user: Option<Arc<str>>,
    /// The answer that the conversation goes on from, where the gateway knows it itself.
    pub previous_response: Option<Arc<str>>,
    /// The only deployment that can serve the call: the one whose provider keeps what it refers to.
    pub deployment: Option<Arc<str>>,
    /// What becomes of the request's fields.
    pub fields: FieldWishes,
    /// What becomes of the call's record.
    pub record: RecordWishes,
    /// What is asked of the cache.
    pub cache: CacheWishes,
}

/// What a client asks of the cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheWishes {
    /// Its answer may be kept for so long.
    pub ttl: Option<Duration>,
    /// An answer that was kept for longer is not wanted.
    pub max_age: Option<Duration>,
    /// No answer that was kept is wanted.
    pub no_cache: bool,
    /// Its answer is not to be kept.
    pub no_store: bool,
    /// It wants the cache, where that is not for every call.
    pub use_cache: bool,
    /// Only answers that were kept under the same name are wanted.
    pub namespace: Option<Arc<str>>,
    /// The names of what was said of it: a key may be bound to some.
    pub said: Vec<Arc<str>>,
}

/// Where a call goes when a group fails in this way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detour {
    /// How it failed.
    pub kind: ErrorKind,
    /// The group; `*` is any.
    pub group: Arc<str>,
    /// The groups to try, in this order.
    pub fallbacks: Vec<Arc<str>>,
}

/// What a client asks to become of its request's fields, whatever the deployment says.
#[derive(Clone, Debug, Default)]
pub struct FieldWishes {
    /// Whether those that the provider does not know are dropped; else the call is refused.
    pub drop_unknown: Option<bool>,
    /// Whether a conversation that the provider would refuse is repaired.
    pub repair: Option<bool>,
    /// Those that are sent whatever is known of the provider.
    pub always_send: Vec<String>,
}

/// Where the router sends one attempt.
#[derive(Clone, Debug)]
pub struct Target {
    /// Names the attempt in the ledger.
    pub attempt: AttemptId,
    /// The deployment's id.
    pub deployment: Arc<str>,
    /// The group it stands for: the one asked for, or a fallback.
    pub group: Arc<str>,
    /// The model name that the client shall see: the one it asked for, or the fallback group that answers.
    pub shown: Arc<str>,
    /// The model name for the upstream, where a wildcard deployment takes it from the request.
    pub model: Option<Arc<str>>,
    /// The longest wait for the first content.
    pub first_content: Duration,
    /// The longest wait between two events.
    pub idle: Duration,
    /// When the attempt must be over.
    pub deadline: Instant,
}

/// The turn of a call that waited for capacity, as long as it is not taken: others wait behind it.
pub trait Turn: Send + Sync {
    /// The attempt was let in: the next one may try.
    fn taken(&self);
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            caller: Arc::new(Caller::anonymous()),
            headers: HeaderMap::default(),
            controls: Controls::default(),
            received: Instant::now(),
            identified: None,
            sender: None,
        }
    }
}

// === impl Sender ===

impl Sender {
    /// The path of the route that it called.
    pub fn path(&self) -> &str {
        self.target.path()
    }
}

// === impl Operation ===

impl Operation {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Chat,
        Self::CountTokens,
        Self::Embeddings,
        Self::Rerank,
        Self::Moderations,
        Self::ImageGenerations,
        Self::ImageEdits,
        Self::ImageVariations,
        Self::Speech,
        Self::Transcriptions,
        Self::Translations,
    ];

    /// The word for it in data files and traces.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::CountTokens => "count_tokens",
            Self::Embeddings => "embeddings",
            Self::Rerank => "rerank",
            Self::Moderations => "moderations",
            Self::ImageGenerations => "image_generations",
            Self::ImageEdits => "image_edits",
            Self::ImageVariations => "image_variations",
            Self::Speech => "speech",
            Self::Transcriptions => "transcriptions",
            Self::Translations => "translations",
        }
    }

    /// Whether its answer may be a stream of events.
    pub fn streams(self) -> bool {
        matches!(
            self,
            Self::Chat | Self::ImageGenerations | Self::ImageEdits | Self::Speech | Self::Transcriptions
        )
    }

    /// Whether its request is a form with files.
    pub fn uploads(self) -> bool {
        matches!(self, Self::ImageEdits | Self::ImageVariations | Self::Transcriptions | Self::Translations)
    }

    /// Whether a provider bills for it: only then it is an attempt in the ledger.
    pub fn is_billed(self) -> bool {
        self != Self::CountTokens
    }
}

// === impl Call ===

impl Deref for Call {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.0
    }
}

impl DerefMut for Call {
    fn deref_mut(&mut self) -> &mut Facts {
        &mut self.0
    }
}

impl Call {
    /// A call of nobody in particular, with no controls, not yet routed.
    pub fn new(
        operation: Operation,
        codec: &'static dyn Codec,
        model: impl Into<Arc<str>>,
        body: Body,
    ) -> Self {
        Self::by(Origin::default(), operation, codec, model.into(), body)
    }

    /// A call that came from there, not yet routed.
    pub fn by(
        origin: Origin,
        operation: Operation,
        codec: &'static dyn Codec,
        model: Arc<str>,
        body: Body,
    ) -> Self {
        let tab = origin.caller.key.as_ref().map(|key| Arc::clone(&key.spent));
        Self(Box::new(Facts {
            id: CallId::fresh(),
            operation,
            codec,
            origin: Arc::new(origin),
            model,
            stream: false,
            body,
            target: None,
            output_cap: None,
            tab,
            hold: None,
            turn: None,
            so_far: None,
            left: None,
            spared: None,
            trace: None,
            decisions: None,
            mirror_of: None,
            chat: Arc::default(),
        }))
    }

    /// The same call with another body.
    #[must_use]
    pub fn with_body(&self, body: Body) -> Self {
        Self(Box::new(Facts { body, chat: Arc::default(), ..Facts::clone(self) }))
    }

    /// The same call with its conversation, which is not decoded from the body then.
    #[must_use]
    pub fn with_chat(mut self, chat: Chat) -> Self {
        self.chat = Arc::new(OnceLock::from(Ok(chat)));
        self
    }

    /// A copy that asks another model the same: it is nobody's, nothing is held for it, and it goes to that model alone.
    /// Its trace is the call's.
    #[must_use]
    pub fn mirrored(&self, model: Arc<str>) -> Self {
        let controls = Controls { fallbacks: Vec::new(), disable_fallbacks: true, ..self.controls.clone() };
        let origin =
            Origin { controls, received: Instant::now(), identified: None, ..Origin::clone(&self.origin) };
        Self(Box::new(Facts {
            id: CallId::fresh(),
            model,
            origin: Arc::new(origin),
            target: None,
            output_cap: None,
            tab: None,
            hold: None,
            so_far: None,
            left: None,
            spared: None,
            trace: self.trace.as_deref().map(|trace| Arc::new(trace.apart())),
            decisions: None,
            mirror_of: Some(self.id),
            ..Facts::clone(self)
        }))
    }
}

// === impl Facts ===

impl Deref for Facts {
    type Target = Origin;

    fn deref(&self) -> &Origin {
        &self.origin
    }
}

impl DerefMut for Facts {
    fn deref_mut(&mut self) -> &mut Origin {
        Arc::make_mut(&mut self.origin)
    }
}

impl Facts {
    /// The canonical conversation, decoded once for all clones.
    pub fn chat(&self) -> Result<&Chat> {
        let decode = || match &self.body {
            // Whether it streams may stand in the address alone.
            Body::Json(json) => {
                self.codec.decode_request(json).map(|chat| Chat { stream: self.stream, ..chat })
            }
            Body::Form(_) | Body::Opaque(_) => {
                Err(Error::new(ErrorKind::InvalidRequest, "expected a JSON body"))
            }
        };
        self.chat.get_or_init(decode).as_ref().map_err(Clone::clone)
    }

    /// Whether it goes on without its client.
    pub fn is_left(&self) -> bool {
        self.left.as_ref().is_some_and(|left| left.load(Ordering::Relaxed))
    }

    /// Where the router sent it.
    pub fn target(&self) -> Result<&Target> {
        self.target.as_deref().ok_or_else(|| Error::new(ErrorKind::Internal, "the call was not routed"))
    }
}
