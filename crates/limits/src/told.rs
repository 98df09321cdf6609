//! What a client is told about the limits that its call was held against, and what those who watch it are.

use std::time::Duration;

use gatewright_core::{Decision, Decisions, Holding, Limit, Money};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::counters::{Grant, Refused};
use crate::need::{Need, Wanted};
use crate::rule::{Counter, Rule};

/// The most tokens that the answer may have, where a budget covers no more.
const OUTPUT_CAP: HeaderName = HeaderName::from_static("x-gatewright-output-cap");

/// Tells limit and rest of every rate as LiteLLM does. Of several of one scope the tightest is told.
pub(crate) fn tell_rates(rules: &[Rule], grant: &Grant, told: &mut HeaderMap) {
    for (rule, left) in rules.iter().zip(&grant.remaining) {
        let Some([limit, remaining]) = names(rule.scope, rule.counter) else { continue };
        let known = told.get(&remaining).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if known.is_none_or(|known| *left < known) {
            told.insert(limit, HeaderValue::from(rule.limit));
            told.insert(remaining, HeaderValue::from(*left));
        }
    }
}

/// Under which names limit and rest of a rate are told; `None` for what is no rate. Those of the usual scopes are made
/// by the compiler.
fn names(scope: &str, counter: Counter) -> Option<[HeaderName; 2]> {
    macro_rules! usual {
        ($($usual:literal)*) => {
            match (scope, counter) {
                $(($usual, Counter::Requests) => return Some(usual!($usual, "requests")),
                ($usual, Counter::Tokens) => return Some(usual!($usual, "tokens")),)*
                (_, Counter::Requests | Counter::Tokens) => {}
                (_, Counter::Parallel | Counter::Money) => return None,
            }
        };
        ($usual:literal, $counted:literal) => {
            const {
                [
                    HeaderName::from_static(concat!("x-ratelimit-", $usual, "-limit-", $counted)),
                    HeaderName::from_static(concat!("x-ratelimit-", $usual, "-remaining-", $counted)),
                ]
            }
        };
    }
    usual!("api_key" "model_per_key" "team" "team_member" "user" "organization" "project" "end_user");
    let name = |what| HeaderName::try_from(format!("x-ratelimit-{scope}-{what}-{}", counter.name())).ok();
    Some([name("limit")?, name("remaining")?])
}

/// Notes what is held of which limits, or which one refused it, and how long that took.
pub(crate) fn tell_held<H>(
    decisions: &Decisions,
    rules: &[Rule],
    need: &Need,
    (held, waited): (&Result<(H, Grant), Refused>, Duration),
) {
    let limit = |rule: &Rule| Limit { scope: rule.scope, counter: rule.counter.name() };
    let step = match held {
        Ok((_, grant)) => {
            let wanted = Wanted::by(rules);
            let most = || Money(i64::try_from(need.cost(grant.output)).unwrap_or(i64::MAX));
            Decision::Held(Holding {
                limits: rules.iter().map(limit).collect(),
                tokens: if wanted.tokens { need.tokens } else { 0 },
                money: wanted.money.then(most),
                waited,
            })
        }
        Err(refused) => match refused.rule().and_then(|place| rules.get(place)) {
            Some(rule) => Decision::Refused { limit: limit(rule), waited },
            None => return,
        },
    };
    decisions.note(step);
}

/// Tells the cap, unless a tighter one was told below.
pub(crate) fn tell_cap(cap: u64, told: &mut HeaderMap) {
    told.entry(OUTPUT_CAP).or_insert_with(|| HeaderValue::from(cap));
}
