//! A stream's events as the answer that they tell, where they are as a decoder's have to be.

use gatewright_core::chat::{Answer, Delta, Event, PartKind};

/// The answer. Every part begins in its turn, holds what is of its kind, and ends once; nothing comes after the end.
pub(crate) fn whole(events: &[Event]) -> Answer {
    assert_eq!(events.iter().position(|event| *event == Event::End), events.len().checked_sub(1));
    let (mut kinds, mut ended): (Vec<&PartKind>, Vec<u32>) = (Vec::new(), Vec::new());
    for event in events {
        match event {
            Event::PartStart { index, kind, .. } => {
                assert_eq!(*index as usize, kinds.len());
                kinds.push(kind);
            }
            Event::PartDelta { index, delta, .. } => {
                let kind = kinds[*index as usize];
                assert!(fits(kind, delta), "{delta:?} for {kind:?}");
            }
            Event::PartEnd { index, .. } => {
                assert!(!ended.contains(index), "a part ends twice");
                ended.push(*index);
            }
            _ => {}
        }
    }
    assert_eq!(ended.len(), kinds.len(), "every part ends");
    gatewright_dialects::gather(events.iter().cloned())
}

fn fits(kind: &PartKind, delta: &Delta) -> bool {
    matches!(
        (kind, delta),
        (PartKind::Text | PartKind::Refusal, Delta::Text(_))
            | (PartKind::Text, Delta::Citation(_))
            | (PartKind::Reasoning, Delta::Reasoning(_) | Delta::Signature(_))
            | (PartKind::ToolCall { .. }, Delta::Arguments(_))
            | (PartKind::Other(_), Delta::Other(_))
    )
}
