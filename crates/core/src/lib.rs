#![doc = include_str!("../README.md")]

mod address;
pub use address::{shown_address, without_user};

mod service;
pub use service::{CallService, Layered, Middleware, PolicyLayer, Shared, Tower, layer};

mod call;
pub use call::{
    CacheWishes, Call, Controls, Detour, Facts, FieldWishes, Operation, Origin, Sender, Target, Turn,
};

mod caller;
pub use caller::{Allowance, Budget, Caller, KeyStanding, Names};

pub mod body;
pub use body::{Body, Form, FormField, Json, JsonLimits};

mod line;
pub use line::{Line, Spot, Tenant};

mod decisions;
pub use decisions::{Decision, Decisions, Holding, Limit};

mod facts;
pub use facts::{Notes, ReplyFacts};

mod recording;
pub use recording::{OwnSink, RecordWishes, Recording};

mod reply;
pub use reply::{Cached, Frame, Head, Reply, ServedBy};

pub mod frames;
pub use frames::Frames;

mod share;

mod watch;
pub use watch::{Armed, End, Observer, Outcome, arm};

pub mod chat;

mod embedding;
pub use embedding::{Embedded, Embedding, EmbeddingCodec, EmbeddingInput, Encoding};

mod rerank;
pub use rerank::{Rank, Ranked, Ranking, RankingForm, Rerank, RerankCodec};

mod image;
pub use image::{Image, ImageClient, ImageCodec, ImageRequest, Images, InputImage};

mod codec;
pub use codec::{
    Codec, Decode, Dialect, Encode, Framing, Losses, ModelFacts, Peek, RawEvent, ReasoningControl, Relay,
    ReplyStyle, Translate, UpstreamFault,
};

mod so_far;
pub use so_far::{Said, SoFar};

mod error;
pub use error::{Cooldown, Error, ErrorKind, Result, Retry};

mod usage;
pub use usage::Usage;

mod money;
pub use money::{Money, Price};

mod fit;
pub use fit::{Fit, Fitting};

mod tab;
pub use tab::{CostParts, Tab};

mod booking;
pub use booking::{Auditor, Booking};

mod sink_figures;
pub use sink_figures::SinkFigures;

mod trace;
pub use trace::{TraceContext, write_hex};

mod clock;
pub use clock::{Clock, HandClock, SystemClock, Utc};

mod id;
pub use id::{AttemptId, CallId};

mod text;
pub use text::{end_of_string, quote_or_escape, special};

mod secret;
pub use secret::Secret;
