//! Operations that only OpenAI's dialect has: the provider's own answer comes, under the model's public name.

use serde_json::Value;

use super::Case;
use crate::answer::{completions, events};
use crate::client::Response;

/// What differs between what a client got and what the provider answered; empty where that is nothing.
pub fn passed(case: &Case, alias: &str, response: &Response) -> Vec<String> {
    let reply = &case.upstream_response;
    let mut misses = Vec::new();
    if response.status != reply.status {
        misses.push(format!("status {}, not {}: {}", response.status, reply.status, response.text()));
    }
    if let Some(message) = case.expect.error.as_ref().and_then(|error| error["message"].as_str()) {
        if !response.text().contains(message) {
            misses.push(format!("the error says {}, not {message:?}", response.text()));
        }
        return misses;
    }
    let kind = reply.headers.get("content-type").map(String::as_str).unwrap_or_default();
    let same = match kind.split(';').next().unwrap_or_default() {
        "application/json" => same_json(alias, &reply.body.bytes(), &response.body),
        "text/event-stream" => same_events(alias, &reply.body.bytes(), &response.body),
        _ => response.body == reply.body.bytes() && response.header("content-type") == kind,
    };
    if !same {
        misses.push(format!("answered {:.400}", response.text()));
    }
    misses
}

/// The same text as the answer of a conversation, for clients that hold one with a model that continues texts; `None` for
/// anything but texts.
pub fn as_conversation(case: &Case) -> Option<Case> {
    if !case.client_request.path.ends_with("/completions") {
        return None;
    }
    let body = case.upstream_response.body.bytes();
    let got = match case.stream {
        true => completions::stream(&body),
        false => completions::whole(&serde_json::from_slice(&body).unwrap_or_default()),
    };
    let mut told = case.clone();
    told.expect.text = got.text;
    told.expect.finish = got.finish;
    told.expect.usage = got
        .usage
        .map(|usage| [("prompt".to_owned(), usage.input), ("completion".to_owned(), usage.output)].into())
        .unwrap_or_default();
    Some(told)
}

fn same_json(alias: &str, expected: &[u8], got: &[u8]) -> bool {
    let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    parse(expected).map(|expected| named(expected, alias)) == parse(got)
}

fn same_events(alias: &str, expected: &[u8], got: &[u8]) -> bool {
    let read = |(_, data): (String, String)| {
        serde_json::from_str::<Value>(&data).map(|event| named(event, alias)).unwrap_or_else(|_| data.into())
    };
    let expected: Vec<Value> = events(expected).into_iter().map(read).collect();
    let got: Vec<Value> = events(got).into_iter().map(read).collect();
    expected == got
}

fn named(mut answer: Value, alias: &str) -> Value {
    if answer.get("model").is_some_and(|model| !model.is_null()) {
        answer["model"] = alias.into();
    }
    answer
}
