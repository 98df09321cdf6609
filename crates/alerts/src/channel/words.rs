//! What an alert says, before it is dressed for a channel.

use gatewright_core::Utc;

use crate::desk::Ready;

/// A line of it.
pub(super) type Line<'a> = (&'a str, String);

/// Level, facts, time and place.
pub(super) fn lines<'a>(ready: &'a Ready, base_url: Option<&str>) -> Vec<Line<'a>> {
    let Ready { alert, at, kept_back } = ready;
    let mut lines = vec![("Level", alert.severity.word().to_owned()), ("Kind", alert.kind.name().to_owned())];
    lines.extend(alert.facts.iter().map(|(name, value)| (*name, value.clone())));
    if *kept_back > 0 {
        lines.push(("The same again since the last alert", kept_back.to_string()));
    }
    lines.push(("Time", format!("{} UTC", Utc(*at))));
    lines.extend(base_url.map(|url| ("Gateway", url.to_owned())));
    lines
}

/// The beginning, where it is longer than so many characters.
pub(super) fn shortened(text: String, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text,
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// On one line and without what ends code in a chat's markup.
pub(super) fn code(value: &str) -> String {
    let plain = |letter: char| match letter {
        '`' => '\'',
        letter if letter.is_control() => ' ',
        letter => letter,
    };
    value.chars().map(plain).collect()
}
