//! Tells a whole answer as a stream of events, for clients that asked for one where the upstream gave none.

use gatewright_core::chat::{Answer, Choice, Delta, Event, Part, PartKind};

/// The events of an answer that is already whole.
pub(crate) fn events(answer: &Answer) -> Vec<Event> {
    let mut out = vec![Event::Start {
        id: answer.id.clone(),
        model: answer.model.clone(),
        created: answer.created,
        extra: answer.extra.clone(),
    }];
    for choice in &answer.choices {
        tell_choice(choice, &mut out);
    }
    if let Some(usage) = answer.usage {
        out.push(Event::Usage(usage));
    }
    out.push(Event::End);
    out
}

fn tell_choice(choice: &Choice, out: &mut Vec<Event>) {
    let Choice { index: number, parts, finish, stop_sequence, logprobs, .. } = choice;
    for (index, part) in (0..).zip(parts) {
        let (kind, deltas) = tell_part(part);
        out.push(Event::PartStart { choice: *number, index, kind });
        for delta in deltas {
            out.push(Event::PartDelta { choice: *number, index, delta });
        }
        out.push(Event::PartEnd { choice: *number, index });
    }
    if let Some(value) = logprobs {
        out.push(Event::Logprobs { choice: *number, value: value.clone() });
    }
    out.push(Event::Finish { choice: *number, reason: *finish, stop_sequence: stop_sequence.clone() });
}

fn tell_part(part: &Part) -> (PartKind, Vec<Delta>) {
    match part {
        Part::Text { text, citations, .. } => {
            let mut deltas = vec![Delta::Text(text.clone())];
            deltas.extend(citations.iter().cloned().map(Delta::Citation));
            (PartKind::Text, deltas)
        }
        Part::ToolCall(call) => {
            let kind = PartKind::ToolCall { id: call.id.clone(), name: call.name.clone() };
            (kind, vec![Delta::Arguments(call.arguments.clone())])
        }
        Part::Reasoning { text, signature } => {
            let mut deltas = vec![Delta::Reasoning(text.clone())];
            deltas.extend(signature.clone().map(Delta::Signature));
            (PartKind::Reasoning, deltas)
        }
        Part::RedactedReasoning { data } => (PartKind::RedactedReasoning { data: data.clone() }, Vec::new()),
        Part::Refusal(text) => (PartKind::Refusal, vec![Delta::Text(text.clone())]),
        Part::Other(value) => (PartKind::Other(value.clone()), Vec::new()),
        // No model answers with these; a provider that does is shown as text-free parts of its own.
        Part::Media(_) | Part::ToolResult(_) => (PartKind::Other(serde_json::Value::Null), Vec::new()),
    }
}
