//! A stream's events put together again, as the whole answer that they tell.

use gatewright_core::chat::{Answer, Choice, Delta, Event, Extra, Finish, Part, PartKind, ToolCall};
use serde_json::Value;

/// An answer that is being put together. What is cut off gives what came.
#[derive(Default)]
pub(crate) struct Gathered {
    answer: Answer,
    choices: Vec<Gathering>,
}

/// One choice, with the numbers of its parts.
struct Gathering {
    choice: Choice,
    parts: Vec<u32>,
}

/// The whole answer that a stream's events tell.
pub fn gather(events: impl IntoIterator<Item = Event>) -> Answer {
    let mut gathered = Gathered::default();
    events.into_iter().for_each(|event| gathered.take(event));
    gathered.into_answer()
}

// === impl Gathered ===

impl Gathered {
    /// Takes what happened next.
    pub(crate) fn take(&mut self, event: Event) {
        match event {
            Event::Start { id, model, created, extra } => {
                let Answer { choices, usage, service_tier, .. } = std::mem::take(&mut self.answer);
                self.answer = Answer { id, model, created, extra, choices, usage, service_tier };
            }
            Event::PartStart { choice, index, kind } => self.choice(choice).begin(index, kind),
            Event::PartDelta { choice, index, delta } => {
                if let Some(part) = self.choice(choice).part(index) {
                    add(part, delta);
                }
            }
            Event::PartEnd { choice, index } => {
                if let Some(Part::Other(value)) = self.choice(choice).part(index) {
                    settle_input(value);
                }
            }
            Event::Logprobs { choice, value } => {
                let logprobs = &mut self.choice(choice).choice.logprobs;
                match logprobs {
                    Some(known) => extend(known, value),
                    None => *logprobs = Some(value),
                }
            }
            Event::Usage(usage) => self.answer.usage = Some(usage),
            Event::Finish { choice, reason, stop_sequence } => {
                let choice = &mut self.choice(choice).choice;
                (choice.finish, choice.stop_sequence) = (reason, stop_sequence);
            }
            Event::Ping | Event::End => {}
        }
    }

    /// What came, as an answer.
    pub(crate) fn into_answer(self) -> Answer {
        let mut choices: Vec<Choice> = self.choices.into_iter().map(|gathering| gathering.choice).collect();
        choices.sort_by_key(|choice| choice.index);
        Answer { choices, ..self.answer }
    }

    fn choice(&mut self, index: u32) -> &mut Gathering {
        let at = match self.choices.iter().position(|gathering| gathering.choice.index == index) {
            Some(at) => at,
            None => {
                self.choices.push(Gathering::of(index));
                self.choices.len() - 1
            }
        };
        &mut self.choices[at]
    }
}

// === impl Gathering ===

impl Gathering {
    fn of(index: u32) -> Self {
        let choice = Choice {
            index,
            parts: Vec::new(),
            finish: Finish::default(),
            stop_sequence: None,
            logprobs: None,
            extra: Extra::new(),
        };
        Self { choice, parts: Vec::new() }
    }

    fn begin(&mut self, index: u32, kind: PartKind) {
        self.parts.push(index);
        self.choice.parts.push(begun(kind));
    }

    fn part(&mut self, index: u32) -> Option<&mut Part> {
        let at = self.parts.iter().rposition(|known| *known == index)?;
        self.choice.parts.get_mut(at)
    }
}

fn begun(kind: PartKind) -> Part {
    match kind {
        PartKind::Text => Part::text(""),
        PartKind::Reasoning => Part::Reasoning { text: String::new(), signature: None },
        PartKind::RedactedReasoning { data } => Part::RedactedReasoning { data },
        PartKind::ToolCall { id, name } => {
            Part::ToolCall(ToolCall { id, name, arguments: String::new(), cache: None })
        }
        PartKind::Refusal => Part::Refusal(String::new()),
        PartKind::Other(value) => Part::Other(value),
    }
}

/// What does not belong to its part is left out: it is a record, and no reason to fail.
fn add(part: &mut Part, delta: Delta) {
    match (part, delta) {
        (Part::Text { text, .. } | Part::Refusal(text), Delta::Text(more))
        | (Part::Reasoning { text, .. }, Delta::Reasoning(more)) => text.push_str(&more),
        (Part::ToolCall(call), Delta::Arguments(more)) => call.arguments.push_str(&more),
        (Part::Reasoning { signature, .. }, Delta::Signature(more)) => *signature = Some(more),
        (Part::Text { citations, .. }, Delta::Citation(citation)) => citations.push(citation),
        (Part::Other(known), Delta::Other(more)) => extend(known, more),
        _ => {}
    }
}

/// The fields of a stream that come in pieces, of the parts that only one dialect knows.
const PIECES: [&str; 3] = ["partial_json", "data", "transcript"];

/// Adds what came later: lists grow, texts that come in pieces are joined, anything else is what it was last.
fn extend(known: &mut Value, more: Value) {
    let (Value::Object(known), Value::Object(more)) = (known, more) else { return };
    for (name, value) in more {
        match (known.get_mut(&name), value) {
            (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
            (Some(Value::String(text)), Value::String(more)) if PIECES.contains(&&*name) => {
                text.push_str(&more);
            }
            // What kind of part it is, its start has said.
            (Some(_), _) if name == "type" => {}
            (_, value) => {
                known.insert(name, value);
            }
        }
    }
}

/// The input of a tool that the provider runs, which came as pieces of text.
fn settle_input(value: &mut Value) {
    let Some(fields) = value.as_object_mut() else { return };
    let Some(Value::String(text)) = fields.shift_remove("partial_json") else { return };
    let input = serde_json::from_str(&text).unwrap_or(Value::String(text));
    fields.insert("input".into(), input);
}
