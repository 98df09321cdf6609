//! A JSON schema through a forced tool, for providers that take schemas with some of their models only
//! ([`Quirk::SchemaAsTool`]): the tool's arguments come back as the answer's text.

use std::collections::HashSet;

use gatewright_catalogue::Quirk;
use gatewright_core::chat::{
    Answer, Chat, Delta, Event, Extra, Finish, Output, Part, PartKind, Tool, ToolChoice,
};
use gatewright_core::{Call, Decode, Json, Operation, RawEvent, Result};

use crate::endpoint::Endpoint;

/// LiteLLM's name for it.
const NAME: &str = "json_tool_call";

/// Whether this call asks for a schema that the model takes through a tool only.
pub(crate) fn applies(call: &Call, endpoint: &Endpoint) -> bool {
    let asks = |json: &Json| {
        json.raw("response_format").is_some_and(|raw| memchr::memmem::find(raw, b"json_schema").is_some())
    };
    call.operation == Operation::Chat
        && !endpoint.facts.structured_output
        && endpoint.quirks.contains(&Quirk::SchemaAsTool)
        && call.body.json().is_some_and(asks)
}

/// The conversation with the schema as a tool that must be called.
pub(crate) fn forced(chat: &Chat) -> Chat {
    let mut chat = chat.clone();
    if let Output::JsonSchema { description, schema, strict, .. } = std::mem::take(&mut chat.output) {
        let name = NAME.to_owned();
        let parameters = Some(schema);
        chat.tools.push(Tool::Function {
            name,
            description,
            parameters,
            strict,
            cache: None,
            extra: Extra::new(),
        });
        chat.tool_choice = Some(ToolChoice::Function(NAME.to_owned()));
    }
    chat
}

/// The answer with the tool's arguments as its text.
pub(crate) fn unforced(mut answer: Answer) -> Answer {
    for choice in &mut answer.choices {
        for part in &mut choice.parts {
            if let Part::ToolCall(call) = part
                && call.name == NAME
            {
                *part = Part::text(std::mem::take(&mut call.arguments));
            }
        }
        let calls = choice.parts.iter().any(|part| matches!(part, Part::ToolCall(_)));
        if choice.finish == Finish::ToolCalls && !calls {
            choice.finish = Finish::Stop;
        }
    }
    answer
}

/// A decoder whose stream has the tool's arguments as its text.
pub(crate) struct Unforced {
    decoder: Box<dyn Decode>,
    /// Parts, by choice and index, that were the tool.
    tools: HashSet<(u32, u32)>,
    /// Choices that called other tools.
    others: HashSet<u32>,
}

// === impl Unforced ===

impl Unforced {
    pub(crate) fn new(decoder: Box<dyn Decode>) -> Self {
        Self { decoder, tools: HashSet::new(), others: HashSet::new() }
    }

    fn change(&mut self, event: &mut Event) {
        match event {
            Event::PartStart { choice, index, kind: kind @ PartKind::ToolCall { .. } } => {
                let ours = matches!(kind, PartKind::ToolCall { name, .. } if name == NAME);
                if ours {
                    self.tools.insert((*choice, *index));
                    *kind = PartKind::Text;
                } else {
                    self.others.insert(*choice);
                }
            }
            Event::PartDelta { choice, index, delta } if self.tools.contains(&(*choice, *index)) => {
                if let Delta::Arguments(text) = delta {
                    *delta = Delta::Text(std::mem::take(text));
                }
            }
            Event::Finish { choice, reason, .. }
                if *reason == Finish::ToolCalls && !self.others.contains(choice) =>
            {
                *reason = Finish::Stop;
            }
            _ => {}
        }
    }
}

impl Decode for Unforced {
    fn event(&mut self, event: RawEvent<'_>, out: &mut Vec<Event>) -> Result<()> {
        let before = out.len();
        self.decoder.event(event, out)?;
        out.iter_mut().skip(before).for_each(|event| self.change(event));
        Ok(())
    }

    fn close(&mut self, out: &mut Vec<Event>) -> Result<()> {
        let before = out.len();
        self.decoder.close(out)?;
        out.iter_mut().skip(before).for_each(|event| self.change(event));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use gatewright_core::chat::{Choice, ToolCall};

    use super::*;

    fn call(name: &str) -> Part {
        Part::ToolCall(ToolCall {
            id: "1".into(),
            name: name.into(),
            arguments: r#"{"a":1}"#.into(),
            cache: None,
        })
    }

    fn answer(parts: Vec<Part>) -> Answer {
        let choice = Choice {
            index: 0,
            parts,
            finish: Finish::ToolCalls,
            stop_sequence: None,
            logprobs: None,
            extra: Extra::new(),
        };
        Answer { choices: vec![choice], ..Answer::default() }
    }

    #[test]
    fn only_the_forced_tool_becomes_text() {
        let only = unforced(answer(vec![call(NAME)]));
        assert_eq!(
            (&only.choices[0].parts[0], only.choices[0].finish),
            (&Part::text(r#"{"a":1}"#), Finish::Stop)
        );
        let both = unforced(answer(vec![call(NAME), call("other")]));
        assert_eq!((&both.choices[0].parts[1], both.choices[0].finish), (&call("other"), Finish::ToolCalls));
    }

    #[test]
    fn a_schema_becomes_a_tool_that_must_be_called() {
        let output = Output::JsonSchema {
            name: "n".into(),
            description: None,
            schema: serde_json::json!({}),
            strict: Some(true),
        };
        let chat = forced(&Chat { output, ..Chat::default() });
        assert_eq!((chat.output, chat.tools.len()), (Output::Text, 1));
        assert_eq!(chat.tool_choice, Some(ToolChoice::Function(NAME.to_owned())));
    }
}
