//! Operations with one question and one answer, from the client's dialect to the upstream's and back.

use bytes::Bytes;
use gatewright_core::{Call, Error, ErrorKind, Frame, Json, Losses, Operation, ReplyStyle, Result};

use crate::endpoint::Endpoint;
use crate::ordered::ordered;

/// The request in the upstream's dialect.
pub(crate) fn question(call: &Call, json: &Json, endpoint: &Endpoint, losses: &mut Losses) -> Result<Bytes> {
    let (theirs, model) = (endpoint.codec, &endpoint.facts);
    match call.operation {
        Operation::Embeddings => {
            let (ours, theirs) = both(call, call.codec.embeddings(), theirs.embeddings())?;
            theirs.encode_request(&ours.decode_request(json)?, model, losses)
        }
        Operation::Rerank => {
            let (ours, theirs) = both(call, call.codec.rerank(), endpoint.rank())?;
            theirs.encode_request(&ours.decode_request(json)?, model, losses)
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

fn whole(data: Bytes, usage: Option<gatewright_core::Usage>) -> Frame {
    let content = u32::try_from(data.len()).unwrap_or(u32::MAX);
    Frame { data, usage, content, last: true }
}

/// Both sides' codecs, where both dialects have the operation.
fn both<A: ?Sized, B: ?Sized>(
    call: &Call,
    ours: Option<&'static A>,
    theirs: Option<&'static B>,
) -> Result<(&'static A, &'static B)> {
    ours.zip(theirs).ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, format!("the provider has no {}", call.operation.as_str()))
    })
}
