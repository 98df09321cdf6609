//! What a request gets that no script was written for: the words `key=value` of its prompt decide.
//!
//! | word | effect |
//! |---|---|
//! | `n=5` | so many words of text |
//! | `in=10 out=5 cached=0 reasoning=0` | the usage |
//! | `delay=50`, `gap=10` | milliseconds before the head, between events |
//! | `status=429`, `retry-after=1` | an error answer |
//! | `flaky=name` | the first request with this name fails with 503 |
//! | `tool=2` | calls the first two tools of the request, unless its last turn is a tool's result |
//! | `think=1` | reasoning with a signature comes first |
//! | `cut=3`, `stall=3`, `error=3` | what happens after three events |
//! | `cut=head` | the connection breaks before the head |
//!
//! A request for structured output gets an object that fits `{"city": string, "degrees": integer}`; a forced tool is
//! called without a word.

use std::collections::{HashMap, HashSet};
use std::sync::{LazyLock, Mutex};

use serde_json::Value;

use super::{Ends, Pause, Said, Script, Seen};

/// The arguments of every tool call, and the object of every structured output.
const OBJECT: &str = r#"{"city":"Paris","degrees":21}"#;

static FLAKY: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// What the words of the request say.
pub(super) fn script(seen: &Seen) -> Script {
    let body = seen.json();
    let words = words(&body);
    let word = |key: &str| words.get(key).map(String::as_str);
    let number = |key: &str, default: u64| word(key).and_then(|text| text.parse().ok()).unwrap_or(default);
    let mut script = Script::says(said(&body, &words));
    if word("cut") == Some("head") {
        script.cut_before_head = true;
    }
    if let Some(name) = word("flaky")
        && FLAKY.lock().unwrap().insert(name.to_owned())
    {
        script = Script::fails(503, "made to fail once");
    }
    if word("status").is_some() {
        script = Script::fails(u16::try_from(number("status", 500)).unwrap_or(500), "made to fail");
    }
    if let Some(wait) = word("retry-after") {
        script = script.header("retry-after", wait);
    }
    if word("delay").is_some() {
        script.before_head = Pause::millis(number("delay", 0));
    }
    if word("gap").is_some() {
        script.between = Pause::millis(number("gap", 0));
    }
    let stops = [("cut", Ends::Cut), ("stall", Ends::Stall), ("error", Ends::Error("made to fail".into()))];
    for (key, how) in stops {
        if let Some(after) = word(key).and_then(|text| text.parse().ok()) {
            script = script.stopping(after, how);
        }
    }
    script
}

fn said(body: &Value, words: &HashMap<String, String>) -> Said {
    let number =
        |key: &str, default: u64| words.get(key).and_then(|text| text.parse().ok()).unwrap_or(default);
    let mut said = Said::words(usize::try_from(number("n", 5)).unwrap_or(5));
    said.used.input = number("in", 10);
    said.used.output = number("out", 5);
    said.used.cached = number("cached", 0);
    said.used.reasoning = number("reasoning", 0);
    said.n = usize::try_from(body["n"].as_u64().unwrap_or(1)).unwrap_or(1);
    let structured = body["response_format"]["type"] == "json_schema"
        || body["response_format"]["type"] == "json_object"
        || body["output_config"]["format"]["type"] == "json_schema"
        || body["output_format"]["type"] == "json_schema"
        || body["generationConfig"]["responseMimeType"] == "application/json"
        || body["text"]["format"]["type"] == "json_schema";
    if structured {
        said.text = pieces();
    }
    let names: Vec<&str> = tool_names(body);
    let forced = forced_tool(body);
    let wanted = match forced {
        Some(_) => 1,
        None if ends_with_result(body) => 0,
        None => usize::try_from(number("tool", 0)).unwrap_or(0),
    };
    if forced.is_some() {
        said.text.clear();
    }
    for (at, name) in forced.into_iter().chain(names).take(wanted).enumerate() {
        said =
            said.tool(&format!("call_{at}"), name, &pieces().iter().map(String::as_str).collect::<Vec<_>>());
    }
    if words.contains_key("think") {
        said = said.thinking(["let me ", "think"], "c2lnbmVk");
    }
    said
}

fn turns(body: &Value) -> &[Value] {
    let inner = &body["generateContentRequest"]["contents"];
    let lists = [&body["messages"], &body["input"], &body["contents"], inner];
    lists.iter().find_map(|list| list.as_array()).map(Vec::as_slice).unwrap_or_default()
}

fn ends_with_result(body: &Value) -> bool {
    turns(body).last().is_some_and(|turn| {
        let mut parts = turn["content"].as_array().or(turn["parts"].as_array()).into_iter().flatten();
        turn["role"] == "tool"
            || turn["type"] == "function_call_output"
            || parts.any(|part| part["type"] == "tool_result" || part.get("functionResponse").is_some())
    })
}

fn words(body: &Value) -> HashMap<String, String> {
    let last = turns(body).iter().rfind(|turn| turn["role"] == "user");
    let bare = Some(&body["input"]).filter(|input| input.is_string()).or(body.get("prompt"));
    let text = match last.map(|turn| turn.get("content").unwrap_or(&turn["parts"])).or(bare) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    };
    text.split_whitespace()
        .filter_map(|word| word.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn tool_names(body: &Value) -> Vec<&str> {
    let tools = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    let declared = tools.iter().filter_map(|tool| tool["functionDeclarations"].as_array()).flatten();
    let all = tools.iter().chain(declared);
    all.filter_map(|tool| tool["function"]["name"].as_str().or(tool["name"].as_str())).collect()
}

fn forced_tool(body: &Value) -> Option<&str> {
    let choice = &body["tool_choice"];
    let calling = &body["toolConfig"]["functionCallingConfig"];
    let any = choice == "required" || choice["type"] == "any" || calling["mode"] == "ANY";
    choice["function"]["name"]
        .as_str()
        .or(calling["allowedFunctionNames"][0].as_str())
        .or(choice["name"].as_str())
        .or_else(|| any.then(|| tool_names(body).first().copied()).flatten())
}

fn pieces() -> Vec<String> {
    OBJECT.as_bytes().chunks(7).map(|piece| String::from_utf8_lossy(piece).into_owned()).collect()
}
