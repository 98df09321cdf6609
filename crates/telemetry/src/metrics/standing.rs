//! Where callers stand with their budgets and rates, told when somebody looks.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use gatewright_core::{Allowance, Budget, Caller, Money};
use http::{HeaderMap, HeaderName};

use super::label::Label;
use super::meter::{Balances, Reading};
use super::table::Metric;
use super::words::Words;

/// Where a caller stood at its last call.
#[derive(Clone)]
pub(super) struct Standing {
    pub(super) at: Instant,
    pub(super) caller: Arc<Caller>,
    pub(super) left: Left,
}

/// What is told of a rate.
#[derive(Clone, Copy)]
enum Told {
    Allowed,
    Used,
}

/// What was left of the rates that the call was held against, in the order of [`RATES`]: requests, then tokens.
pub(super) type Left = [[Option<u64>; 2]; 4];

/// Whose rates are told, by LiteLLM's names for them.
static RATES: [(&str, [HeaderName; 2]); 4] = [
    ("api_key", left("x-ratelimit-api_key-remaining-requests", "x-ratelimit-api_key-remaining-tokens")),
    ("team", left("x-ratelimit-team-remaining-requests", "x-ratelimit-team-remaining-tokens")),
    ("project", left("x-ratelimit-project-remaining-requests", "x-ratelimit-project-remaining-tokens")),
    (
        "model_per_key",
        left("x-ratelimit-model_per_key-remaining-requests", "x-ratelimit-model_per_key-remaining-tokens"),
    ),
];

const KINDS: [&str; 2] = ["requests", "tokens"];

/// The metrics of what is left, all of it, and for how long, by whose budget it is.
const BUDGETS: [(&str, [Metric; 3]); 5] = [
    ("api_key", [Metric::KeyBudgetLeft, Metric::KeyBudget, Metric::KeyBudgetHours]),
    ("team", [Metric::TeamBudgetLeft, Metric::TeamBudget, Metric::TeamBudgetHours]),
    ("organization", [Metric::OrgBudgetLeft, Metric::OrgBudget, Metric::OrgBudgetHours]),
    ("user", [Metric::UserBudgetLeft, Metric::UserBudget, Metric::UserBudgetHours]),
    ("end_user", [Metric::CustomerBudgetLeft, Metric::CustomerBudget, Metric::CustomerBudgetHours]),
];

const fn left(requests: &'static str, tokens: &'static str) -> [HeaderName; 2] {
    [HeaderName::from_static(requests), HeaderName::from_static(tokens)]
}

// === impl Standing ===

impl Standing {
    /// What was left of this one's rates.
    fn left_of(&self, scope: &str) -> [Option<u64>; 2] {
        let place = RATES.iter().position(|(other, _)| *other == scope);
        place.and_then(|place| self.left.get(place).copied()).unwrap_or_default()
    }

    fn knows(&self, scope: &str) -> bool {
        self.left_of(scope) != [None, None]
    }
}

/// What the limits told of a call.
pub(super) fn read(told: &HeaderMap) -> Left {
    if told.is_empty() {
        return Left::default();
    }
    let read = |name: &HeaderName| told.get(name)?.to_str().ok()?.parse().ok();
    std::array::from_fn(|whose| {
        std::array::from_fn(|kind| RATES.get(whose).and_then(|(_, names)| read(names.get(kind)?)))
    })
}

/// Tells where all of them stand; of several that tell of the same, the latest that knows it: a call that failed was told
/// nothing of what is left.
pub(super) fn tell(
    mut standings: Vec<Standing>,
    balances: Option<&dyn Balances>,
    now: SystemTime,
    reading: &mut Reading<'_>,
) {
    standings.sort_unstable_by_key(|standing| std::cmp::Reverse(standing.at));
    let (mut told, mut used) = (HashSet::new(), HashSet::new());
    for standing in &standings {
        for allowance in &standing.caller.allowances {
            let name = (allowance.scope, &*allowance.id, allowance.model.as_deref());
            if told.insert(name) {
                tell_budget(&standing.caller, allowance, (balances, now), reading);
                tell_rates(standing, allowance, Told::Allowed, reading);
            }
            if standing.knows(allowance.scope) && used.insert(name) {
                tell_rates(standing, allowance, Told::Used, reading);
            }
        }
    }
}

