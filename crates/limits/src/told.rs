//! What a client is told about the limits that its call was held against.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::counters::Grant;
use crate::rule::{Counter, Rule};

/// The most tokens that the answer may have, where a budget covers no more.
const OUTPUT_CAP: HeaderName = HeaderName::from_static("x-gatewright-output-cap");

/// Tells limit and rest of every rate as LiteLLM does. Of several of one scope the tightest is told.
pub(crate) fn tell_rates(rules: &[Rule], grant: &Grant, told: &mut HeaderMap) {
    for (rule, left) in rules.iter().zip(&grant.remaining) {
        let (Counter::Requests | Counter::Tokens) = rule.counter else { continue };
        let name = |what: &str| {
            HeaderName::try_from(format!("x-ratelimit-{}-{what}-{}", rule.scope, rule.counter.name()))
        };
        let (Ok(limit), Ok(remaining)) = (name("limit"), name("remaining")) else { continue };
        let known = told.get(&remaining).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if known.is_none_or(|known| *left < known) {
            told.insert(limit, HeaderValue::from(rule.limit));
            told.insert(remaining, HeaderValue::from(*left));
        }
    }
}

/// Tells the cap, unless a tighter one was told below.
pub(crate) fn tell_cap(cap: u64, told: &mut HeaderMap) {
    told.entry(OUTPUT_CAP).or_insert_with(|| HeaderValue::from(cap));
}
