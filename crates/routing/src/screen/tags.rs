//! Tags: who may serve calls that carry them.

use std::sync::Arc;

use gatewright_core::{Call, Error, ErrorKind, Result};
use http::header::USER_AGENT;

use super::Screening;
use crate::Deployment;

/// How tags decide who may serve a call.
///
/// A deployment fits where it has any (or all) of the call's tags, or where a pattern of its matches the client's
/// `User-Agent`. Where none fits, those with the tag `default` serve; a call without tags goes to them too, or to all
/// where there are none. A tag with `!` before it, on either side, keeps those apart that have it on the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagRules {
    /// Whether all tags of a call must be met, not just any.
    pub all: bool,
    /// Only tags that begin so count.
    pub prefix: String,
}

/// Serves calls that no other tag is for.
const DEFAULT: &str = "default";

pub(super) fn check(screening: &mut Screening<'_>, rules: &TagRules) -> Result<()> {
    let tags = wanted(screening.call, rules);
    let agent = screening.call.headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
    let left = |screening: &Screening<'_>, fits: &dyn Fn(&Deployment) -> bool| {
        let mut members = screening.members().enumerate();
        members.any(|(place, member)| screening.list.has(place) && fits(&member.deployment))
    };
    let apart = |one: &Deployment| is_apart(one, &tags);
    let fits = |one: &Deployment| !apart(one) && meets(one, &tags, rules.all, agent);
    let spare = |one: &Deployment| !apart(one) && has(one, DEFAULT);
    let plain = |one: &Deployment| !apart(one);
    let keep: &dyn Fn(&Deployment) -> bool = if left(screening, &fits) {
        &fits
    } else if left(screening, &spare) || tags.iter().any(|tag| !tag.starts_with('!')) {
        &spare
    } else {
        &plain
    };
    screening.retain(
        "tags",
        |_, member| keep(&member.deployment),
        || {
            Error::new(ErrorKind::Forbidden, "Not allowed to access model due to tags configuration")
                .with_status(http::StatusCode::UNAUTHORIZED)
        },
    )
}

/// The tags of the call and of whoever makes it, as far as they count.
fn wanted<'a>(call: &'a Call, rules: &TagRules) -> Vec<&'a Arc<str>> {
    let all = call.controls.tags.iter().chain(&call.caller.tags);
    all.filter(|tag| tag.trim_start_matches('!').starts_with(&*rules.prefix)).collect()
}

fn meets(one: &Deployment, tags: &[&Arc<str>], all: bool, agent: Option<&str>) -> bool {
    let mut positive = tags.iter().filter(|tag| !tag.starts_with('!')).peekable();
    let by_tag = match positive.peek().is_some() {
        true if all => positive.all(|tag| has(one, tag)),
        true => positive.any(|tag| has(one, tag)),
        false => false,
    };
    let by_agent = || {
        let line = format!("User-Agent: {}", agent.unwrap_or_default());
        agent.is_some() && one.agents.iter().any(|pattern| pattern.0.is_match(&line))
    };
    by_tag || (!one.agents.is_empty() && by_agent())
}

fn is_apart(one: &Deployment, tags: &[&Arc<str>]) -> bool {
    let negated = |tag: &str| tag.strip_prefix('!').is_some_and(|tag| has(one, tag));
    let barred = |tag: &str| one.tags.iter().any(|own| own.strip_prefix('!') == Some(tag));
    tags.iter().any(|tag| negated(tag) || barred(tag))
}

fn has(one: &Deployment, tag: &str) -> bool {
    one.tags.iter().any(|own| **own == *tag)
}
