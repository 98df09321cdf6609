//! Operations with one question and one answer, from the client's dialect to the upstream's and back.

use bytes::Bytes;
use gatewright_core::{
    Body, Call, Error, ErrorKind, Frame, Images, Json, Losses, Operation, ReplyStyle, Result,
};

use crate::endpoint::Endpoint;
use crate::ordered::ordered;

/// The request in the upstream's dialect; `json` is what of it the client may say, where it is JSON.
pub(crate) fn question(
    call: &Call,
    json: Option<&Json>,
    endpoint: &Endpoint,
    losses: &mut Losses,
) -> Result<Bytes> {
    let (theirs, model) = (endpoint.codec, &endpoint.facts);
    let object =
        || json.ok_or_else(|| Error::new(ErrorKind::Unsupported, "this provider takes no such form"));
    match call.operation {
        Operation::Embeddings => {
            let (ours, theirs) = both(call, call.codec.embeddings(), theirs.embeddings())?;
            theirs.encode_request(&ours.decode_request(object()?)?, model, losses)
        }
        Operation::Rerank => {
            let (ours, theirs) = both(call, call.codec.rerank(), endpoint.rank())?;
            theirs.encode_request(&ours.decode_request(object()?)?, model, losses)
        }
        Operation::ImageGenerations | Operation::ImageEdits => {
            let (ours, theirs) = both(call, call.codec.image_client(), theirs.images())?;
            let asked = match json {
                Some(json) => ours.decode_request(&Body::Json(json.clone()))?,
                None => ours.decode_request(&call.body)?,
            };
            theirs.encode_request(&asked, model, losses)
        }
        Operation::Chat | Operation::CountTokens => theirs.encode_request(call.chat()?, model, losses),
        // No two dialects have them yet.
        other => Err(Error::new(ErrorKind::Unsupported, format!("the provider has no {}", other.as_str()))),
    }
}

/// The answer in the client's dialect.
pub(crate) fn answer(call: &Call, endpoint: &Endpoint, body: Bytes, style: &ReplyStyle) -> Result<Frame> {
    let theirs = endpoint.codec;
    match call.operation {
        Operation::Rerank => ranking(call, endpoint, body, style),
        Operation::ImageGenerations | Operation::ImageEdits if call.codec.dialect() != theirs.dialect() => {
            let theirs = theirs.images().ok_or_else(|| missing(call))?;
            drawn(call, &theirs.decode_reply(&body)?, style)
        }
        Operation::Embeddings => {
            let (ours, theirs) = both(call, call.codec.embeddings(), theirs.embeddings())?;
            if call.codec.dialect() == endpoint.codec.dialect() {
                return theirs.relay_reply(body, style);
            }
            let embedded = theirs.decode_reply(&body)?;
            let asked = call.body.json().map(|json| ours.decode_request(json)).transpose()?;
            let encoding = asked.map(|asked| asked.encoding).unwrap_or_default();
            Ok(whole(ours.encode_reply(&embedded, encoding, style), embedded.usage))
        }
        operation => theirs.relay_answer(operation, body, style),
    }
}

fn ranking(call: &Call, endpoint: &Endpoint, body: Bytes, style: &ReplyStyle) -> Result<Frame> {
    let (ours, theirs) = both(call, call.codec.rerank(), endpoint.rank())?;
    let relayed = call.codec.dialect() == endpoint.codec.dialect() && !endpoint.ranks_otherwise();
    let asked = call.body.json().filter(|json| !relayed || json.has("return_documents"));
    let asked = asked.map(|json| ours.decode_request(json)).transpose()?.unwrap_or_default();
    let repeats = asked.return_documents == Some(true);
    if relayed && !repeats {
        return ours.relay_reply(body, style);
    }
    let mut ranking = theirs.decode_reply(&body)?;
    ranking.keep(asked.top_n);
    if repeats {
        ranking.repeat(&asked.documents);
    }
    // Who says nothing of usage bills by the search, or nothing at all.
    ranking.usage = ranking.usage.or_else(|| Some(ordered(call)));
    Ok(whole(ours.encode_reply(&ranking, style), ranking.usage))
}

/// Pictures as the client reads them: a stream that nobody has is its last events.
pub(crate) fn drawn(call: &Call, made: &Images, style: &ReplyStyle) -> Result<Frame> {
    let ours = call.codec.image_client().ok_or_else(|| missing(call))?;
    let data = match call.stream {
        true => ours.encode_events(made, call.operation == Operation::ImageEdits, style),
        false => ours.encode_reply(made, style),
    };
    Ok(whole(data, made.usage))
}

fn whole(data: Bytes, usage: Option<gatewright_core::Usage>) -> Frame {
    let content = u32::try_from(data.len()).unwrap_or(u32::MAX);
    Frame { data, usage, content, last: true }
}

/// Both sides' codecs, where both dialects have the operation.
fn both<O, T>(call: &Call, ours: Option<O>, theirs: Option<T>) -> Result<(O, T)> {
    ours.zip(theirs).ok_or_else(|| missing(call))
}

fn missing(call: &Call) -> Error {
    Error::new(ErrorKind::Unsupported, format!("the provider has no {}", call.operation.as_str()))
}
