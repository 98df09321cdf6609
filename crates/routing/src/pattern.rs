//! Names with wildcards: what matches them, what their `*` stood for, and which of two is the more specific.

use std::cmp::Reverse;

use smallvec::SmallVec;

/// What each `*` of a pattern stood for, left to right.
pub(crate) type Captures = SmallVec<[Box<str>; 1]>;

/// A name in which each `*` stands for any text. Matching takes time linear in the name for each `*`.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    literals: Vec<Box<str>>,
    length: usize,
}

// === impl Pattern ===

impl Pattern {
    /// `None` for a name without `*`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let literals: Vec<Box<str>> = text.split('*').map(Box::from).collect();
        (literals.len() > 1).then_some(Self { literals, length: text.len() })
    }

    /// How many `*` it has.
    pub(crate) fn stars(&self) -> usize {
        self.literals.len().saturating_sub(1)
    }

    /// Sorts the more specific pattern first: the longer one, then the one with more parts.
    pub(crate) fn rank(&self) -> (Reverse<usize>, Reverse<usize>) {
        (Reverse(self.length), Reverse(self.stars()))
    }

    /// What each `*` stood for, or `None` where the name does not match. An earlier `*` takes as much as it can.
    pub(crate) fn captures(&self, name: &str) -> Option<Captures> {
        let (first, later) = self.literals.split_first()?;
        let (last, middle) = later.split_last()?;
        let mut rest = name.strip_prefix(&**first)?.strip_suffix(&**last)?;
        let mut found = Captures::new();
        for literal in middle.iter().rev() {
            let at = rest.rfind(&**literal)?;
            found.push(rest.get(at + literal.len()..)?.into());
            rest = rest.get(..at)?;
        }
        found.push(rest.into());
        found.reverse();
        Some(found)
    }
}

/// Puts what the `*` of a group stood for in the place of a target's `*`, left to right.
pub(crate) fn fill(target: &str, captures: &Captures) -> String {
    let mut values = captures.iter();
    let mut parts = target.split('*');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        filled.push_str(values.next().map_or("*", |value| value));
        filled.push_str(part);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_capture_as_a_greedy_expression_would() {
        for (pattern, name, captured) in [
            ("openai/*", "openai/gpt-4o", Some(vec!["gpt-4o"])),
            ("openai/*", "openai/", Some(vec![""])),
            ("openai/*", "anthropic/x", None),
            ("*", "anything/at all", Some(vec!["anything/at all"])),
            ("bedrock-*", "bedrock-claude", Some(vec!["claude"])),
            ("*-*", "a-b-c", Some(vec!["a-b", "c"])),
            ("*/gpt-*-mini", "x/gpt-4o-mini", Some(vec!["x", "4o"])),
            ("a*b*c*d", "a1b2b3c4d", Some(vec!["1b2", "3", "4"])),
            ("ab*bc", "abc", None),
            ("*é*", "caféine", Some(vec!["caf", "ine"])),
        ] {
            let found = Pattern::parse(pattern).unwrap().captures(name);
            let found = found.map(|texts| texts.iter().map(|text| text.to_string()).collect::<Vec<_>>());
            assert_eq!(
                found,
                captured.map(|texts| texts.into_iter().map(String::from).collect()),
                "{pattern} {name}"
            );
        }
        assert!(Pattern::parse("gpt-4o").is_none());
    }

    #[test]
    fn captures_fill_the_target_from_left_to_right() {
        let captures: Captures = ["x".into(), "4o".into()].into_iter().collect();
        for (target, filled) in [
            ("openai/*", "openai/x"),
            ("bedrock/us.*-*", "bedrock/us.x-4o"),
            ("fixed/model", "fixed/model"),
            ("*/*/*", "x/4o/*"),
        ] {
            assert_eq!(fill(target, &captures), filled);
        }
    }
}
