//! Messages of a request.

use gatewright_core::chat::{Part, Role, ToolCall, ToolResult, Turn};
use gatewright_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value};

use super::message::Message;
use super::{arguments, extra_of, part, take_list, take_object, take_string, thought, tool};

/// Reads messages one by one; remembers calls of the older `function_call` form, which have no ids.
#[derive(Default)]
pub(super) struct Turns {
    unnamed: Vec<(String, String)>,
    read: usize,
}

impl Turns {
    /// The next message.
    pub(super) fn read(&mut self, message: Message<'_>) -> Result<Turn> {
        let at = self.read;
        self.read += 1;
        let wrong = |what: &str, field: &str| {
            Error::new(
                ErrorKind::InvalidRequest,
                format!("invalid value for 'messages[{at}]{field}': {what}"),
            )
            .with_param(format!("messages[{at}]{field}"))
        };
        let Message::Fields { role, content, rest } = message else {
            return Err(wrong("expected an object", ""));
        };
        let Some(role) = role else {
            return Err(wrong("expected a role", ".role"));
        };
        match &*role {
            "system" => Ok(turn(Role::System, content, rest)),
            "developer" => Ok(turn(Role::Developer, content, rest)),
            "user" => Ok(turn(Role::User, content, rest)),
            "assistant" => Ok(self.model(content, rest)),
            "tool" => Ok(result(content, rest)),
            "function" => Ok(self.function_result(content, rest)),
            _ => Err(wrong("expected system, developer, user, assistant, tool or function", ".role")),
        }
    }

    fn model(&mut self, mut content: Vec<Part>, mut message: Map<String, Value>) -> Turn {
        let mut parts = thought::take(&mut message);
        parts.append(&mut content);
        parts.extend(take_string(&mut message, "refusal").filter(|text| !text.is_empty()).map(Part::Refusal));
        let calls = take_list(&mut message, "tool_calls").unwrap_or_default();
        let thoughts = parts.len();
        for call in calls {
            // A call's signature stands before it as reasoning without a text, unless the thinking has brought it.
            let signature = tool::signature(&call);
            let known =
                |part: &Part| matches!(part, Part::Reasoning { signature: own, .. } if *own == signature);
            if signature.is_some() && !parts.iter().take(thoughts).any(known) {
                parts.push(Part::Reasoning { text: String::new(), signature });
            }
            parts.extend(tool::call(call).map(Part::ToolCall));
        }
        if let Some(call) = take_object(&mut message, "function_call") {
            parts.push(Part::ToolCall(self.function_call(call)));
        }
        // What clients echo of an answer and no provider wants back.
        for key in ["function_call", "provider_specific_fields", "annotations"] {
            if message.get(key).is_some_and(|value| value.is_null() || key != "function_call") {
                message.shift_remove(key);
            }
        }
        turn(Role::Assistant, parts, message)
    }

    fn function_call(&mut self, mut call: Map<String, Value>) -> ToolCall {
        let name = take_string(&mut call, "name").unwrap_or_default();
        let id = format!("call_function_{}", self.unnamed.len());
        self.unnamed.push((name.clone(), id.clone()));
        ToolCall { id, name, arguments: arguments(call.shift_remove("arguments")), cache: None }
    }

    /// The older `function` message answers the last call of its name.
    fn function_result(&mut self, content: Vec<Part>, mut message: Map<String, Value>) -> Turn {
        let name = take_string(&mut message, "name").unwrap_or_default();
        let known = self.unnamed.iter().rev().find(|(called, _)| *called == name);
        let id = known.map_or(name.clone(), |(_, id)| id.clone());
        message.insert("tool_call_id".into(), id.into());
        result(content, message)
    }
}

fn result(parts: Vec<Part>, mut message: Map<String, Value>) -> Turn {
    let id = take_string(&mut message, "tool_call_id").unwrap_or_default();
    let is_error = message.shift_remove("is_error") == Some(Value::Bool(true));
    let cache = part::take_mark(&mut message);
    let result = Part::ToolResult(ToolResult { id, parts, is_error, cache });
    turn(Role::User, vec![result], message)
}

fn turn(role: Role, mut parts: Vec<Part>, mut message: Map<String, Value>) -> Turn {
    let name = take_string(&mut message, "name");
    // A mark on the message stands for one on its last part.
    if let (Some(mark), Some(last)) = (part::take_mark(&mut message), parts.last_mut()) {
        part::mark(last, mark);
    }
    Turn { role, parts, name, extra: extra_of(message) }
}
