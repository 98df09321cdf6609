//! What a call will take, as far as that can be told before it runs.

use gatewright_core::{Call, Money, Price};

use crate::rule::{Counter, Rule, nano};

/// Foresees what calls need.
pub trait Foresee: Send + Sync + 'static {
    /// What this call needs. Only what is wanted has to be told.
    fn need(&self, call: &Call, wanted: Wanted) -> Need;
}

/// What the rules of a call ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Tokens are counted.
    pub tokens: bool,
    /// Money is.
    pub money: bool,
}

/// What one call needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// The tokens that it is held for.
    pub tokens: u64,
    /// The most that its input costs.
    pub input: Money,
    /// The most that a token of output costs.
    pub output: Price,
    /// How many answers are wanted at once; none counts as one.
    pub answers: u64,
    /// The most tokens that an answer may have.
    pub output_cap: u64,
    /// The fewest that are worth a call: a budget that has no room for the cap may cover less, down to this. The cap
    /// itself, where the client chose it.
    pub least_output: u64,
    /// Whether the upstream keeps to the cap by itself. Else it is told, also where all of the cap is covered.
    pub known_cap: bool,
}

// === impl Wanted ===

impl Wanted {
    pub(crate) fn by(rules: &[Rule]) -> Self {
        let any = |counter| rules.iter().any(|rule| rule.counter == counter);
        Self { tokens: any(Counter::Tokens), money: any(Counter::Money) }
    }
}

// === impl Need ===

impl Need {
    /// Whether it costs nothing: such a call passes budgets that are spent.
    pub(crate) fn is_free(&self) -> bool {
        self.input <= Money::ZERO && (self.output == Price::default() || self.output_cap == 0)
    }

    /// Whether an upstream has to be told that this is its cap.
    pub(crate) fn caps(&self, output: u64) -> bool {
        !self.is_free() && (output < self.output_cap || !self.known_cap)
    }

    /// The tokens of all answers together where each has so many.
    pub(crate) fn of_all_answers(&self, tokens: u64) -> u64 {
        tokens.saturating_mul(self.answers.max(1))
    }

    /// The most that it costs with so many tokens of output in each answer, in nano-dollars; rounded up, for a bound
    /// must hold.
    pub(crate) fn cost(&self, tokens: u64) -> u64 {
        let output = self.output.times(self.of_all_answers(tokens)).div_ceil(FEMTO_A_NANO);
        nano(self.input).saturating_add(u64::try_from(output).unwrap_or(u64::MAX))
    }

    /// The tokens of output in each answer that so much money covers.
    pub(crate) fn covered(&self, money: u64) -> Option<u64> {
        let left = u128::from(money.checked_sub(nano(self.input))?) * FEMTO_A_NANO;
        let each = u128::from(self.output.0).saturating_mul(u128::from(self.answers.max(1)));
        let tokens = left.checked_div(each).unwrap_or(u128::MAX);
        Some(u64::try_from(tokens).unwrap_or(u64::MAX))
    }
}

const FEMTO_A_NANO: u128 = 1_000_000;
