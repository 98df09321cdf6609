//! Calls in Google's way: the model stands in the path, and behind its colon what is asked for.

use std::sync::Arc;

use axum::body::Body;
use axum::http::request::Parts;
use axum::response::Response;
use gatewright_core::{CallId, CallService, Dialect, Error, ErrorKind, Operation};

use crate::gateway::peer;
use crate::llm::{Streams, Way};
use crate::{Gateway, call_name, llm, respond};

/// Answers `models/{model}:{verb}`.
pub(crate) async fn answer<S: CallService>(gateway: &Arc<Gateway<S>>, parts: Parts, body: Body) -> Response {
    let peer = peer(&parts);
    let (named, request) = llm::name_in_path(parts, body).await;
    let named = named.unwrap_or_default();
    let query = request.uri().query().unwrap_or_default();
    let Some((model, operation, streams)) = read(&named, query) else {
        let words =
            format!("there is no '{named}'; ask for generateContent, streamGenerateContent or countTokens");
        let name = call_name::told(call_name::said(request.headers()), CallId::fresh());
        let err = Error::new(ErrorKind::NotFound, words);
        return respond::error(&err, gatewright_dialects::of(Dialect::Gemini), name);
    };
    let model = Some(model.to_owned());
    let way = Way { operation, dialect: Dialect::Gemini, model, streams, peer };
    llm::answer(gateway, way, request).await
}

/// The model, what is asked of it, and how the answer comes.
fn read<'a>(named: &'a str, query: &str) -> Option<(&'a str, Operation, Streams)> {
    let (model, verb) = named.rsplit_once(':').filter(|(model, _)| !model.is_empty())?;
    let events = query.split('&').any(|pair| pair == "alt=sse");
    let (operation, streams) = match verb {
        "generateContent" => (Operation::Chat, Streams::Never),
        "streamGenerateContent" if events => (Operation::Chat, Streams::AsEvents),
        "streamGenerateContent" => (Operation::Chat, Streams::AsList),
        "countTokens" => (Operation::CountTokens, Streams::Never),
        _ => return None,
    };
    Some((model, operation, streams))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_says_what_is_asked_of_whom() {
        for (named, query, want) in [
            ("m:generateContent", "", Some(("m", Operation::Chat, Streams::Never))),
            ("m:streamGenerateContent", "key=k&alt=sse", Some(("m", Operation::Chat, Streams::AsEvents))),
            ("m:streamGenerateContent", "alt=json", Some(("m", Operation::Chat, Streams::AsList))),
            ("a/b:8b:countTokens", "", Some(("a/b:8b", Operation::CountTokens, Streams::Never))),
            ("m:embedContent", "", None),
            (":generateContent", "", None),
            ("m", "", None),
        ] {
            assert_eq!(read(named, query), want, "{named}?{query}");
        }
    }
}
