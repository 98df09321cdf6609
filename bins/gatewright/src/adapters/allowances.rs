//! What a caller may use, as rules.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gatewright_core::{Allowance, Budget, Call, Money};
use gatewright_limits::{Calendar, Counter, Every, Rule, Ruling, Window};

const DAY: Window = Window::Rolling(Duration::from_secs(86_400));

/// Appends the rules of all that a call's caller stands for.
pub(super) fn rules(call: &Call, calendar: &Calendar, now: SystemTime, out: &mut Ruling) {
    // Above the router the group that was asked for, below it the one that is to answer.
    let group = call.target.as_ref().map_or(&call.model, |target| &target.group);
    for allowance in &call.caller.allowances {
        if allowance.model.as_ref().is_some_and(|model| model != group) {
            continue;
        }
        let Allowance { scope, ref id, .. } = *allowance;
        let id = || Arc::clone(id);
        out.extend(allowance.requests.map(|limit| Rule::requests(scope, id(), limit)));
        out.extend(allowance.tokens.map(|limit| Rule::tokens(scope, id(), limit)));
        let daily = |limit| Rule::new(scope, id(), Counter::Tokens, limit, DAY);
        out.extend(allowance.tokens_a_day.map(daily));
        out.extend(allowance.parallel.map(|limit| Rule::parallel(scope, id(), limit)));
        out.extend(allowance.budgets.iter().map(|budget| {
            let rule = money(budget, calendar, now, scope, id());
            match scope {
                "api_key" if !call.caller.name.is_empty() => rule.labelled(Arc::clone(&call.caller.name)),
                _ => rule,
            }
        }));
    }
}

/// What was spent counts for the period that it was looked up in.
fn money(budget: &Budget, calendar: &Calendar, now: SystemTime, scope: &'static str, id: Arc<str>) -> Rule {
    let period = budget.duration.as_ref().and_then(|name| Some((Arc::clone(name), Every::parse(name)?)));
    let Some((name, every)) = period else {
        return Rule::money(scope, id, budget.most, Window::Forever).spent(budget.spent);
    };
    let (ends, spent) = match budget.ends {
        Some(ends) if ends <= now => (calendar.end_following(every, ends, now), Money::ZERO),
        Some(ends) => (ends, budget.spent),
        None => (calendar.end(every, now), budget.spent),
    };
    Rule::money(scope, id, budget.most, Window::Period { name, ends }).spent(spent)
}
