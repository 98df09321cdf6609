//! Streams that broke off and go on with another attempt: what is asked of the model, and what becomes of its answer.

mod followed;
mod seam;
mod teller;

use bytes::BytesMut;
use gatewright_catalogue::{Catalogue, Overrides, ProviderRow};
use gatewright_core::chat::{Answer, Chat, Part, Role, Turn};
use gatewright_core::{
    Body, Call, Codec, Dialect, Encode, Error, ErrorKind, Frame, Peek, Relay, ReplyStyle, Result, Said,
    Translate,
};

use self::followed::Followed;
use self::seam::{Seam, Seamed};
use self::teller::Teller;
use crate::endpoint::Endpoint;
use crate::retell;

/// Bytes of text a token, roughly.
const BYTES_PER_TOKEN: usize = 4;

/// What a model is told that cannot simply be given the begin of its answer.
const WORDS: &str = "Your last answer was cut off in transmission. Go on with it from exactly where it stops, in the middle \
    of a word if it stops there. Repeat nothing of it, do not begin anew, and say nothing about the interruption.";

/// Whether this attempt goes on with an answer that broke off.
pub(crate) fn is_begun(call: &Call) -> bool {
    call.so_far.as_ref().is_some_and(|so_far| so_far.is_begun())
}

/// Whether a model goes on with an assistant's turn that comes last. Others refuse it, or answer it.
pub(crate) fn prefills(
    catalogue: &Catalogue,
    row: &ProviderRow,
    (name, overrides): (&str, &Overrides),
) -> bool {
    catalogue.supports(row, name, overrides, "assistant_prefill") == Some(true)
}

/// The conversation with what was said of the answer; `None` where the answer did not begin yet.
pub(crate) fn asked(call: &Call, chat: &Chat, endpoint: &Endpoint) -> Option<Chat> {
    let said = call.so_far.as_ref()?.text()?;
    let mut chat = chat.clone();
    let tokens = u64::try_from(said.len() / BYTES_PER_TOKEN).unwrap_or(u64::MAX);
    chat.max_output = chat.max_output.map(|most| most.saturating_sub(tokens).max(1));
    let dialect = endpoint.codec.dialect();
    if dialect == Dialect::OpenAiCompletions {
        // It knows no speakers, only a text that goes on.
        append(&mut chat, &said);
        return Some(chat);
    }
    chat.turns.push(Turn::new(Role::Assistant, vec![Part::text(said)]));
    let takes = endpoint.prefills && matches!(dialect, Dialect::AnthropicMessages | Dialect::BedrockConverse);
    // A model that thinks does so before its answer, and takes none that has begun.
    let thinks = chat.reasoning.as_ref().is_some_and(|reasoning| !reasoning.off);
    if !takes || thinks {
        chat.turns.push(Turn::new(Role::User, vec![Part::text(WORDS)]));
    }
    Some(chat)
}

/// Edits a stream in the client's own dialect, and keeps what it says where another attempt may go on with it.
pub(crate) fn edited(call: &Call, theirs: &'static dyn Codec, style: &ReplyStyle) -> Box<dyn Relay> {
    let relay = theirs.relay(style);
    match &call.so_far {
        Some(_) if !is_kept_upstream(call) => {
            let teller = Teller::fresh(call, theirs.encoder(style));
            // There the parts are the upstream's, by its own numbers.
            let teller =
                if theirs.dialect() == Dialect::OpenAiResponses { teller.numbered() } else { teller };
            Box::new(Followed::new(theirs, relay, teller))
        }
        _ => relay,
    }
}

/// Translates a stream for the client, goes on with one that broke off, and keeps what it says where another attempt may
/// go on with it.
pub(crate) fn translated(call: &Call, theirs: &dyn Codec, style: &ReplyStyle) -> Result<Box<dyn Relay>> {
    let (decoder, ours) = (theirs.decoder(), call.codec);
    let Some(so_far) = &call.so_far else {
        return Ok(Box::new(Translate::new(decoder, ours.encoder(style))));
    };
    if !so_far.is_begun() {
        let teller = Teller::fresh(call, ours.encoder(style));
        return Ok(Box::new(Translate::new(decoder, Box::new(teller))));
    }
    let said = taken(call)?;
    let decoder = Seamed::new(decoder, Seam::of(&said));
    Ok(Box::new(Translate::new(Box::new(decoder), Box::new(Teller::back(call, said)))))
}

/// A whole answer that goes on with a stream which broke off.
pub(crate) fn told(call: &Call, answer: &Answer) -> Result<Frame> {
    let said = taken(call)?;
    let (mut seam, mut events) = (Seam::of(&said), Vec::new());
    retell::events(answer).into_iter().for_each(|event| seam.take(event, &mut events));
    let (mut teller, mut out, mut seen) = (Teller::back(call, said), BytesMut::new(), Peek::default());
    for event in events {
        seen.see(&event);
        teller.event(&event, &mut out);
    }
    Ok(Frame { data: out.freeze(), usage: answer.usage, content: seen.content.max(1), last: true })
}

/// Refuses what has no way to go on with an answer.
pub(crate) fn refused() -> Error {
    Error::new(ErrorKind::Unsupported, "this deployment cannot go on with an answer")
}

/// Whether a part of the conversation is known to its upstream alone, so that nobody else can go on with it.
fn is_kept_upstream(call: &Call) -> bool {
    let Body::Json(json) = &call.body else { return false };
    let says = |key| json.raw(key).is_some_and(|value| value != b"null");
    call.codec.dialect() == Dialect::OpenAiResponses
        && ["previous_response_id", "conversation", "prompt"].into_iter().any(says)
}

fn append(chat: &mut Chat, said: &str) {
    match chat.turns.last_mut().and_then(|turn| turn.parts.last_mut()) {
        Some(Part::Text { text, .. }) => text.push_str(said),
        _ => chat.turns.push(Turn::new(Role::User, vec![Part::text(said)])),
    }
}

fn taken(call: &Call) -> Result<Said> {
    let lost = || Error::new(ErrorKind::Internal, "the answer that was to go on is lost");
    call.so_far.as_ref().and_then(|so_far| so_far.take()).ok_or_else(lost)
}
