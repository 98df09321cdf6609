//! Puts a stream's events together again.

use gatewright_core::Usage;
use gatewright_core::chat::*;

/// A choice: its number, its parts by theirs, and why it ended.
type Gathered = (u32, Vec<(u32, Part)>, Option<Finish>);

/// The parts that events build, as a whole answer would have them.
pub(super) fn gather(events: &[Event]) -> (Vec<Choice>, Option<Usage>) {
    let mut choices: Vec<Gathered> = Vec::new();
    let mut usage = None;
    for event in events {
        let (Event::PartStart { choice, .. }
        | Event::PartDelta { choice, .. }
        | Event::Finish { choice, .. }) = event
        else {
            if let Event::Usage(used) = event {
                usage = Some(*used);
            }
            continue;
        };
        if !choices.iter().any(|(index, ..)| index == choice) {
            choices.push((*choice, Vec::new(), None));
        }
        let (_, parts, finish) = choices.iter_mut().find(|(index, ..)| index == choice).unwrap();
        match event {
            Event::PartStart { index, kind, .. } => parts.push((*index, begun(kind))),
            Event::PartDelta { index, delta, .. } => {
                add(&mut parts.iter_mut().find(|(known, _)| known == index).unwrap().1, delta);
            }
            Event::Finish { reason, .. } => *finish = Some(*reason),
            _ => {}
        }
    }
    let choice = |(index, parts, finish): Gathered| Choice {
        index,
        parts: parts.into_iter().map(|(_, part)| part).collect(),
        finish: finish.expect("every choice ends"),
        stop_sequence: None,
        logprobs: None,
        extra: Extra::new(),
    };
    (choices.into_iter().map(choice).collect(), usage)
}

pub(super) fn begun(kind: &PartKind) -> Part {
    match kind {
        PartKind::Text => Part::text(""),
        PartKind::Reasoning => Part::Reasoning { text: String::new(), signature: None },
        PartKind::RedactedReasoning { data } => Part::RedactedReasoning { data: data.clone() },
        PartKind::ToolCall { id, name } => Part::ToolCall(ToolCall {
            id: id.clone(),
            name: name.clone(),
            arguments: String::new(),
            cache: None,
        }),
        PartKind::Refusal => Part::Refusal(String::new()),
        PartKind::Other(value) => Part::Other(value.clone()),
    }
}

pub(super) fn add(part: &mut Part, delta: &Delta) {
    match (part, delta) {
        (Part::Text { text, .. } | Part::Refusal(text), Delta::Text(more)) => text.push_str(more),
        (Part::ToolCall(call), Delta::Arguments(more)) => call.arguments.push_str(more),
        (Part::Reasoning { text, .. }, Delta::Reasoning(more)) => text.push_str(more),
        (Part::Reasoning { signature, .. }, Delta::Signature(more)) => *signature = Some(more.clone()),
        (Part::Text { citations, .. }, Delta::Citation(value)) => citations.push(value.clone()),
        (Part::Other(_), Delta::Other(_)) => {}
        (part, delta) => panic!("{delta:?} does not belong to {part:?}"),
    }
}
