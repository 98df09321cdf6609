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
        if let Some(limit) = allowance.parallel {
            parallel(scope, &allowance.id, limit, out);
        }
        out.extend(allowance.budgets.iter().map(|budget| {
            let rule = money(budget, calendar, now, scope, id());
            match scope {
                "api_key" if !call.caller.name.is_empty() => rule.labelled(Arc::clone(&call.caller.name)),
                _ => rule,
            }
        }));
    }
}

/// Appends the soft budgets of all that a call's caller stands for.
pub(super) fn soft(call: &Call, calendar: &Calendar, now: SystemTime, out: &mut Ruling) {
    out.extend(call.caller.allowances.iter().filter_map(|allowance| {
        let budget = allowance.soft.as_ref()?;
        Some(money(budget, calendar, now, allowance.scope, Arc::clone(&allowance.id)))
    }));
}

/// A limit of calls at a time. Where there is one of the same thing already, the tighter one holds: both would count
/// each call.
pub(super) fn parallel(scope: &'static str, id: &Arc<str>, limit: u64, out: &mut Ruling) {
    let same = |rule: &&mut Rule| rule.counter == Counter::Parallel && rule.scope == scope && rule.id == *id;
    match out.iter_mut().find(same) {
        Some(rule) => rule.limit = rule.limit.min(limit),
        None => out.push(Rule::parallel(scope, Arc::clone(id), limit)),
    }
}

/// What was spent counts for the period that it was looked up in.
fn money(budget: &Budget, calendar: &Calendar, now: SystemTime, scope: &'static str, id: Arc<str>) -> Rule {
    let period = budget.duration.as_ref().and_then(|name| Some((Arc::clone(name), Every::parse(name)?)));
    let Some((name, every)) = period else {
        return Rule::money(scope, id, budget.most, Window::Forever).spent(budget.spent).in_turn(budget.turn);
    };
    let (ends, spent) = match budget.ends {
        Some(ends) if ends <= now => (calendar.end_following(every, ends, now), Money::ZERO),
        Some(ends) => (ends, budget.spent),
        None => (calendar.end(every, now), budget.spent),
    };
    Rule::money(scope, id, budget.most, Window::Period { name, ends }).spent(spent).in_turn(budget.turn)
}
