//! Calls that cost money.

use std::time::Duration;

use futures_util::FutureExt;
use gatewright_core::{Money, Price};
use gatewright_limits::{Counters, Grant, Local, LocalHold, Need, Refused, Reset, Rule, Used, Window};

/// One nano-dollar.
pub(crate) const NANO_A_TOKEN: Price = Price(1_000_000);

/// A budget of so many nano-dollars for all time.
pub(crate) fn budget(id: &str, limit: i64) -> Rule {
    Rule::money("api_key", id.into(), Money(limit), Window::Forever)
}

/// A call that costs one nano-dollar a token, and has no input.
pub(crate) fn tokens(least: u64, cap: u64) -> Need {
    Need { output: NANO_A_TOKEN, output_cap: cap, least_output: least, known_cap: true, ..Need::default() }
}

/// Holds at once, or not at all.
pub(crate) fn hold(local: &Local, rules: &[Rule], need: &Need) -> Result<(LocalHold, Grant), Refused> {
    local.hold(rules, need, Duration::ZERO).now_or_never().unwrap()
}

/// A call that cost this.
pub(crate) fn cost(nano: i64) -> Used {
    Used { cost: Money(nano), ..Used::default() }
}

/// Nothing is spent of the budget for ever of this one's `k`.
pub(crate) fn nothing(scope: &'static str) -> Reset {
    Reset { scope, id: "k".into(), period: None, spent: Money::ZERO, turn: 0 }
}

/// Settled and held of a budget.
pub(crate) fn figures(local: &Local, id: &str) -> (i64, i64) {
    let spent = local.spent("api_key", id);
    spent.first().map_or((0, 0), |spent| (spent.settled.0, spent.held.0))
}
