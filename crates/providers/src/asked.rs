//! Operations with one question and one answer, from the client's dialect to the upstream's and back.

use bytes::Bytes;
use gatewright_core::{
    Call, Codec, Error, ErrorKind, Frame, Json, Losses, ModelFacts, Operation, ReplyStyle, Result,
};

/// The request in the upstream's dialect.
pub(crate) fn question(
    call: &Call,
    json: &Json,
    (theirs, model): (&dyn Codec, &ModelFacts),
    losses: &mut Losses,
) -> Result<Bytes> {
    match call.operation {
        Operation::Embeddings => {
            let (ours, theirs) = both(call, call.codec.embeddings(), theirs.embeddings())?;
            theirs.encode_request(&ours.decode_request(json)?, model, losses)
        }
        Operation::Rerank => {
            let (ours, theirs) = both(call, call.codec.rerank(), theirs.rerank())?;
            theirs.encode_request(&ours.decode_request(json)?, model, losses)
        }
        Operation::Chat | Operation::CountTokens => theirs.encode_request(call.chat()?, model, losses),
        // No two dialects have them yet.
        other => Err(Error::new(ErrorKind::Unsupported, format!("the provider has no {}", other.as_str()))),
    }
}

/// The answer in the client's dialect.
pub(crate) fn answer(call: &Call, theirs: &dyn Codec, body: Bytes, style: &ReplyStyle) -> Result<Frame> {
    let same = call.codec.dialect() == theirs.dialect();
    match call.operation {
        Operation::Rerank => {
            let (ours, theirs) = both(call, call.codec.rerank(), theirs.rerank())?;
            let asked = call.body.json().filter(|json| json.has("return_documents"));
            let asked = asked.map(|json| ours.decode_request(json)).transpose()?;
            let repeats = asked.filter(|asked| asked.return_documents == Some(true));
            if same && repeats.is_none() {
                return theirs.relay_reply(body, style);
            }
            let mut ranking = theirs.decode_reply(&body)?;
            if let Some(asked) = repeats {
                ranking.repeat(&asked.documents);
            }
            Ok(whole(ours.encode_reply(&ranking, style), ranking.usage))
        }
        operation if operation != Operation::Embeddings => theirs.relay_answer(operation, body, style),
        _ => {
            let (ours, theirs) = both(call, call.codec.embeddings(), theirs.embeddings())?;
            if same {
                return theirs.relay_reply(body, style);
            }
            let embedded = theirs.decode_reply(&body)?;
            let asked = call.body.json().map(|json| ours.decode_request(json)).transpose()?;
            let encoding = asked.map(|asked| asked.encoding).unwrap_or_default();
            Ok(whole(ours.encode_reply(&embedded, encoding, style), embedded.usage))
        }
    }
}

fn whole(data: Bytes, usage: Option<gatewright_core::Usage>) -> Frame {
    let content = u32::try_from(data.len()).unwrap_or(u32::MAX);
    Frame { data, usage, content, last: true }
}

/// Both sides' codecs, where both dialects have the operation.
fn both<T: ?Sized>(
    call: &Call,
    ours: Option<&'static T>,
    theirs: Option<&'static T>,
) -> Result<(&'static T, &'static T)> {
    ours.zip(theirs).ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, format!("the provider has no {}", call.operation.as_str()))
    })
}
