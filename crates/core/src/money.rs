//! Exact money: prices in femto-dollars a unit, costs in nano-dollars.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

/// What one unit (a token, an image, a second) costs, in femto-dollars (10⁻¹⁵ USD).
///
/// The cheapest price in the catalogue is a fraction of a nano-dollar a token, so nano-dollars would round it away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(pub u64);

/// An amount in nano-dollars (10⁻⁹ USD). Sums are exact; a total of ± 9.2 billion dollars fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(pub i64);

// === impl Price ===

impl Price {
    /// The cost of `units` in femto-dollars, not yet rounded.
    pub fn times(self, units: u64) -> u128 {
        u128::from(self.0) * u128::from(units)
    }

    /// Reads a JSON number (`2.5e-06`) in dollars exactly; `None` where it is negative, not a number or too large.
    /// Digits below a femto-dollar are rounded half to even.
    pub fn parse_dollars(text: &str) -> Option<Self> {
        let femto = parse_scaled(text.trim(), 15)?;
        u64::try_from(femto).ok().map(Self)
    }
}

// === impl Money ===

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// The largest amount.
    pub const MAX: Self = Self(i64::MAX);

    /// Rounds an exact cost to nano-dollars, half to even, once.
    pub fn from_femto(femto: u128) -> Self {
        Self(i64::try_from(half_even(femto, 1_000_000)).unwrap_or(i64::MAX))
    }

    /// Reads an amount in dollars (`0.0123`, `1e-05`) to the nano-dollar, half to even.
    pub fn parse_dollars(text: &str) -> Option<Self> {
        i64::try_from(parse_scaled(text.trim(), 9)?).ok().map(Self)
    }
}

impl fmt::Display for Money {
    /// Dollars as a plain decimal without trailing zeros: `0.000075`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nano = self.0.unsigned_abs();
        let (whole, mut rest) = (nano / 1_000_000_000, nano % 1_000_000_000);
        let mut digits = [b'0'; 9];
        for digit in digits.iter_mut().rev() {
            *digit += (rest % 10) as u8;
            rest /= 10;
        }
        let [first, more @ ..] = &digits;
        let length = more.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        let more = std::str::from_utf8(more.get(..length).unwrap_or_default()).unwrap_or_default();
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{whole}.{}{more}", char::from(*first))
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

fn half_even(value: u128, unit: u128) -> u128 {
    let (quotient, rest) = (value / unit, value % unit);
    let up = rest * 2 > unit || (rest * 2 == unit && quotient % 2 == 1);
    quotient + u128::from(up)
}

/// A non-negative decimal with an optional exponent, times 10^`scale`, rounded half to even.
fn parse_scaled(text: &str, scale: i32) -> Option<u128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((m, e)) => (m, e.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut digits: u128 = 0;
    for b in whole.bytes().chain(fraction.bytes()) {
        if !b.is_ascii_digit() {
            return None;
        }
        digits = digits.checked_mul(10)?.checked_add(u128::from(b - b'0'))?;
    }
    let shift = scale.checked_add(exponent)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    match u32::try_from(shift) {
        Ok(up) => digits.checked_mul(10u128.checked_pow(up)?),
        Err(_) => Some(10u128.checked_pow(shift.unsigned_abs()).map_or(0, |unit| half_even(digits, unit))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_exactly() {
        for (text, femto) in [
            ("2.5e-06", 2_500_000_000),
            ("0.0000025", 2_500_000_000),
            ("3.75e-8", 37_500_000),
            ("1", 1_000_000_000_000_000),
            ("0", 0),
            ("1e-16", 0),
        ] {
            assert_eq!(Price::parse_dollars(text), Some(Price(femto)), "{text}");
        }
        for text in ["", "-1", ".", "1e", "abc", "1e999"] {
            assert_eq!(Price::parse_dollars(text), None, "{text}");
        }
    }

    #[test]
    fn a_cost_is_rounded_once_half_to_even() {
        for (femto, nano) in [(500_000, 0), (1_500_000, 2), (2_500_000, 2), (2_500_001, 3), (0, 0)] {
            assert_eq!(Money::from_femto(femto), Money(nano), "{femto}");
        }
    }

    #[test]
    fn money_prints_as_plain_dollars() {
        for (nano, text) in [
            (75_000, "0.000075"),
            (0, "0.0"),
            (1, "0.000000001"),
            (-1_500_000_000, "-1.5"),
            (2_000_000_000, "2.0"),
        ] {
            assert_eq!(Money(nano).to_string(), text);
        }
    }
}
