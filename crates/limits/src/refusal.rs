//! A refusal in the words that LiteLLM's clients know.

use std::borrow::Cow;
use std::time::Duration;

use gatewright_core::{Error, ErrorKind, Utc};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::rule::{Counter, Rule, dollars};

/// Whose limits they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The caller's: a budget that is spent has this status.
    Caller { budget_status: StatusCode },
    /// A deployment's: another one may take the call.
    Deployment,
}

/// What is in the way of a call.
pub(crate) struct Obstacle<'a> {
    pub(crate) rule: &'a Rule,
    pub(crate) taken: u64,
    pub(crate) resets_in: Option<Duration>,
    /// Seconds of the wall clock.
    pub(crate) now: u64,
}

/// The error for a call that one rule refused.
pub(crate) fn refusal(owner: Owner, obstacle: &Obstacle<'_>) -> Error {
    let Obstacle { rule, taken, resets_in, now } = *obstacle;
    let wait = resets_in.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
    let resets_at = wait.map(|seconds| format!("{} UTC", Utc(now.saturating_add(seconds))));
    let err = match (rule.counter, owner) {
        (Counter::Money, Owner::Caller { budget_status }) => {
            Error::new(ErrorKind::BudgetExceeded, budget_words(rule, taken)).with_status(budget_status)
        }
        (Counter::Money, Owner::Deployment) => {
            let words = format!(
                "No deployments available - crossed budget: {} {}: {} of {}",
                rule.scope,
                name(rule),
                dollars(taken),
                dollars(rule.limit)
            );
            Error::new(ErrorKind::LimitReached, words)
        }
        (Counter::Requests | Counter::Tokens | Counter::Parallel, _) => Error::new(
            ErrorKind::LimitReached,
            rate_words(rule, taken, resets_at.as_deref().unwrap_or("unknown")),
        ),
    };
    let err = match wait {
        Some(seconds) => err.with_retry_after(Duration::from_secs(seconds)),
        None => err,
    };
    err.with_headers(headers(rule, wait, resets_at))
}

fn headers(rule: &Rule, wait: Option<u64>, resets_at: Option<String>) -> HeaderMap {
    let value = HeaderValue::from_static(rule.counter.name());
    let mut headers = HeaderMap::from_iter([(HeaderName::from_static("rate_limit_type"), value)]);
    if let Some(seconds) = wait {
        headers.insert(HeaderName::from_static("retry-after"), HeaderValue::from(seconds));
    }
    if let Some(Ok(value)) = resets_at.map(HeaderValue::try_from) {
        headers.insert(HeaderName::from_static("reset_at"), value);
    }
    headers
}

fn rate_words(rule: &Rule, taken: u64, resets_at: &str) -> String {
    format!(
        "Rate limit exceeded for {}: {}. Limit type: {}. Current limit: {}, Remaining: {}. \
         Limit resets at: {resets_at}",
        rule.scope,
        rule.id,
        rule.counter.name(),
        rule.limit,
        rule.limit.saturating_sub(taken),
    )
}

/// LiteLLM says it in two ways.
fn budget_words(rule: &Rule, taken: u64) -> String {
    let (spent, limit) = (dollars(taken), dollars(rule.limit));
    let (what, name) = (spelled(rule.scope), name(rule));
    match rule.scope {
        "proxy" => format!("Budget has been exceeded! Current cost: {spent}, Max budget: {limit}"),
        "user" | "end_user" => {
            format!("ExceededBudget: {what}={name} over budget. Spend={spent}, Budget={limit}")
        }
        _ => format!("Budget has been exceeded! {what}={name} Current cost: {spent}, Max budget: {limit}"),
    }
}

fn name(rule: &Rule) -> Cow<'_, str> {
    match &rule.label {
        Some(label) if rule.scope == "api_key" => Cow::Owned(format!("key ({label})")),
        Some(label) => Cow::Borrowed(label),
        None => Cow::Borrowed(&rule.id),
    }
}

/// `team_member` as `Team Member`; a key is just a key.
fn spelled(scope: &str) -> String {
    let words = scope.strip_prefix("api_").unwrap_or(scope).split('_').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    });
    words.collect::<Vec<_>>().join(" ")
}
