//! `/v1/responses/{id}` and what stands below it: answers that are kept here, or by the upstream that gave them.

use axum::response::Response;
use bytes::Bytes;
use gatewright_core::{CallId, Dialect, Error, ErrorKind, Result};
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Conversation, items, owner, unknown};
use crate::gateway::peer;
use crate::{Ports, call_name, respond};

/// How many items a page has unless its client says otherwise, and the most.
const PAGE: usize = 20;
const LARGEST_PAGE: usize = 100;

/// What is asked about an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The answer itself.
    Answer,
    /// That it be forgotten.
    Forget,
    /// What it answers.
    Input,
    /// That it be made no further.
    Cancel,
}

/// Answers one question about a kept answer.
pub(crate) async fn answer(ports: &Ports, about: About, id: &str, parts: &Parts) -> Response {
    match told(ports, about, id, parts).await {
        Ok((status, body)) => respond::document(status, body),
        Err(err) => {
            let name = call_name::told(call_name::said(&parts.headers), CallId::fresh());
            respond::error(&err, gatewright_dialects::of(Dialect::OpenAiResponses), name)
        }
    }
}

async fn told(ports: &Ports, about: About, id: &str, parts: &Parts) -> Result<(StatusCode, Bytes)> {
    let caller = ports.caller(&parts.headers, &parts.uri, peer(parts)).await?;
    let owner = owner(&caller);
    let Some(kept) = ports.conversations.find(&owner, id).await? else { return Err(unknown(id)) };
    let query = parts.uri.query();
    let Some(conversation) = &kept.conversation else {
        let answered = ports.upstreams.ask(&kept.deployment, about.method(), &about.tail(id, query)).await?;
        if about == About::Forget && answered.0.is_success() {
            ports.conversations.forget(&owner, id).await?;
        }
        return Ok(answered);
    };
    let body = match about {
        About::Answer => conversation.response.clone(),
        About::Input => page(conversation, id, query.unwrap_or_default())?.to_string().into(),
        About::Forget => {
            ports.conversations.forget(&owner, id).await?;
            json!({"id": id, "object": "response.deleted", "deleted": true}).to_string().into()
        }
        // It was whole before it was kept.
        About::Cancel => {
            let words = "Cannot cancel a synchronous response.";
            return Err(Error::new(ErrorKind::InvalidRequest, words));
        }
    };
    Ok((StatusCode::OK, body))
}

// === impl About ===

impl About {
    fn method(self) -> Method {
        match self {
            Self::Answer | Self::Input => Method::GET,
            Self::Forget => Method::DELETE,
            Self::Cancel => Method::POST,
        }
    }

    /// What stands behind the path of all answers.
    fn tail(self, id: &str, query: Option<&str>) -> String {
        let below = match self {
            Self::Answer | Self::Forget => "",
            Self::Input => "/input_items",
            Self::Cancel => "/cancel",
        };
        match query {
            Some(query) => format!("/{id}{below}?{query}"),
            None => format!("/{id}{below}"),
        }
    }
}

/// A page of the items that were answered; the newest first unless the client says otherwise.
fn page(conversation: &Conversation, id: &str, query: &str) -> Result<Value> {
    let asked = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
    let limit = asked("limit").and_then(|text| text.parse().ok()).unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
    let mut all: Vec<Value> = items::read(&conversation.input)?;
    for (at, item) in all.iter_mut().enumerate() {
        name(item, id, at);
    }
    if asked("order") != Some("asc") {
        all.reverse();
    }
    let named = |item: &Value, id: &str| item["id"].as_str() == Some(id);
    let from = asked("after").and_then(|after| all.iter().position(|item| named(item, after)));
    let rest = all.split_off(from.map_or(0, |at| at + 1));
    let shown = rest.iter().take(limit).cloned().collect::<Vec<_>>();
    let end = |item: Option<&Value>| item.map(|item| item["id"].clone()).unwrap_or_default();
    Ok(json!({
        "object": "list",
        "first_id": end(shown.first()),
        "last_id": end(shown.last()),
        "has_more": rest.len() > shown.len(),
        "data": shown,
    }))
}

/// Items need names to be paged by; those of clients seldom have some.
fn name(item: &mut Value, response: &str, at: usize) {
    let Value::Object(fields) = item else { return };
    let seed = response.strip_prefix("resp_").unwrap_or(response);
    fields.entry("type").or_insert_with(|| "message".into());
    fields.entry("id").or_insert_with(|| format!("item_{seed}_{at}").into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_answered_is_told_in_pages() {
        let input = json!([{"role": "user", "content": "a"}, {"id": "x", "type": "message"}, {"id": "y", "type": "message"}]);
        let told = Conversation { input: input.to_string().into(), response: Bytes::new() };
        for (query, ids, more) in [
            ("", json!(["y", "x", "item_1_0"]), false),
            ("order=asc&limit=2", json!(["item_1_0", "x"]), true),
            ("order=asc&after=x", json!(["y"]), false),
            ("limit=0", json!(["y"]), true),
        ] {
            let page = page(&told, "resp_1", query).unwrap();
            let got: Vec<&Value> = page["data"].as_array().unwrap().iter().map(|item| &item["id"]).collect();
            assert_eq!((json!(got), page["has_more"].as_bool().unwrap()), (ids, more), "{query}");
        }
    }
}
