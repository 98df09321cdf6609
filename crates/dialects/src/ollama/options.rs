//! `options`: how the model chooses its words, and how it is run.

use bytes::Bytes;
use gatewright_core::Json;
use gatewright_core::chat::Chat;
use serde_json::{Map, Value};

use crate::sampling::numbers;

/// What runs the model: nobody else's, so that another dialect's request may have them beside its own fields.
const OWN: [&str; 14] = [
    "draft_num_predict",
    "main_gpu",
    "min_p",
    "mirostat",
    "mirostat_eta",
    "mirostat_tau",
    "num_batch",
    "num_ctx",
    "num_gpu",
    "num_keep",
    "num_thread",
    "repeat_last_n",
    "repeat_penalty",
    "typical_p",
];

/// What the dialect calls otherwise than most.
const RENAMED: [(&str, &str); 2] = [("max_tokens", CAP), ("max_completion_tokens", CAP)];

/// What it calls like the others, in `options` all the same.
const SHARED: [&str; 8] =
    ["temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "seed", "stop", "num_predict"];

/// The most tokens that the model may write.
const CAP: &str = "num_predict";

/// Whether another dialect's field belongs in here.
pub(super) fn is_own(field: &str) -> bool {
    OWN.contains(&field) || field == "options"
}

/// Writes what a conversation says.
pub(super) fn written(chat: &Chat) -> Map<String, Value> {
    let mut options = match chat.extra.get("options") {
        Some(Value::Object(own)) => own.clone(),
        _ => Map::new(),
    };
    let own = chat.extra.iter().filter(|(key, _)| OWN.contains(&key.as_str()));
    options.extend(own.map(|(key, value)| (key.clone(), value.clone())));
    let more = [
        ("stop", (!chat.stop.is_empty()).then(|| chat.stop.as_slice().into())),
        (CAP, chat.max_output.map(Value::from)),
    ];
    let fields = numbers(&chat.sampling).into_iter().chain(more);
    options.extend(fields.filter_map(|(key, value)| Some((key.to_owned(), value?))));
    options
}

/// Reads a client's options; those that only this dialect knows are answered.
pub(super) fn read(mut options: Map<String, Value>, chat: &mut Chat) -> Map<String, Value> {
    let sampling = &mut chat.sampling;
    let mut number = |key: &str| options.shift_remove(key).as_ref().and_then(Value::as_f64);
    sampling.temperature = number("temperature");
    sampling.top_p = number("top_p");
    sampling.frequency_penalty = number("frequency_penalty");
    sampling.presence_penalty = number("presence_penalty");
    sampling.seed = options.shift_remove("seed").and_then(|seed| seed.as_i64());
    sampling.top_k = options.shift_remove("top_k").and_then(|k| k.as_u64());
    // A negative cap is none.
    chat.max_output = options.shift_remove(CAP).and_then(|most| most.as_u64());
    chat.stop = match options.shift_remove("stop") {
        Some(Value::Array(stops)) => stops.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(stop)) => vec![stop],
        _ => Vec::new(),
    };
    options
}

/// The most tokens that an answer may have.
pub(super) fn stated_cap(body: &Json) -> Option<u64> {
    body.get::<Map<String, Value>>("options").ok()??.get(CAP)?.as_u64()
}

/// Lets an answer have no more than `cap` tokens.
pub(super) fn cap(body: &mut Json, cap: u64) {
    change(body, |options| {
        let own = options.get(CAP).and_then(Value::as_u64).unwrap_or(u64::MAX);
        options.insert(CAP.to_owned(), own.min(cap).into());
    });
}

/// Gives a field that an operator set; `false` where it is none of these.
pub(super) fn set_default(body: &mut Json, field: &str, value: &Bytes) -> bool {
    let renamed = RENAMED.iter().find(|(theirs, _)| *theirs == field).map(|(_, own)| *own);
    let Some(key) = renamed.or_else(|| (OWN.contains(&field) || SHARED.contains(&field)).then_some(field))
    else {
        return false;
    };
    if let Ok(value) = serde_json::from_slice::<Value>(value) {
        change(body, |options| {
            options.entry(key).or_insert(value);
        });
    }
    true
}

/// What is no object there is the server's to refuse.
fn change(body: &mut Json, change: impl FnOnce(&mut Map<String, Value>)) {
    let Ok(options) = body.get::<Map<String, Value>>("options") else { return };
    let mut options = options.unwrap_or_default();
    change(&mut options);
    body.set("options", Value::Object(options).to_string());
}
