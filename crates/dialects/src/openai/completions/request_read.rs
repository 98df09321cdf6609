//! A client's request: its prompt is what the user says.

use gatewright_core::body::JsonField;
use gatewright_core::chat::{Chat, Part, Role, Turn};
use gatewright_core::{Json, Result};
use serde_json::{Map, Value};

use super::prompt;

/// Reads a request.
pub(super) fn read(body: &Json) -> Result<Chat> {
    let text = prompt::only_text(body)?;
    let mut chat = Chat { turns: vec![Turn::new(Role::User, vec![Part::text(text)])], ..Chat::default() };
    for field in body.fields() {
        take(&field, &mut chat)?;
    }
    Ok(chat)
}

fn take(field: &JsonField<'_>, chat: &mut Chat) -> Result<()> {
    let sampling = &mut chat.sampling;
    match &*field.key {
        // An echo is written where the answer is; a best of one is the usual.
        "model" | "prompt" | "echo" => {}
        "best_of" if field.raw == b"1" => {}
        "temperature" => sampling.temperature = field.get()?,
        "top_p" => sampling.top_p = field.get()?,
        "top_k" => sampling.top_k = field.get()?,
        "frequency_penalty" => sampling.frequency_penalty = field.get()?,
        "presence_penalty" => sampling.presence_penalty = field.get()?,
        "seed" => sampling.seed = field.get()?,
        "logit_bias" => sampling.logit_bias = field.get()?,
        "logprobs" => {
            sampling.top_logprobs = field.get()?;
            sampling.logprobs = sampling.top_logprobs.map(|_| true);
        }
        "max_tokens" => chat.max_output = field.get()?,
        "stop" => chat.stop = stop(field)?,
        "n" => chat.n = field.get()?,
        "stream" => chat.stream = field.flag()?,
        "user" => chat.user = field.get()?,
        "service_tier" => chat.service_tier = field.get()?,
        "stream_options" => {
            // Usage in a stream is the gateway's own affair.
            let mut options: Map<String, Value> = field.get()?.unwrap_or_default();
            options.shift_remove("include_usage");
            if !options.is_empty() {
                chat.extra.insert("stream_options".to_owned(), Value::Object(options));
            }
        }
        key => chat.extra.extend(field.get::<Value>()?.map(|value| (key.to_owned(), value))),
    }
    Ok(())
}

fn stop(field: &JsonField<'_>) -> Result<Vec<String>> {
    match field.raw {
        [b'"', ..] => Ok(field.get()?.into_iter().collect()),
        _ => Ok(field.get()?.unwrap_or_default()),
    }
}