fn tell_budget(
    caller: &Caller,
    allowance: &Allowance,
    (balances, now): (Option<&dyn Balances>, SystemTime),
    reading: &mut Reading<'_>,
) {
    let metrics = BUDGETS.iter().find(|(scope, _)| *scope == allowance.scope);
    let (Some((_, [left, most, hours])), Some(budget)) = (metrics, allowance.budgets.first()) else { return };
    let mut words = reading.words();
    whose(&mut words, caller, allowance);
    let is_over = budget.ends.is_some_and(|ends| ends <= now);
    let known =
        balances.and_then(|live| live.spent(allowance.scope, &allowance.id, budget.duration.as_deref()));
    let spent = known.unwrap_or(if is_over { Money::ZERO } else { budget.spent });
    reading.tell(*left, &words, dollars(budget.most) - dollars(spent));
    reading.tell(*most, &words, dollars(budget.most));
    if let Some(left) = time_left(budget, now) {
        reading.tell(*hours, &words, left / 3600.0);
    }
}

fn tell_rates(standing: &Standing, allowance: &Allowance, what: Told, reading: &mut Reading<'_>) {
    let left = standing.left_of(allowance.scope);
    let mut words = reading.words();
    whose(&mut words, &standing.caller, allowance);
    let most = [allowance.requests, allowance.tokens];
    for ((kind, most), left) in KINDS.into_iter().zip(most).zip(left) {
        let Some(most) = most else { continue };
        words.put(Label::RateLimitType, kind);
        let (allowed, used) = match (allowance.scope, kind) {
            ("api_key", _) => (Metric::KeyRateAllowed, Metric::KeyRateUsed),
            ("team", _) => (Metric::TeamRateAllowed, Metric::TeamRateUsed),
            ("project", _) => (Metric::ProjectRateAllowed, Metric::ProjectRateUsed),
            ("model_per_key", _) => {
                let of_tokens = kind == "tokens";
                let rest = if of_tokens { Metric::KeyModelTokensLeft } else { Metric::KeyModelRequestsLeft };
                if let (Told::Used, Some(left)) = (what, left) {
                    reading.tell(rest, &words, number(left));
                }
                continue;
            }
            _ => continue,
        };
        match (what, left) {
            (Told::Allowed, _) => reading.tell(allowed, &words, number(most)),
            (Told::Used, Some(left)) => reading.tell(used, &words, number(most.saturating_sub(left))),
            (Told::Used, None) => {}
        }
    }
}

/// The labels of whatever an allowance is of.
fn whose<'a>(words: &mut Words<'a>, caller: &'a Caller, allowance: &'a Allowance) {
    words.caller(caller);
    words.put(Label::ProjectId, caller.project.as_deref().unwrap_or_default());
    words.put(Label::ProjectAlias, caller.known_as.project.as_deref().unwrap_or_default());
    if let Some(model) = &allowance.model {
        words.put(Label::Model, model);
    }
    match allowance.scope {
        "end_user" => words.put(Label::EndUser, &allowance.id),
        "user" => words.put(Label::User, &allowance.id),
        "team" => words.put(Label::Team, &allowance.id),
        "organization" => words.put(Label::OrgId, &allowance.id),
        _ => {}
    }
}

fn time_left(budget: &Budget, now: SystemTime) -> Option<f64> {
    Some(budget.ends?.duration_since(now).ok()?.as_secs_f64())
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn dollars(amount: Money) -> f64 {
    amount.0 as f64 / 1e9
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
pub(super) fn number(count: u64) -> f64 {
    count as f64
}
