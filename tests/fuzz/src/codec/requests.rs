//! Requests: what can be read can be written, and reads the same again.

use bytes::Bytes;
use gatewright_core::chat::{Chat, Extra, Part, Turn};
use gatewright_core::{Codec, Dialect, Json, JsonLimits, Losses, ModelFacts, ReasoningControl};
use gatewright_dialects::of;

use super::{ALL, is_json, show};

const LIMITS: JsonLimits = JsonLimits { depth: 128, fields: 1000 };

/// Checks one input.
pub(super) fn check(codec: &dyn Codec, data: &[u8]) {
    let Ok(body) = Json::parse(Bytes::copy_from_slice(data), LIMITS) else { return };
    readdress(codec, &body);
    let Ok(chat) = codec.decode_request(&body) else { return };
    for dialect in ALL {
        for facts in facts() {
            encode(of(dialect), &chat, &facts);
        }
    }
    again(codec, &chat);
}

fn readdress(codec: &dyn Codec, body: &Json) {
    let mut body = body.clone();
    codec.readdress(&mut body, "m\"");
    let whole = body.to_bytes();
    let again = Json::parse(whole.clone(), LIMITS).unwrap_or_else(|err| panic!("{err}: {}", show(&whole)));
    // Google's model stands in the address.
    let named = (codec.dialect() != Dialect::Gemini).then_some("m\"");
    assert_eq!(again.string("model").ok().flatten().as_deref(), named, "{}", show(&whole));
}

fn encode(codec: &dyn Codec, chat: &Chat, facts: &ModelFacts) -> Option<(Bytes, bool)> {
    let mut losses = Losses::default();
    let body = codec.encode_request(chat, facts, &mut losses).ok()?;
    assert!(is_json(&body), "{:?} for {facts:?}: {}", codec.dialect(), show(&body));
    if let Err(err) = Json::parse(body.clone(), LIMITS) {
        assert!(err.message().contains("nested too deeply"), "{err}: {}", show(&body));
    }
    Some((body, losses == Losses::default()))
}

/// Where nothing was lost, the conversation reads as it was; and what was normalised once stays as it is.
fn again(codec: &dyn Codec, chat: &Chat) {
    let facts = facts_for(codec.dialect());
    let Some((body, true)) = encode(codec, chat, &facts) else { return };
    let Some(once) = decode(codec, &body) else { return };
    let dialect = codec.dialect();
    // Gemini's signatures move to the part that they belong to, and documents of text are text.
    if dialect != Dialect::Gemini {
        assert_eq!(bare(&once.turns, dialect), bare(&chat.turns, dialect), "{}", show(&body));
    }
    let Some((body, true)) = encode(codec, &once, &facts) else {
        panic!("lossless, then lossy: {}", show(&body));
    };
    let Some(twice) = decode(codec, &body) else { return };
    assert_eq!(twice, once, "{}", show(&body));
}

/// `None` where the writing made it deeper than may be read.
fn decode(codec: &dyn Codec, body: &Bytes) -> Option<Chat> {
    let json = Json::parse(body.clone(), LIMITS).ok()?;
    Some(codec.decode_request(&json).unwrap_or_else(|err| panic!("{err}: {}", show(body))))
}

/// Turns without what may change on the way: fields and citations that only one dialect knows may go, names of files
/// and arguments are made up where they are demanded, text that says nothing is none, and in Anthropic's
/// dialect a turn that says nothing is none either, and whoever speaks twice in a row speaks once.
fn bare(turns: &[Turn], dialect: Dialect) -> Vec<Turn> {
    let joins = dialect == Dialect::AnthropicMessages;
    let mut bare: Vec<Turn> = Vec::new();
    for turn in turns {
        let mut turn = Turn { extra: Extra::new(), ..turn.clone() };
        strip(&mut turn.parts);
        if joins && turn.parts.is_empty() {
            continue;
        }
        match bare.last_mut() {
            Some(last) if joins && last.role == turn.role && last.name == turn.name => last.parts.append(&mut turn.parts),
            _ => bare.push(turn),
        }
    }
    bare
}

fn strip(parts: &mut Vec<Part>) {
    parts.retain(|part| *part != Part::text(""));
    for part in parts {
        match part {
            Part::Text { citations, .. } => citations.clear(),
            Part::ToolCall(call) if call.arguments.is_empty() => call.arguments.push_str("{}"),
            Part::Media(media) => {
                media.extra.clear();
                media.name = None;
            }
            Part::ToolResult(result) => strip(&mut result.parts),
            _ => {}
        }
    }
}

fn facts() -> impl Iterator<Item = ModelFacts> {
    use ReasoningControl::{Adaptive, Budget, Effort, None};
    [None, Effort, Budget, Adaptive].into_iter().flat_map(|reasoning| {
        [false, true].map(|structured_output| ModelFacts {
            name: "claude-x".into(),
            max_output: structured_output.then_some(64_000),
            reasoning,
            structured_output,
            document_links: structured_output,
        })
    })
}

/// A model that can do all that the dialect can say.
fn facts_for(dialect: Dialect) -> ModelFacts {
    let reasoning = match dialect {
        Dialect::AnthropicMessages => ReasoningControl::Adaptive,
        _ => ReasoningControl::Effort,
    };
    ModelFacts { name: "claude-x".into(), max_output: Some(64_000), reasoning, structured_output: true, document_links: true }
}
